"""The browser that started: a cookie for each authorization, for apps whose own is not sent along from another site.

(``SameSite=Strict``.) What it holds says nothing: its name is a digest of the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.web.deliveries import key

if TYPE_CHECKING:
    from linkauth.web.visit import Visit

__all__ = ["Cookies"]

MOST_STARTED: Final = 10
"""Cookies of authorizations that one browser has begun and not ended."""


class Cookies:
    """Marks the browsers that started. ``secure``: the app is reached by https."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        # __Host-: no other host, not even a neighbour below the same domain, can have set it (RFC 6265bis §4.1.3.2).
        self._prefix = "__Host-" if secure else ""

    def remember(self, visit: Visit, word: str, state: str, lifetime: float) -> None:
        """Mark the browser that gets the answer to ``visit``, for ``lifetime`` seconds."""
        visit.set_cookies.append(self._cookie(self._name(word, state), "1", int(lifetime)))
        # Who starts again and again, or is made to, must not lose the app's own cookie to a browser's limit.
        ours = [name for name in visit.cookies if name.startswith(f"{self._prefix}linkauth-")]
        # Browsers name the oldest first (RFC 6265 §5.4).
        visit.set_cookies += [self._cookie(name, "", 0) for name in ours[: 1 - MOST_STARTED]]

    def forget(self, visit: Visit, word: str, state: str) -> None:
        """The authorization has ended."""
        if self.started_here(visit, word, state):
            visit.set_cookies.append(self._cookie(self._name(word, state), "", 0))

    def started_here(self, visit: Visit, word: str, state: str) -> bool:
        """Whether ``visit`` comes from the browser in which this authorization was begun."""
        return self._name(word, state) in visit.cookies

    def _cookie(self, name: str, value: str, lifetime: int) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{name}={value}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}"

    def _name(self, word: str, state: str) -> str:
        return f"{self._prefix}linkauth-{key(word, state).hex()[:32]}"
