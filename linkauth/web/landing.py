"""The page on which a user lands: what happened, and what to do now.

Plain HTML that works without scripts, images or anything from elsewhere. What comes from outside is escaped, and the
page's policy would not run it anyway.
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
from linkauth.web.visit import Answer

__all__ = ["CONNECTED", "NOBODY", "NO_PATH", "NO_TENANT", "UNKNOWN", "USED", "Landing", "bad_callback", "failure"]

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto 2rem; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: .25rem solid; overflow-wrap: anywhere; }
a { display: inline-block; padding: .5rem 1.25rem; border: .125rem solid; border-radius: .5rem; }
"""

POLICY: Final = policy(STYLE, form_action="'none'")


@attrs.frozen(kw_only=True)
class Landing:
    """What a page says. ``$vendor`` in ``title`` and ``text`` stands for the vendor's name."""

    status: int = 200
    title: str
    text: str
    words: str = ""
    """The vendor's own words."""
    again: bool = False
    """Whether starting again may help. Else the page says what does."""
    retry_after: float | None = None
    """Seconds."""
    final: bool = False
    """Whether the callback's state is used up, so that another delivery of the callback has the same answer."""

    def page(self, vendor: str, start: str) -> Answer:
        """The page. ``start``: the URL at which the user can try again."""
        title = Template(self.title).substitute(vendor=vendor)
        body = f"<p>{escape(Template(self.text).substitute(vendor=vendor))}</p>"
        if self.words:
            body += f"\n<p>{escape(vendor)} says:</p>\n<blockquote>{escape(self.words)}</blockquote>"
        if self.again:
            body += f'\n<p><a href="{escape(start)}">Try again</a></p>'
        headers = {"Content-Security-Policy": POLICY, "Content-Type": "text/html; charset=utf-8"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(ceil(self.retry_after))
        return Answer(status=self.status, text=document(title, body, STYLE), headers=headers)


CONNECTED: Final = Landing(title="Connected to $vendor", text="You can close this page.", final=True)

NOBODY: Final = Landing(
    status=403,
    title="Please sign in first",
    text="Sign in to this app, then connect $vendor from there.",
)

UNKNOWN: Final = Landing(status=404, title="There is nothing here", text="This app connects no vendor of that name.")

NO_TENANT: Final = Landing(
    status=404, title="There is nothing here", text="This app knows no such customer of $vendor, or none was named."
)

NO_PATH: Final = Landing(
    status=400,
    title="This link cannot be right",
    text="Where it leads on to is no page of this app. Nothing was begun.",
)

USED: Final = Landing(
    status=400,
    title="This answer was used already, or has expired",
    text="If $vendor is connected by now, all is well and nothing is left to do. If not, start again from where you are "
    "signed in.",
    again=True,
)

RELOAD: Final = "Nothing is connected yet, and nothing is lost. Reload this page in a moment to go on."
"""The state is still good, so the same callback does it; where nothing was begun yet, it begins."""
TRY_AGAIN: Final = 10.0
"""Seconds after which to reload, where nobody said when."""
PENDING_AGAIN: Final = 60.0
"""Seconds after which a callback may be sent again whose pairing nobody has accepted yet."""


def bad_callback(status: int, text: str) -> Landing:
    """A callback that cannot be read."""
    return Landing(status=status, title="This is not an answer from $vendor", text=text)


def failure(error: LinkAuthError) -> Landing:  # noqa: C901, PLR0911  # a table, with an entry for each kind
    """What the user is told of ``error``. Only a vendor's own words are repeated."""
    match error:
        case StateMismatch():
            return USED
        case AuthorizationPending():
            title, text = "Not answered yet", "The request waits for somebody to accept it at $vendor."
            return Landing(status=503, title=title, text=text, words=error.description, retry_after=PENDING_AGAIN)
        case AccessDenied(who="the user"):
            title, text = "Not connected", "The request was refused at $vendor, so this app has no access."
            return Landing(status=403, title=title, text=text, words=error.description, again=True, final=True)
        case InvalidRequest(status=0) | UntrustedEndpoint():
            return bad_callback(400, "Nothing was changed. If you came here from $vendor, tell those who run this app.")
        case RateLimited() | VendorUnavailable():
            after = TRY_AGAIN if error.retry_after is None else error.retry_after
            return Landing(status=503, title="$vendor cannot be reached just now", text=RELOAD, retry_after=after)
        case InvalidGrant():
            title, text = "The answer from $vendor has expired", "Nothing is connected."
            return Landing(status=400, title=title, text=text, words=error.description, again=True, final=True)
        case OAuthError():
            title, text = "$vendor refused", "Nothing is connected. Those who run this app have to look into it."
            status = 400 if error.status == 0 else 502
            words = error.description or error.error
            return Landing(status=status, title=title, text=text, words=words, again=True, final=True)
        case ReauthorizationRequired():  # of a second consent: a first one needs nobody to have been here
            title, text = (
                "Not connected anew",
                "$vendor gave no lasting access this time. What was connected before goes on. ",
            )
            return Landing(
                status=409, title=title, text=f"{text}Those who run this app have to look into it.", final=True
            )
        case MalformedResponse():
            title, text = "The answer from $vendor cannot be read", "Those who run this app have to look into it."
            return Landing(status=502, title=title, text=text, again=True, final=True)
        case StoreUnavailable():
            title = "This app cannot save the connection just now"
            return Landing(status=503, title=title, text=RELOAD, retry_after=TRY_AGAIN)
        case _:
            title, text = "Not connected", "Those who run this app have to look into it."
            return Landing(status=500, title=title, text=text)
