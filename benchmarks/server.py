"""The token endpoint and the API that all subjects ask: a process of its own, on the last core.

It counts what it is asked for, grants client credentials and rotating refresh tokens, and can be told to be slow or down.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from aiohttp import ClientSession, web

from benchmarks.measure import stay_on

if TYPE_CHECKING:
    from types import TracebackType

PLAIN = {"delay": 0.0, "status": 200, "lifetime": 3600.0}
"""How it behaves unless it is told otherwise: seconds until an answer, its status, ``expires_in``, which is longer than any of
the peers looks ahead."""


class _Vendor:
    """What the server's process does."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._ends: dict[str, float] = {}
        self._used: set[str] = set()
        self._behaviour: dict[str, float] = dict(PLAIN)
        self._counts = {"requests": 0, "reused": 0}

    async def token(self, request: web.Request) -> web.Response:
        self._counts["requests"] += 1
        form = await request.post()
        if refresh := str(form.get("refresh_token") or ""):
            self._counts["reused"] += refresh in self._used
            self._used.add(refresh)
        await asyncio.sleep(self._behaviour["delay"])
        if self._behaviour["status"] != 200:
            return web.json_response({"error": "temporarily_unavailable"}, status=int(self._behaviour["status"]))
        number, lifetime = next(self._numbers), self._behaviour["lifetime"]
        access = f"{number:032d}" * 16
        self._ends[f"Bearer {access}"] = time.time() + lifetime
        body: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "expires_in": int(lifetime)}
        if refresh:
            body["refresh_token"] = f"refresh-{number}"
        return web.json_response(body)

    async def api(self, request: web.Request) -> web.Response:
        live = time.time() < self._ends.get(request.headers.get("Authorization", ""), 0)
        return web.json_response({"data": "x" * 1000}, status=200 if live else 401)

    async def behave(self, request: web.Request) -> web.Response:
        self._behaviour = PLAIN | await request.json()
        self._counts = dict.fromkeys(self._counts, 0)
        self._used.clear()
        return web.Response()

    async def counts(self, _: web.Request) -> web.Response:
        return web.json_response(self._counts)

    async def configuration(self, _: web.Request) -> web.Response:
        """For msal, which will not do without discovery."""
        root = "https://login.microsoftonline.com/common"
        named = {"token_endpoint": f"{root}/token", "authorization_endpoint": f"{root}/authorize", "issuer": root}
        return web.json_response(named)

    async def serve(self) -> None:
        app = web.Application()
        app.router.add_get("/api", self.api)
        app.router.add_post("/behave", self.behave)
        app.router.add_get("/counts", self.counts)
        app.router.add_get("/{root:.*}/.well-known/openid-configuration", self.configuration)
        app.router.add_post("/{root:.*}token", self.token)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)  # whoever started it keeps this open
        await runner.cleanup()


class Server:
    """The process, for those who measure."""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "benchmarks.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout
        self.root = f"http://127.0.0.1:{int(await self._process.stdout.readline())}"
        self.token_url = f"{self.root}/token"
        self._session = ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        assert self._process.stdin
        self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            await self._process.wait()

    async def behave(self, **differently: float) -> None:
        """Be ``PLAIN`` but for this, and count anew."""
        async with self._session.post(f"{self.root}/behave", data=json.dumps(differently)) as answer:
            answer.raise_for_status()

    async def counts(self) -> dict[str, int]:
        """``requests`` to the token endpoint, and how many of them ``reused`` a refresh token."""
        async with self._session.get(f"{self.root}/counts") as answer:
            return dict(await answer.json())

    async def asked(self) -> None:
        """Return once the token endpoint was asked."""
        while not (await self.counts())["requests"]:  # noqa: ASYNC110  # another process can set no event of ours
            await asyncio.sleep(0)


if __name__ == "__main__":
    stay_on(-1)
    asyncio.run(_Vendor().serve())
