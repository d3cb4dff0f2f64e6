"""A page of somebody else's, whose name its owner points at this machine, is not served (DNS rebinding)."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

ORDER = b'{"linkxg": {"settings": {"token_lifetime": 2}}}'


async def raw(sandbox, host: str | None, path: str, body: bytes = b"") -> int:
    """The status of a request with ``host`` in its ``Host``, as a browser would send it that was led here."""
    reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Content-Type: application/json", "Connection: close"]
    lines += [f"Content-Length: {len(body)}"] + ([] if host is None else [f"Host: {host}"])
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example",
        "x.localhost",
        "",
        "[",
        "10.0.0.1",
        "127.0.0.1.evil.example",
        None,
    ],
)
@pytest.mark.parametrize("path", ["/_control", "/counters", "/", "/linkkit/oauth/authorize"])
async def test_another_name_is_not_served(sandbox, host, path):
    """Neither the control door nor a page nor a vendor answers, and an order changes nothing."""
    named = host and host.format(port=sandbox.port)
    order = ORDER if path == "/_control" else b""
    assert await raw(sandbox, named, path, order) in {400, 421}
    assert sandbox.linkxg.settings.token_lifetime == 900


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:{port}", "LOCALHOST", "127.0.0.1:{port}", "127.8.8.8", "[::1]:{port}"]
)
async def test_this_machine_is_served(sandbox, host):
    """Whatever this machine is called that nobody else can be called."""
    assert await raw(sandbox, host.format(port=sandbox.port), "/counters") == 200
    assert await raw(sandbox, host.format(port=sandbox.port), "/_control", ORDER) == 200
    assert sandbox.linkxg.settings.token_lifetime == 2


async def test_the_regions_port_is_guarded_too(sandbox):
    """Every port that the sandbox listens at serves the same app."""
    port = urlsplit(sandbox.sagex3.region_url).port
    reader, writer = await asyncio.open_connection(sandbox.host, port)
    writer.write(b"GET /counters HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert b" 421 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
