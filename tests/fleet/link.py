"""A TCP link on loopback that can be slow, silent, dripping, refused or cut."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

DRIP = 16
"""Bytes that pass at a time on a dripping link."""


class Link:
    """Stands before ``127.0.0.1:target``; clients connect to ``port``. All of it may be changed at any time.

    ``refuse``: new connections end at once. ``delay``: seconds that everything takes, each way. ``drip``: seconds between
    two small pieces. ``silence()``: nothing passes any more, and nobody is told, until ``speak()``, when what was held
    up passes after all, as on a network that comes back.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self.target = target
        self.port = port
        self.refuse = False
        self.delay = 0.0
        self.drip = 0.0
        self.passed = 0
        """Bytes that came back."""
        self._moves = 0
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.mend()
        self.refuse = True
        while self._tasks:
            self.cut()
            await asyncio.wait(self._tasks, timeout=0.05)

    def silence(self) -> None:
        """Let nothing pass."""
        self._speaks.clear()

    def mend(self) -> None:
        """Be an ordinary link again."""
        self.refuse, self.delay, self.drip = False, 0.0, 0.0
        self._speaks.set()

    def cut(self) -> None:
        """End every connection, as a reset would."""
        self._cut_those(tuple(self._ends))

    def _cut_those(self, ends: Iterable[asyncio.StreamWriter]) -> None:
        for end in ends:
            end.transport.abort()

    def move(self, target: int, probed: float = math.inf) -> None:
        """Lead to ``target`` from now on, as an address that moves does: who is connected learns it when next he sends.

        ``probed``: seconds after which he learns it in any case, from his own kernel's keep-alive probes.
        """
        self.target = target
        self._moves += 1
        if probed < math.inf:
            asyncio.get_running_loop().call_later(probed, self._cut_those, tuple(self._ends))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._ends.add(writer)
        try:
            if not self.refuse:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
                self._ends.add(far_writer)
                try:
                    here = self._moves
                    await asyncio.gather(
                        self._pump(reader, far_writer, here), self._pump(far_reader, writer, here, back=True)
                    )
                finally:
                    far_writer.transport.abort()
                    self._ends.discard(far_writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._ends.discard(writer)
            self._tasks.discard(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, here: int, *, back: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if here != self._moves:
                    break
                await asyncio.sleep(self.delay)
                for piece in self._pieces(data):
                    await self._speaks.wait()
                    sink.write(piece)
                    await sink.drain()
                    self.passed += back * len(piece)
                    if self.drip:
                        await asyncio.sleep(self.drip)
        if here != self._moves and back:
            return  # the near end is not told
        sink.transport.abort() if back or here != self._moves else sink.close()

    def _pieces(self, data: bytes) -> list[bytes]:
        return [data[at : at + DRIP] for at in range(0, len(data), DRIP)] if self.drip else [data]
