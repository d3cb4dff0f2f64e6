"""8 processes of 500 tasks each share one session whose refresh token is good for one use, on files and on Redis.

What is told is the time until the last task of the last process has its token, how many requests that took, and how many
refresh tokens were used twice, each of which ends a session at a vendor that takes reuse for theft (RFC 9700 §4.14.2).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Bench
from benchmarks.worker import FLOCK, PUBLISH, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from benchmarks.measure import Figures, Scene, Turn

PROCESSES = 8
TASKS = 500
DELAY = 0.1
"""Seconds that the token endpoint takes."""
APART = 1.1
"""Seconds between the session's beginning and the race: linkauth renews no session twice in a second, and none that expires is so young."""


class _Worker:
    """One of the processes: it is told a line and answers with one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tell(self, *words: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        await self._process.stdin.drain()

    async def answer(self) -> int:
        """How many of its tasks failed; 0 also for a word that it is ready."""
        assert self._process.stdout
        return int(await self._process.stdout.readline())

    async def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()


async def _started(stack: AsyncExitStack, scene: Scene, place: str) -> _Worker:
    command = [sys.executable, "-m", "benchmarks.worker", scene.server.token_url, place]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    worker = _Worker(process)
    stack.push_async_callback(worker.end)
    return worker


async def _race(workers: list[_Worker], subject: str, numbers: itertools.count[int], scene: Scene) -> Figures:
    await scene.server.behave(delay=DELAY)
    account, tasks = f"account-{next(numbers)}", max(1, scene.some(TASKS))
    await workers[0].tell("seed", subject, account, 0)
    await workers[0].answer()
    await asyncio.sleep(APART)
    for worker in workers:
        await worker.tell("ready", subject, account, 0)
    for worker in workers:
        await worker.answer()
    begun = time.monotonic()
    for worker in workers:
        await worker.tell("go", subject, account, tasks)
    failed = sum(await asyncio.gather(*(worker.answer() for worker in workers)))
    took = time.monotonic() - begun
    counts = await scene.server.counts()
    return {"ms": 1e3 * took, "requests": counts["requests"], "used twice": counts["reused"], "failed": failed}


def _redis_here() -> str | None:
    from tests.servers import binary

    return binary()


@asynccontextmanager
async def _place(kind: str) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        if kind == "file":
            yield f"file:{folder}"
            return
        from tests.servers import Server

        server = await asyncio.to_thread(Server(Path(folder)).start)
        yield server.url
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def _opened(kind: str, scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    if kind == "redis" and _redis_here() is None:
        yield {}
        return
    numbers = itertools.count()
    async with _place(kind) as place, AsyncExitStack() as stack:
        count = max(2, int(PROCESSES * min(1.0, 4 * scene.scale)))
        workers = [await _started(stack, scene, place) for _ in range(count)]
        for worker in workers:
            await worker.answer()
        yield {subject: partial(_race, workers, subject, numbers, scene) for subject in SUBJECTS[kind]}


_WHAT = f"{PROCESSES} processes of {TASKS} tasks each, one rotating session"
FILES = Bench("files", f"{_WHAT}, in a folder", partial(_opened, "file"), FLOCK, rounds=7)
REDIS = Bench("redis", f"{_WHAT}, in Redis", partial(_opened, "redis"), PUBLISH, rounds=7)
