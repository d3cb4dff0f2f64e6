"""The browser that began: a cookie for a callback to be held against (RFC 6749 §10.12, RFC 9700 §4.7).

For an app whose own session does not tell who is there. ``connect_app`` uses it; an app that takes callbacks itself can, in
any web framework: all that goes in and comes out are texts and mappings.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import parse_qs

import attrs

from linkauth.errors import ConfigurationError, StateMismatch
from linkauth.oauth.shown import Shown
from linkauth.oauth.token import secret_str

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BrowserBinding"]

MOST_BEGUN: Final = 10
"""Cookies of authorizations that one browser has begun and not ended."""


@attrs.frozen
class BrowserBinding(metaclass=Shown):
    """Binds an authorization to the browser that began it, by a cookie of its own.

    Without it somebody could begin in his own name, have another person open the callback, and so get at that person's
    data: a state proves that the app began, not where (RFC 9700 §4.7). With it::

        url = await credential.authorization_url(redirect_uri)
        binding = BrowserBinding.of(url)                             # each of its set_cookies(…) is a Set-Cookie header
        ...
        BrowserBinding.of(params).check(request.cookies)             # at the callback; raises StateMismatch
        await engine.complete(linkkit, params)

    The cookie tells nothing, for its name and its value are digests of the state. A callback by POST comes from another
    site and brings no cookie (Sage X3): its state alone says whose it is.
    """

    name: str
    """The cookie's. With ``__Host-`` before it no other host, not even a neighbour below the same domain, can have set it (RFC 6265bis §4.1.3.2)."""
    value: str = attrs.field(repr=False)
    """Empty: there is no state, and so no browser that began."""
    lifetime: int = 600
    """Seconds that the browser keeps the cookie."""
    secure: bool = True
    """The app is reached by https."""

    @classmethod
    def of(cls, begun: str | Mapping[str, Any], *, lifetime: float = 600, secure: bool = True) -> Self:
        """The binding of the authorization that ``begun`` belongs to: the URL that the user is sent to, or a callback's parameters.

        ``lifetime``: seconds, the vendor's ``pending_lifetime``; a callback's is of no account. ``secure``: False where
        browsers reach the app by http, as on loopback; the same for the URL and for the callback.
        Raises ``ConfigurationError`` for a URL without one state, such as a redirect URI in its place.
        """
        url, state = isinstance(begun, str), _state_of(begun)
        begun = ""  # a traceback with locals would show it
        if url and not state:
            raise ConfigurationError(
                "BrowserBinding: what authorization_url() returned is needed, or a callback's parameters"
            )
        digest = sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{_prefix(secure=secure)}{digest[:32]}"
        return cls(name, digest[32:] if state else "", int(lifetime), secure)

    @property
    def attributes(self) -> dict[str, Any]:
        """What ``set_cookie`` of most frameworks takes after ``name`` and ``value``, by keyword."""
        return {"max_age": self.lifetime, "path": "/", "secure": self.secure, "httponly": True, "samesite": "Lax"}

    def set_cookies(self, cookies: Mapping[str, str]) -> list[str]:
        """Values of ``Set-Cookie`` for the answer that sends the user away. ``cookies``: those of the request.

        Of authorizations that were begun and not ended a browser keeps ten: who starts again and again, or is made to,
        must not lose the app's own cookie to a browser's limit.
        """
        ours = [name for name in cookies if name.startswith(_prefix(secure=self.secure)) and name != self.name]
        # Browsers name the oldest first (RFC 6265 §5.4).
        return [self._cookie(self.name, self.value, self.lifetime), *map(self._end_of, ours[: 1 - MOST_BEGUN])]

    @property
    def ended(self) -> str:
        """The value of ``Set-Cookie`` that takes the cookie back, once the authorization has ended."""
        return self._end_of(self.name)

    def began_in(self, cookies: Mapping[str, str]) -> bool:
        """Whether a request with ``cookies`` comes from the browser that began."""
        found = cookies.get(self.name, "").encode("utf-8", "surrogatepass")
        return hmac.compare_digest(found, self.value.encode("ascii")) and bool(self.value)

    def check(self, cookies: Mapping[str, str]) -> None:
        """Raise ``StateMismatch`` unless a request with ``cookies`` comes from the browser that began."""
        began_here = self.began_in(cookies)
        cookies = {}  # as above: the app's own are among them
        if not began_here:
            raise StateMismatch("this browser did not begin it; start again in this one")

    def _end_of(self, name: str) -> str:
        return self._cookie(name, "", 0)

    def _cookie(self, name: str, value: str, lifetime: int) -> str:
        secure = "; Secure" if self.secure else ""
        return f"{name}={value}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}"


def _state_of(begun: str | Mapping[str, Any]) -> str:
    """The one state in a URL, or among a callback's parameters; empty where there is none, or more."""
    if isinstance(begun, str):
        states = parse_qs(begun.partition("?")[2].partition("#")[0]).get("state", [])
        return secret_str(states[0]) if len(states) == 1 else ""
    state = cast("object", begun.get("state"))
    return secret_str(state) if isinstance(state, str) else ""


def _prefix(*, secure: bool) -> str:
    return f"{'__Host-' if secure else ''}linkauth-"
