"""The fleet as a test sees it: worker processes to order about, kill and stop."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.fleet.worker import BIG

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds within which anything at all must have happened, on a machine that is busy with other things."""


class Refused(Exception):
    """A worker's ``LinkAuthError``: ``kind`` is its class, ``words`` what it says."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(f"{kind}: {words}")
        self.kind = kind
        self.words = words


class Died(Exception):
    """The worker is no more."""


class Nursery:
    """A process that has imported everything and forks a worker in no time."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "stores"), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "tests.fleet.worker", "--nursery"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT
        )

    def bear(self, path: str) -> None:
        """Fork a worker that connects to ``path``."""
        assert self._process.stdin
        self._process.stdin.write(f"{path}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        """No more workers."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


class Worker:
    """One worker process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._listening: asyncio.Task[None] | None = None
        self.pid = 0
        self.alive = True
        self.on_mark: Callable[[dict[str, Any]], None] | None = None
        """Is called with what a worker that traces says unasked."""

    async def begin(self, order: dict[str, Any]) -> None:
        """Send the first order."""
        self._send(order)
        self.pid = json.loads(await self._reader.readline())["pid"]
        self._listening = asyncio.create_task(self._listen())

    def ask(self, do: str, **fields: Any) -> asyncio.Future[Any]:
        """Give an order; its answer. Raises ``Refused`` or ``Died``, where somebody awaits it."""
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        if self.alive:
            self._send({"id": number, "do": do, **fields})
        else:
            answer.set_exception(Died(do))
        return answer

    def kill(self) -> None:
        """As ``kill -9``."""
        self.alive = False
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        """As SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """As SIGCONT."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def memory(self) -> float:
        """MB that it has resident and shares with nobody's file (0: it is no more)."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) / 1024
        return 0.0

    async def aclose(self) -> None:
        """Kill it, and stop listening."""
        self.kill()
        self._writer.close()
        if self._listening is not None:
            await self._listening

    def _send(self, order: object) -> None:
        self._writer.write(json.dumps(order).encode() + b"\n")

    async def _listen(self) -> None:
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                told = json.loads(line)
                if "mark" in told:
                    if self.on_mark is not None:
                        self.on_mark(told["mark"])
                    continue
                future = self._asked.pop(told["id"])
                if future.done():
                    continue
                if "error" in told:
                    future.set_exception(Refused(*told["error"]))
                else:
                    future.set_result(told["answer"])
        self.alive = False
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Died(str(self.pid)))


class Fleet:
    """Workers on one store, for one vendor. ``order``: what all of them are made of (``worker.Worker``)."""

    def __init__(self, nursery: Nursery, **order: Any) -> None:
        self._nursery = nursery
        self._path = f"/tmp/linkauth-fleet-{os.getpid()}-{id(self):x}.sock"
        self.order = order
        self.workers: list[Worker] = []
        self._born: asyncio.Queue[Worker] = asyncio.Queue()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._born.put_nowait(Worker(reader, writer))

        server = await asyncio.start_unix_server(connected, self._path, limit=BIG)
        self._stack.callback(Path(self._path).unlink, missing_ok=True)
        self._stack.callback(server.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            await worker.aclose()
        await self._stack.aclose()

    async def worker(self, **order: Any) -> Worker:
        """One more worker."""
        self._nursery.bear(self._path)
        async with asyncio.timeout(PATIENCE):
            worker = await self._born.get()
            self.workers.append(worker)
            await worker.begin({**self.order, **order})
        return worker

    async def grow(self, count: int, **order: Any) -> list[Worker]:
        """So many more workers."""
        return [await self.worker(**order) for _ in range(count)]


async def until(what: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Return once ``what()``, which may be a coroutine function, is true."""
    async with asyncio.timeout(patience):
        while True:
            found = what()
            if asyncio.iscoroutine(found) or asyncio.isfuture(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)
