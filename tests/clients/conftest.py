"""A real server on loopback that answers as a test tells it, and a session whose base URL it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The vendor. ``handler`` answers every request; ``asked`` is what was asked, ``path?query``."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list[web.Request] = []
        self.handler: Handler = self._nothing
        self.url = ""

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=404)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.asked.append(request.raw_path)
        return await self.handler(request)

    def answers(self, body: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Give every request this JSON answer."""

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.json_response(body, status=status, headers=headers)

        self.handler = handler


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    vendor = Api()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", vendor.serve)
    async with TestServer(app) as server:
        vendor.url = str(server.make_url("/"))
        yield vendor


@pytest.fixture
async def session(api: Api) -> AsyncIterator[aiohttp.ClientSession]:
    # The bearer token is a canary: no error may show it.
    headers = {"Authorization": "Bearer canary-5f3a"}
    async with aiohttp.ClientSession(base_url=f"{api.url}api/v1/", headers=headers) as made:
        yield made
