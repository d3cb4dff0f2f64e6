"""Authorization requests waiting for a user's answer, and the codes that the answers bring (RFC 6749 §4.1)."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs
from aiohttp import web

from linkauth.sandbox.pages import hidden, page
from linkauth.sandbox.tokens import NotGood, secret
from linkauth.sandbox.wire import NOT_STORED, BadRequest, Refusal, is_here, once

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from linkauth.sandbox.clock import Clock
    from linkauth.sandbox.tokens import Session

__all__ = ["Asked", "Callback", "Code", "Consents", "is_registered", "query", "redirect"]


@attrs.frozen(kw_only=True)
class Callback:
    """What comes back to the app: ``params`` at ``redirect_uri``, by GET in the query or by POST in the body."""

    method: Literal["GET", "POST"] = "GET"
    """``"GET"``: ``params`` come in the query; ``"POST"``: in the body."""
    redirect_uri: str
    """The app's own URL, without ``params``."""
    params: dict[str, str] = attrs.field(repr=False)
    """What the vendor says, by name; holds a code that is good for one use."""

    @property
    def url(self) -> str:
        """Where the browser goes."""
        if self.method == "POST":
            return self.redirect_uri
        parts = urlsplit(self.redirect_uri)
        joined = "&".join(filter(None, [parts.query, urlencode(self.params)]))
        return urlunsplit(parts._replace(query=joined))


@attrs.frozen(kw_only=True)
class Asked:
    """An authorization request that is in order."""

    client_id: str
    redirect_uri: str
    scope: str = ""
    state: str | None = None
    challenge: str | None = None
    nonce: str | None = attrs.field(default=None, repr=False)
    prompt: str = ""


@attrs.define(kw_only=True, eq=False)
class Code:
    """An authorization code, good for one exchange."""

    asked: Asked
    expires_at: float
    session: Session | None = None
    """What it was exchanged for."""


class Consents:
    """Requests by ticket, codes by value."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, Asked] = {}
        self._codes: dict[str, Code] = {}

    def page(self, vendor: str, asked: Asked, action: str) -> web.Response:
        """The page on which the user accepts or refuses; the answer goes to ``action``."""
        ticket = secrets.token_urlsafe(16)
        self._asked[ticket] = asked
        scopes = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in asked.scope.split())
        wants = f"<p>It asks for:</p><ul>{scopes}</ul>" if scopes else "<p>It asks for no scope in particular.</p>"
        body = (
            f"<p>The app <strong>{escape(asked.client_id)}</strong> wants to use {escape(vendor)} in your name.</p>{wants}"
            f'<form method="post" action="{escape(action)}">{hidden({"ticket": ticket})}'
            '<button name="answer" value="accept">Accept</button>'
            '<button name="answer" value="refuse">Refuse</button></form>'
        )
        return page(f"{vendor}: allow this app?", body)

    def take(self, ticket: str) -> Asked | None:
        """The request that a page was shown for, once."""
        return self._asked.pop(ticket, None)

    def code(self, asked: Asked, lifetime: float) -> str:
        """A new code, good for ``lifetime`` seconds."""
        value = secret("code")
        self._codes[value] = Code(asked=asked, expires_at=self._clock() + lifetime)
        return value

    def redeem(self, value: str, client_id: str, redirect_uri: str, verifier: str | None) -> Code:
        """The code, if all fits. Raises ``NotGood``; a code that is used twice ends what it was exchanged for."""
        code = self._codes.get(value)
        if code is None or code.asked.client_id != client_id or code.asked.redirect_uri != redirect_uri:
            raise NotGood("unknown")
        if code.session is not None:
            code.session.revoked = True
            raise NotGood("reused")
        if self._clock() >= code.expires_at:
            raise NotGood("expired")
        if not _verified(verifier, code.asked.challenge):
            raise NotGood("unknown")
        return code


def _verified(verifier: str | None, challenge: str | None) -> bool:
    """RFC 7636 §4.6, S256; and no verifier where there was no challenge (RFC 9700 §2.1.1)."""
    if verifier is None or challenge is None:
        return verifier is challenge
    digest = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode("ascii")
    return 43 <= len(verifier) <= 128 and digest == challenge


def query(text: str) -> dict[str, str]:
    """The parameters of a query string. Raises ``Refusal`` with a page where one comes twice (RFC 6749 §3.1)."""
    try:
        return once(parse_qsl(text, keep_blank_values=True))
    except BadRequest as error:
        raise Refusal(page("This request cannot be answered", f"<p>{escape(str(error))}</p>", status=400)) from None


def is_registered(uri: str, registered: Iterable[str], *, loopback: bool) -> bool:
    """Whether ``uri`` is a registered one exactly; or, if ``loopback``, any http one on this machine."""
    if uri in registered:
        return True
    parts = urlsplit(uri)
    return loopback and parts.scheme == "http" and is_here(parts.hostname)


def redirect(redirect_uri: str, params: Mapping[str, str | None]) -> web.Response:
    """Send the browser back with ``params``, those that are None left out."""
    callback = Callback(redirect_uri=redirect_uri, params={n: v for n, v in params.items() if v is not None})
    headers = {**NOT_STORED, "Location": callback.url, "Referrer-Policy": "no-referrer"}
    return web.Response(status=303, headers=headers)


def followed(response: web.Response) -> Callback:
    """The callback that a redirect makes. Raises ``ValueError`` where the answer is none."""
    if "Location" not in response.headers:
        raise ValueError(f"the vendor showed a page with status {response.status} instead of answering the app")
    parts = urlsplit(response.headers["Location"])
    return Callback(redirect_uri=urlunsplit(parts._replace(query="")), params=dict(parse_qsl(parts.query)))
