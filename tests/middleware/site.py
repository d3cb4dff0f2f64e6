"""A vendor on loopback that the middleware calls: its API, its token endpoint, and what they saw."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import aiohttp
from aiohttp import web

from linkauth import AuthEngine, OAuth2, SageX3
from linkauth.oauth.token import Token
from linkauth.protocol.records import TokenRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BIG = b"x" * 5_000_000


class Site:
    """A vendor's API and token endpoint, and what they saw. Only the newest token is good."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None, bytes]] = []
        """Method, path and query, Authorization, body."""
        self.counts: Counter[str] = Counter()
        self.url = ""
        self.refuses = False
        """Every call is a 401."""
        self.big = False
        """A 401 has 5 MB."""
        self.token_status = 200
        self.api_status = 200
        self.gate: asyncio.Event | None = None
        """What the token endpoint waits for."""
        self.late: asyncio.Event | None = None
        """What a 401 waits for, where the query says ``late``."""
        self.hosts: list[str] = []
        self.issued = 0

    @property
    def current(self) -> str:
        return f"Bearer token-{self.issued}"

    def signed(self) -> list[str | None]:
        return [authorization for _, _, authorization, _ in self.seen]

    def revoke(self) -> None:
        """The token that is out there is no longer good."""
        self.issued += 1

    async def token(self, request: web.Request) -> web.Response:
        self.counts["token"] += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.token_status != 200:
            return web.Response(status=self.token_status)
        self.issued += 1
        answer = {"access_token": f"token-{self.issued}", "token_type": "Bearer", "expires_in": 900}
        return web.json_response(answer)

    async def api(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization")
        self.hosts.append(request.headers["Host"])
        if "early" in request.query:
            self.seen.append((request.method, request.path_qs, authorization, b"unread"))
        else:
            self.seen.append((request.method, request.path_qs, authorization, await request.read()))
        self.counts["api"] += 1
        if "to" in request.query:
            raise _redirect(request)
        if self.api_status != 200:
            return web.Response(status=self.api_status)
        if self.refuses or authorization != self.current:
            if self.late is not None and "late" in request.query:
                await self.late.wait()
            return web.Response(status=401, body=BIG if self.big else b"no")
        if "ws" in request.query:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str("hello")
            await socket.close()
            return socket
        return web.json_response({"ok": True})


def _redirect(request: web.Request) -> web.HTTPException:
    kinds = {"302": web.HTTPFound, "307": web.HTTPTemporaryRedirect, "308": web.HTTPPermanentRedirect}
    return kinds[request.query["status"]](request.query["to"])


class Vendor(Protocol):
    """What can be served."""

    url: str

    async def token(self, request: web.Request) -> web.Response: ...
    async def api(self, request: web.Request) -> web.StreamResponse: ...


V = TypeVar("V", bound=Vendor)


@asynccontextmanager
async def serving(site: V) -> AsyncIterator[V]:
    """``site`` on loopback: its token endpoint at ``/v1/oauth/token``, its API everywhere else."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/oauth/token", site.token)
    app.router.add_route("*", "/{path:.*}", site.api)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


async def get(session: aiohttp.ClientSession, url: Any, **kwargs: Any) -> int:
    async with session.get(url, **kwargs) as answer:
        await answer.read()
        return answer.status


async def chunks():
    for _ in range(4):
        yield b"chunk"


async def another_process_stored(engine: AuthEngine, vendor: OAuth2 | SageX3, lifetime: float, **of_token: Any) -> Any:
    """The credential of ``vendor``, whose token only the store knows of: it lives ``lifetime`` seconds from now."""
    credential = engine.credential(vendor)
    store, key = engine.context.store_client.store, credential.replica.key
    claim = await store.claim(key, "another process", 5, 0, b"")
    token = Token(issued_at=claim.now, expires_at=claim.now + lifetime, **of_token)
    record = TokenRecord(vendor=vendor.name, account="default", token=token)
    await store.commit(key, claim.number, engine.context.codec.close(key, claim.number, record))
    return credential
