"""A forward proxy on loopback that knows CONNECT, and where each name leads."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.loopback import Raw

if TYPE_CHECKING:
    from collections.abc import Callable


def tunnel(port: int, login: str | None = None) -> Callable[..., object]:
    """For ``raw``: open the way to ``port`` of this machine, whatever name is asked for; ``heard`` has what was asked.

    ``login``: the ``Proxy-Authorization`` without which it answers 407.
    """

    async def talk(server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await server.request(reader)
        if not head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        if login is not None and f"Proxy-Authorization: {login}\r\n".encode() not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        finally:
            far_writer.close()

    return talk


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
