"""The page on which a user lands: what happened, and what to do now.

Plain HTML that works without scripts or anything from elsewhere. What comes from outside is escaped, and the page's policy
would not run it anyway.
"""

from __future__ import annotations

from html import escape
from math import ceil
from string import Template
from typing import Final

import attrs

from linkauth.errors import (
    AccessDenied,
    AuthorizationPending,
    InvalidGrant,
    InvalidRequest,
    LinkAuthError,
    MalformedResponse,
    OAuthError,
    RateLimited,
    ReauthorizationRequired,
    StateMismatch,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.web.document import document, policy
from linkauth.web.look import PLAIN, Look
from linkauth.web.visit import Answer
from linkauth.web.words import ENGLISH

__all__ = [
    "CONNECTED",
    "NOBODY",
    "NOT_ALLOWED",
    "NO_PATH",
    "NO_TENANT",
    "UNKNOWN",
    "USED",
    "Landing",
    "bad_callback",
    "failure",
]


@attrs.frozen(kw_only=True)
class Landing:
    """What a page says, in whatever language."""

    status: int = 200
    name: str
    """Which page: the key of its title among the words (``linkauth.web.words``)."""
    says: str = ""
    """The key of its text; empty: ``NAME.text``."""
    words: str = ""
    """The vendor's own words."""
    again: bool = False
    """Whether starting again may help. Else the page says what does."""
    retry_after: float | None = None
    """Seconds."""
    final: bool = False
    """Whether the callback's state is used up, so that another delivery of the callback has the same answer."""
    allow: str = ""
    """The methods that there are, of a page for another one (RFC 9110 §10.2.1)."""

    @property
    def text(self) -> str:
        """What it says, in English."""
        return ENGLISH[self.says or f"{self.name}.text"]

    def page(self, vendor: str, start: str, look: Look = PLAIN) -> Answer:
        """The page. ``vendor``: its title; ``start``: the URL at which the user can try again."""

        def said(key: str) -> str:
            # What a title in another script does to the direction of the text ends with it.
            return Template(escape(look.words[key])).substitute(vendor=f"<bdi>{escape(vendor)}</bdi>")

        body = f"<h1>{said(self.name)}</h1>\n<p>{said(self.says or f'{self.name}.text')}</p>"
        if self.words:
            body += f'\n<p>{said("vendor-says")}</p>\n<blockquote dir="auto">{escape(self.words)}</blockquote>'
        if self.again:
            body += f'\n<p><a href="{escape(start)}">{said("again")}</a></p>'
        text = document(
            Template(look.words[self.name]).substitute(vendor=vendor),
            body,
            look.style,
            lang=look.words["lang"],
            direction=look.words["dir"],
            banner=look.banner,
        )
        return Answer(status=self.status, text=text, headers=self._headers(look))

    def _headers(self, look: Look) -> dict[str, str]:
        headers = {
            "Content-Security-Policy": policy(look.style, form_action="'none'", images=look.images),
            "Content-Type": "text/html; charset=utf-8",
        }
        if self.retry_after is not None:
            headers["Retry-After"] = str(ceil(self.retry_after))
        if self.allow:
            headers["Allow"] = self.allow
        return headers


CONNECTED: Final = Landing(name="connected", final=True)
NOBODY: Final = Landing(status=403, name="nobody")
UNKNOWN: Final = Landing(status=404, name="unknown")
NO_TENANT: Final = Landing(status=404, name="no-tenant")
NO_PATH: Final = Landing(status=400, name="no-path")
NOT_ALLOWED: Final = Landing(status=405, name="not-allowed")
USED: Final = Landing(status=400, name="used", again=True)

TRY_AGAIN: Final = 10.0
"""Seconds after which to reload, where nobody said when."""
PENDING_AGAIN: Final = 60.0
"""Seconds after which a callback may be sent again whose pairing nobody has accepted yet."""


def bad_callback(status: int, why: str) -> Landing:
    """A callback that cannot be read."""
    return Landing(status=status, name="no-answer", says=f"no-answer.{why}")


def failure(error: LinkAuthError) -> Landing:  # noqa: C901, PLR0911  # a table, with an entry for each kind
    """What the user is told of ``error``. Only a vendor's own words are repeated."""
    match error:
        case StateMismatch():
            return USED
        case AuthorizationPending():
            return Landing(status=503, name="pending", words=error.description, retry_after=PENDING_AGAIN)
        case AccessDenied(who="the user"):
            return Landing(status=403, name="refused", words=error.description, again=True, final=True)
        case InvalidRequest(status=0) | UntrustedEndpoint():
            return bad_callback(400, "text")
        case RateLimited() | VendorUnavailable():
            after = TRY_AGAIN if error.retry_after is None else error.retry_after
            return Landing(status=503, name="away", retry_after=after)
        case InvalidGrant():
            return Landing(status=400, name="expired", words=error.description, again=True, final=True)
        case OAuthError():
            status = 400 if error.status == 0 else 502
            words = error.description or error.error
            return Landing(status=status, name="denied", words=words, again=True, final=True)
        case ReauthorizationRequired():  # of a second consent: a first one needs nobody to have been here
            return Landing(status=409, name="not-anew", final=True)
        case MalformedResponse():
            return Landing(status=502, name="malformed", again=True, final=True)
        case StoreUnavailable():
            return Landing(status=503, name="store-away", retry_after=TRY_AGAIN)
        case _:
            return Landing(status=500, name="failed")
