"""``connect_app`` for Starlette and FastAPI: ``app.mount("/connect", connect_app(...))``.

::

    app = FastAPI(lifespan=...)     # which enters the engine
    app.mount("/connect", connect_app(engine, [linkkit], public_url="https://app.example.com/connect", account=whose))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeAlias

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from linkauth.web.connecting import Connecting
from linkauth.web.look import PLAIN
from linkauth.web.visit import HEADERS, Answer, CutOff, Visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from linkauth.errors import LinkAuthError
    from linkauth.front import AuthEngine, Credential
    from linkauth.vendors.vendor import Vendor
    from linkauth.web.look import Look
    from linkauth.web.tenants import OfTenant

__all__ = ["connect_app"]

WhoAsks: TypeAlias = "Callable[[Request], Awaitable[str | None] | str | None]"
Said: TypeAlias = "Response | None"
AndThen: TypeAlias = "Callable[[Request, Credential], Said | Awaitable[Said]]"
OrElse: TypeAlias = "Callable[[Request, LinkAuthError], Said | Awaitable[Said]]"


def connect_app(
    engine: AuthEngine,
    vendors: Iterable[Vendor] | Mapping[str, Vendor | OfTenant],
    *,
    public_url: str,
    account: WhoAsks,
    on_connected: AndThen | None = None,
    on_failed: OrElse | None = None,
    titles: Mapping[str, str] | None = None,
    look: Look = PLAIN,
) -> Starlette:
    """An app that connects users to ``vendors``, to mount where ``public_url`` points; all is as in ``linkauth.web.connect_app``.

    ``account``, ``on_connected`` and ``on_failed`` are handed Starlette's requests, give its responses, and may raise its
    ``HTTPException`` such as a redirect to a login. The engine is entered by the app's own lifespan.
    Raises ``ConfigurationError`` as that one does.
    """
    pages = Connecting(engine, vendors, public_url, account, on_connected, on_failed, titles or {}, look)

    async def start(request: Request) -> Response:
        response: Response = await pages.start(StarletteVisit.of(request))
        return response

    async def callback(request: Request) -> Response:
        response: Response = await pages.callback(StarletteVisit.of(request))
        return response

    async def elsewhere(request: Request) -> Response:
        response: Response = await pages.elsewhere(StarletteVisit.of(request))
        return response

    routes = [
        _route("/{vendor}", start),
        _route("/{vendor}/callback", callback),
        _route("/{path:path}", elsewhere),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Headers)])


def _route(path: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
    route = Route(path, answer)
    route.methods = set()  # none in particular: the pages say which there are
    return route


class _Headers:
    """Puts on every answer what it is to have, the app's own and its refusals too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class StarletteVisit(Visit):
    """One request that Starlette has taken."""

    @classmethod
    def of(cls, request: Request) -> Self:
        """The visit that ``request`` is."""
        return cls(
            request,
            method=request.method,
            word=request.path_params.get("vendor", ""),
            query=request.query_params.multi_items(),
            cookies=request.cookies,
            content_type=request.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self.request.stream():
                yield chunk
        except ClientDisconnect:
            raise CutOff from None

    def respond(self, answer: Answer | Response) -> Response:
        if isinstance(answer, Answer):
            answer = Response(answer.text, answer.status, headers=answer.headers)
        for cookie in self.set_cookies:
            answer.headers.append("Set-Cookie", cookie)
        return answer
