"""A mountable aiohttp app with the operator's page: who is connected, until when, and what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

from linkauth.engine.awaited import awaited
from linkauth.errors import StoreError
from linkauth.web.status_page import HEADERS, Found, Wanted, message, page, state_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.status import Status
    from linkauth.front import AuthEngine

__all__ = ["status_app"]

Allowed: TypeAlias = "Callable[[web.Request], bool | Awaitable[bool]]"
ConnectURL: TypeAlias = "Callable[[Status], str | Awaitable[str | None] | None]"


def status_app(engine: AuthEngine, *, allowed: Allowed, connect_url: ConnectURL | None = None) -> web.Application:
    """The operator's page, to mount with ``app.add_subapp("/connections", …)``: it reads the store, and asks and changes nothing.

    ``allowed``: whether whoever sends the request may see it; asked each time, and nothing is read where it says no.
    ``connect_url``: from a ``Status`` to the app's page where that user starts again, or None. It is shown, of those who need it, as
    a link to pass on: an operator who opened it would connect an account of his own in the user's place. Both may be coroutine functions.

    A page, whatever is looked for, is one walk through the store: 10,000 credentials cost about half a second of a processor in memory, and a
    second on Redis.
    """
    app, pages = web.Application(), _Page(engine, allowed, connect_url)
    for path in ("", "/"):
        app.router.add_get(path, pages.show)
        app.router.add_route("*", path, _not_allowed)
    app.router.add_route("*", "/{path:.*}", _nothing)
    return app


async def _not_allowed(_: web.Request) -> web.Response:
    answer = _answer(405, message("This page is only read", "It changes nothing, so nothing can be sent to it."))
    answer.headers["Allow"] = "GET, HEAD"  # RFC 9110 §15.5.6
    return answer


async def _nothing(_: web.Request) -> web.Response:
    return _answer(404, message("There is nothing here", "The connections are one page up."))


class _Page:
    def __init__(self, engine: AuthEngine, allowed: Allowed, connect_url: ConnectURL | None) -> None:
        self._engine = engine
        self._allowed = allowed
        self._connect_url = connect_url

    async def show(self, request: web.Request) -> web.Response:
        """The page that the query asks for."""
        if not await awaited(self._allowed(request)):
            return _answer(403, message("Not for you", "Sign in to this app as somebody who runs it."))
        found = Found(Wanted.read(request.query))
        try:
            async for status in self._engine.statuses():
                found.add(status)
        except StoreError as error:
            return _answer(503, message("The store cannot be read just now", f"{error}. Reload this page in a moment."))
        return _answer(200, page(found, await self._links(found)))

    async def _links(self, found: Found) -> dict[str, str]:
        links: dict[str, str] = {}
        if self._connect_url is None:
            return links
        for status in found.page():
            if status.account and state_of(status) in {"needs-user", "ends-soon"}:
                links[status.key] = await awaited(self._connect_url(status)) or ""
        return links


def _answer(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)
