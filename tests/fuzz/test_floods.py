"""Answers without an end, wherever HTTP lets one hide: refused or timed out, and not remembered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import MalformedResponse, NoAnswer
from linkauth.oauth.exchange import Request
from linkauth.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS: dict[str, tuple[bytes, bytes]] = {
    "headers": (OK, b"X-A: b\r\n" * 5000),
    "one long header": (OK + b"X-A: ", b"b" * 65536),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "chunk extensions": (CHUNKED, b"1;" + b"x" * 8000 + b"\r\na\r\n"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"X-A: b\r\n" * 5000),
    "a body": (OK + b"\r\n", b"[" * 65536),
}

LATE = {"interim answers", "chunk extensions"}
"""What only the time limit ends; the rest is too much long before it."""


@pytest.mark.parametrize("what", FLOODS)
async def test_an_answer_without_an_end_is_cut_off(what):
    """In the time that was given, and within a few times what an answer may have."""
    begin, more = FLOODS[what]

    def parts() -> Iterator[bytes]:
        yield begin
        yield from itertools.repeat(more)

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts():
                writer.write(part)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = Transport()
    tracemalloc.start()
    try:
        with pytest.raises((MalformedResponse, NoAnswer)):
            await transport.send(Request(url=f"http://127.0.0.1:{port}/"), 2.0 if what in LATE else 60.0)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
        server.close()
