"""A TCP proxy on loopback that loses answers, cuts connections or falls silent when told to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl


class Proxy:
    """Stands before ``127.0.0.1:target``; clients connect to ``port``.

    ``lose(marker, times)``: the next requests that contain ``marker`` reach the server, and instead of its answer the
    client sees the connection end. ``speaks``: an event; while it is clear nothing comes back. ``cut()``: end every
    connection now. ``refuse``: while True new connections end at once. ``tls``: speak TLS to clients.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.target = target
        self.port = 0
        self.refuse = False
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.lost = 0
        self._marker = b""
        self._times = 0
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.speaks.set()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def lose(self, marker: bytes, times: int = 1) -> None:
        """Lose the answers to the next ``times`` requests that contain ``marker``."""
        self._marker, self._times = marker, times

    def cut(self) -> None:
        """End every connection, as a reset would."""
        for writer in list(self._pairs):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._pairs.add(writer)
        with contextlib.suppress(OSError):
            if not self.refuse:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
                self._pairs.add(far_writer)
                doomed = asyncio.Event()
                back = asyncio.create_task(self._back(far_reader, writer, doomed))
                with contextlib.suppress(OSError):
                    while data := await reader.read(65536):
                        if self._times and self._marker in data:
                            self._times -= 1
                            doomed.set()
                        far_writer.write(data)
                        await far_writer.drain()
                far_writer.transport.abort()
                await back
                self._pairs.discard(far_writer)
        writer.transport.abort()
        self._pairs.discard(writer)
        self._tasks.discard(task)

    async def _back(self, far: asyncio.StreamReader, near: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await far.read(65536):
                await self.speaks.wait()
                if doomed.is_set():  # the server has acted: this is the answer that gets lost
                    self.lost += 1
                    break
                near.write(data)
                await near.drain()
        near.transport.abort()
