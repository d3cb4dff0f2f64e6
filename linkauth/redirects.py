"""Follows redirects of httpx or httpx2 hop by hop, so that each hop is signed or not by where it goes.

The clients would run an ``Auth`` before the first hop alone, and strip no header but ``Authorization`` at a foreign one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from linkauth.auth_flow import is_own

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from linkauth.auth_flow import Request

__all__ = ["hop_by_hop"]


class Send(Protocol):
    """An ``AsyncClient``'s."""

    def __call__(self, request: Any, /, *, stream: bool, follow_redirects: bool) -> Awaitable[Any]: ...


class TooMany(Protocol):
    """The client's own error."""

    def __call__(self, message: str, /, *, request: Any) -> Exception: ...


async def hop_by_hop(send: Send, request: Request, *, stream: bool, header: str, most: int, too_many: TooMany) -> Any:
    """The response to ``request`` after at most ``most`` redirects; those before it in its ``history``.

    ``header``: which ``send`` signs a hop with, where the caller has not put it there; else it goes as the client lets it go.
    """
    own = is_own(request, header)
    history: list[Any] = []
    while True:
        response = await send(request, stream=True, follow_redirects=False)
        response.history = history = [*history, *response.history]
        further = response.next_request
        if further is not None or not stream:
            await _read(response)
        if further is None:
            return response
        if not own:
            further.headers.pop(header, None)
        if len(history) >= most:
            raise too_many("Exceeded maximum allowed redirects.", request=further)
        request, history = further, [*history, response]


async def _read(response: Any) -> None:
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise
