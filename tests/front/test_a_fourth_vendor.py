"""The fictional vendor of ``tests/vendors/test_a_fourth_vendor.py``, through the front door as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from linkauth import AuthEngine, StateMismatch
from linkauth.web import connect_app
from tests.front.vendors import REDIRECT
from tests.vendors.test_a_fourth_vendor import Fictional

if TYPE_CHECKING:
    from pathlib import Path


class Server:
    """Fictional Ltd. itself: tickets, and refresh tokens that are good for one use."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.good = ""

    async def token(self, request: web.Request) -> web.Response:
        fields = await request.post()
        self.asked.append(str(fields["grant_type"]))
        given = fields.get("code") or fields.get("refresh_token")
        if given != (self.good or "the-ticket"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.good = f"refresh-{len(self.asked)}"
        access = f"access-{len(self.asked)}"
        return web.json_response({"access_token": access, "token_type": "bearer", "refresh_token": self.good})

    async def things(self, request: web.Request) -> web.Response:
        return web.json_response(request.headers.get("Authorization"))


async def test_it_works_as_the_others_do(tmp_path: Path) -> None:
    """Asked, completed, called, renewed after a restart, mounted in a web app: nothing of linkauth knows its name."""
    server = Server()
    app = web.Application()
    app.router.add_post("/token", server.token)
    app.router.add_get("/things", server.things)
    async with TestServer(app) as running:
        vendor = Fictional(client_id="c", client_secret="s", base_url=str(running.make_url("")).rstrip("/"))
        url = f"file:{tmp_path / 'store'}"
        async with AuthEngine(url) as engine:
            credential = engine.credential(vendor, "ada")
            page = await credential.authorization_url(REDIRECT)
            params = {"ticket": "the-ticket", "state": page.rpartition("state=")[2]}
            assert await engine.complete(vendor, params) is credential
            with pytest.raises(StateMismatch):
                await engine.complete(vendor, params)
        async with AuthEngine(url) as engine, engine.credential(vendor, "ada").session() as session:
            async with session.get("things") as response:
                assert await response.json() == "Bearer access-1"
            await engine.credential(vendor, "ada").refresh()
            async with session.get("things") as response:
                assert await response.json() == "Bearer access-2"
            connect_app(engine, [vendor], public_url="https://app.example/connect", account=lambda _: "ada")
    assert server.asked == ["ticket", "refresh_token"]
