"""A worker in a process of its own: it reads orders, a line of JSON each, and answers each with a line.

``Worker`` is the test's end of it. An answer is what the order returned, or ``{"error": CLASS, …}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from hashlib import sha256
from typing import Any, Self

from linkauth import AuthEngine, LinkAuthError, Token
from linkauth.clients import SageX3Client
from tests.front.vendors import KINDS

PATIENCE = 60.0
"""Seconds that a busy machine may take for one answer."""


class Worker:
    """``await worker("token", vendor=("LinkXG", arguments))`` has another process do it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, url: str, **options: object) -> Self:
        paths = os.pathsep.join(path for path in sys.path if path)
        program = (sys.executable, "-m", "tests.front.worker", url, json.dumps(options))
        env = {**os.environ, "PYTHONPATH": paths}
        worker = cls(await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE, env=env))
        assert await worker.answer() == "ready"
        return worker

    async def __call__(self, do: str, **order: Any) -> Any:
        self.order(do, **order)
        return await self.answer()

    def order(self, do: str, **order: Any) -> None:
        """Have it done, and hear of it later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")

    async def answer(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self._process.stdout.readline() or b'"gone"')

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


# -- in the other process ----------------------------------------------------------------------------------------------


def fingerprint(token: Token) -> str:
    """Two processes can tell whether they have the same token without showing it."""
    return sha256(token.access_token.encode()).hexdigest()[:12]


async def _do(engine: AuthEngine, order: dict[str, Any]) -> Any:
    kind, arguments = order["vendor"]
    vendor = KINDS[kind](**arguments)
    credential = engine.credential(vendor, order.get("account", "default"))
    match order["do"]:
        case "token":
            return fingerprint(await credential.token())
        case "refresh":
            return fingerprint(await credential.refresh())
        case "complete":
            return (await engine.complete(vendor, order["params"])).account
        case "keep":
            after = order["rotate_secrets_after"]
            return await engine.keep_alive(vendor, every=order["every"], rounds=1, rotate_secrets_after=after)
        case "rotate":
            return await credential.rotate_secret()
        case "adopt":
            return fingerprint(await credential.adopt(**order["session"]))
        case "logout":
            return await credential.logout()
        case "get":
            async with credential.session() as session, session.get(order["path"]) as response:
                return response.status
        case "graphql":
            async with credential.session() as session:
                client = SageX3Client(session)
                (folder, *_) = await client.folders()
                return await client.graphql(folder, order["query"])
        case unknown:
            raise NotImplementedError(unknown)


async def _main(url: str, options: dict[str, Any]) -> None:
    def say(answer: object) -> None:
        print(json.dumps(answer), flush=True)

    async with AuthEngine(url, **options) as engine:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                say(await _do(engine, json.loads(line)))
            except LinkAuthError as error:
                say({"error": type(error).__name__, "words": str(error)})


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], json.loads(sys.argv[2])))
