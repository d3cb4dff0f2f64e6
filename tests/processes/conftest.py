"""Worker processes, and a sandbox for them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WORKER = Path(__file__).parent / "worker.py"
PATIENCE = 60.0


class Worker:
    """One worker process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, how: dict[str, Any]) -> Worker:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, WORKER, json.dumps(how), stdin=pipe, stdout=pipe)
        return cls(process)

    async def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line, "the worker died"
        return json.loads(line)

    def order(self, call: str = "token", tasks: int = 1, **arguments: str) -> None:
        assert self.process.stdin is not None
        order = {"call": call, "tasks": tasks, "with": arguments}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")

    async def do(self, call: str = "token", tasks: int = 1, **arguments: str) -> dict[str, Any]:
        self.order(call, tasks, **arguments)
        return await self.hear()

    async def kill(self) -> None:
        """kill -9."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def start(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts so many workers of a kind, and hands them over when they are ready for orders."""
    running: list[Worker] = []

    async def begin(count: int, kind: str, **how: Any) -> list[Worker]:
        part = sandbox.linkxg
        vendor = {"base_url": part.base_url}
        if kind == "client":
            vendor |= {"client_id": part.client_id, "client_secret": part.client_secret}
        how = {"path": str(tmp_path / "store"), "kind": kind, "vendor": vendor, **how}
        workers = await asyncio.gather(*(Worker.start(how) for _ in range(count)))
        running.extend(workers)
        for worker in workers:
            assert await worker.hear() == {"ready": True}
        return list(workers)

    yield begin
    for worker in running:
        await worker.kill()
