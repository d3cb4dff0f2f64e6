"""The browser that started: a cookie for each authorization, for apps whose own is not sent along from another site.

(``SameSite=Strict``.) What it holds says nothing: its name is a digest of the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.web.deliveries import key

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Cookies"]

MOST_STARTED: Final = 10
"""Cookies of authorizations that one browser has begun and not ended."""


class Cookies:
    """Marks the browsers that started. ``secure``: the app is reached by https."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        # __Host-: no other host, not even a neighbour below the same domain, can have set it (RFC 6265bis §4.1.3.2).
        self._prefix = "__Host-" if secure else ""

    def remember(
        self, request: web.Request, response: web.StreamResponse, word: str, state: str, lifetime: float
    ) -> None:
        """Mark the browser that gets ``response``, for ``lifetime`` seconds."""
        # Who starts again and again, or is made to, must not lose the app's own cookie to a browser's limit.
        ours = [name for name in request.cookies if name.startswith(f"{self._prefix}linkauth-")]
        for name in ours[: 1 - MOST_STARTED]:  # browsers name the oldest first (RFC 6265 §5.4)
            response.del_cookie(name, secure=self._secure)
        response.set_cookie(
            self._name(word, state),
            "1",
            max_age=int(lifetime),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Lax",
        )

    def forget(self, request: web.Request, response: web.StreamResponse, word: str, state: str) -> None:
        """The authorization has ended."""
        if self.started_here(request, word, state) and not response.prepared:
            response.del_cookie(self._name(word, state), secure=self._secure)

    def started_here(self, request: web.Request, word: str, state: str) -> bool:
        """Whether ``request`` comes from the browser in which this authorization was begun."""
        return self._name(word, state) in request.cookies

    def _name(self, word: str, state: str) -> str:
        return f"{self._prefix}linkauth-{key(word, state).hex()[:32]}"
