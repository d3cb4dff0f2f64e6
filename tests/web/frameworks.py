"""The web frameworks that serve ``connect_app``: an app around it with a session by cookie, on a socket that is bound already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from linkauth.web import connect_app


class Aiohttp:
    """``linkauth.web.connect_app`` as a sub-app."""

    connect_app = staticmethod(connect_app)
    unpacks = True
    """Whether a body that was packed is unpacked by the framework."""

    def response(self, *, status: int = 200, text: str = "", location: str | None = None) -> Any:
        """The app's own answer."""
        headers = {} if location is None else {"Location": location}
        return web.Response(status=status, text=text, headers=headers)

    def to_login(self) -> Exception:
        """What the app's own function raises to send somebody to the login."""
        return web.HTTPFound("/login")

    async def serve(self, site: Any, connect: Any, socket: Any) -> None:
        app = web.Application(middlewares=[self._watching(site)])
        app.router.add_get("/sign-in/{who}", self._signing_in(site))
        app.add_subapp("/connect", connect)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, socket).start()

    async def aclose(self) -> None:
        await self._runner.cleanup()

    def _watching(self, site: Any) -> Any:
        @web.middleware
        async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
            site.saw(request.path, request.method, request.cookies)
            return await handler(request)

        return watch

    def _signing_in(self, site: Any) -> Any:
        async def sign_in(request: web.Request) -> web.Response:
            site.signed_in.append(request.cookies.get("who", ""))
            response = web.Response(text="<title>signed in</title>", content_type="text/html")
            response.set_cookie("who", request.match_info["who"], samesite=request.query.get("samesite", "Lax"))
            return response

        return sign_in


class Starlette:
    """``linkauth.starlette.connect_app`` mounted in a Starlette app, by uvicorn."""

    unpacks = False

    def __init__(self) -> None:
        pytest.importorskip("starlette")
        self.uvicorn = pytest.importorskip("uvicorn")
        from linkauth.starlette import connect_app

        self.connect_app = connect_app

    def response(self, *, status: int = 200, text: str = "", location: str | None = None) -> Any:
        from starlette.responses import Response

        return Response(text, status, headers={} if location is None else {"Location": location})

    def to_login(self) -> Exception:
        from starlette.exceptions import HTTPException

        return HTTPException(302, headers={"Location": "/login"})

    async def serve(self, site: Any, connect: Any, socket: Any) -> None:
        from starlette.applications import Starlette as App
        from starlette.requests import Request
        from starlette.responses import HTMLResponse
        from starlette.routing import Mount, Route

        async def sign_in(request: Request) -> HTMLResponse:
            site.signed_in.append(request.cookies.get("who", ""))
            response = HTMLResponse("<title>signed in</title>")
            response.set_cookie("who", request.path_params["who"], samesite=request.query_params.get("samesite", "lax"))
            return response

        app = App(routes=[Route("/sign-in/{who}", sign_in), Mount("/connect", connect)])

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                site.saw(scope["path"], scope["method"], Request(scope).cookies)
            await app(scope, receive, send)

        config = self.uvicorn.Config(watched, log_config=None, access_log=False, lifespan="off")
        self._server = self.uvicorn.Server(config)
        socket.listen()
        config.load()
        self._serving = asyncio.create_task(self._server._serve([socket]))  # without its handlers of signals
        while not self._server.started:  # noqa: ASYNC110  # uvicorn tells nobody
            await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        self._server.should_exit = True
        await self._serving


FRAMEWORKS: dict[str, Any] = {"aiohttp": Aiohttp, "starlette": Starlette}
EVERY = [pytest.param(name, marks=() if name == "aiohttp" else pytest.mark.long) for name in FRAMEWORKS]
"""Parameters of the fixture ``framework``. The test command has aiohttp alone installed."""
