"""What the stores' pages say of bytes and of commands is measured: a session each, with tokens of two lengths."""

from __future__ import annotations

import gc
import math
import os
import re
import time
import tracemalloc
from pathlib import Path

import pytest

from linkauth import AuthEngine, LinkXGUser
from linkauth.sandbox import Sandbox
from linkauth.store import Granted, TokenStore
from linkauth_stores.file import FileStore
from linkauth_stores.memory import MemoryStore
from linkauth_stores.redis import RedisStore
from tests.servers import Server
from tests.stores.counting import PATIENCE, scripts

PAGES = Path(__file__).resolve().parents[2] / "docs" / "stores"
LENGTHS = [40, 1500]
"""Characters of the access token, and of the refresh token beside it: opaque ones, and JWTs."""
KEYS = {"in clear": None, "encrypted": "A" * 43 + "="}
SESSIONS = 50


def said(page: str, length: int, column: int) -> int:
    """Bytes that the page's table names for tokens of ``length`` characters."""
    (row,) = re.findall(rf"^\| {length:,} and {length:,} \|(.*)\|$", (PAGES / page).read_text(), flags=re.MULTILINE)
    return int(row.split("|")[column].strip().replace(",", ""))


async def a_record(length: int, keys: str | None) -> bytes:
    """What an engine stores of one session, as it lies in the store."""
    store = MemoryStore()
    async with AuthEngine(store, keys=keys) as engine:
        credential = engine.credential(LinkXGUser(), "ada@example.com")
        tokens = {"access_token": "a" * length, "refresh_token": "r" * length}
        await credential.adopt(**tokens, expires_at=time.time() + 3600)
    (key,) = [key async for key in store.keys("token/")]
    reading = await store.read(key)
    assert reading.record is not None
    return reading.record.value


async def fill(store: TokenStore, value: bytes) -> None:
    """As many sessions, each claimed and committed as a renewal does it."""
    for number in range(SESSIONS):
        key = f"token/linkxg-user/{number:032x}"
        claim = await store.claim(key, "0123456789abcdef", 15, 0, b"")
        assert isinstance(claim, Granted)
        await store.commit(key, claim.number, value)


def is_near(measured: float, told: int) -> bool:
    """An allocator's rounding, or a server's release, may make a quarter of difference."""
    return 0.75 * told < measured < 1.25 * told


@pytest.mark.parametrize("how", KEYS)
@pytest.mark.parametrize("length", LENGTHS)
async def test_a_session_in_redis(server: Server, length: int, how: str) -> None:
    """Two hashes, and together as many bytes as the page says (``MEMORY USAGE``)."""
    store = RedisStore(server.url, timeout=PATIENCE)
    await fill(store, await a_record(length, KEYS[how]))
    await store.aclose()
    client = server.client()
    names = list(client.scan_iter())
    assert len(names) == 2 * SESSIONS
    bytes_each = sum(client.memory_usage(name, samples=0) for name in names) / SESSIONS
    told = said("redis.md", length, list(KEYS).index(how))
    assert is_near(bytes_each, told), f"{bytes_each:.0f} bytes, and the page says {told}"


@pytest.mark.parametrize("how", KEYS)
@pytest.mark.parametrize("length", LENGTHS)
async def test_a_session_in_a_folder(tmp_path: Path, length: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file, of as many bytes as the page says, and four flushes for a claim and a commit."""
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)  # how long a disk takes is not what is measured
    store = FileStore(tmp_path / "tokens")
    await fill(store, await a_record(length, KEYS[how]))
    assert len(flushed) // SESSIONS == 4  # one more for the folder, and whatever another test's threads end with
    files = [path for path in (tmp_path / "tokens").iterdir() if path.suffix == ".record"]
    assert len(files) == SESSIONS
    bytes_each = sum(path.stat().st_size for path in files) / SESSIONS
    told = said("file.md", length, list(KEYS).index(how))
    assert is_near(bytes_each, told), f"{bytes_each:.0f} bytes, and the page says {told}"


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_session_in_memory(length: int) -> None:
    """As many bytes of Python's heap as the page says."""
    value = await a_record(length, None)
    store = MemoryStore()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(SESSIONS):
            key, own = f"token/linkxg-user/{number:032x}", bytes(bytearray(value))  # each its own bytes
            claim = await store.claim(key, "0123456789abcdef", 15, 0, b"")
            assert isinstance(claim, Granted)
            await store.commit(key, claim.number, own)
        gc.collect()
        bytes_each = (tracemalloc.get_traced_memory()[0] - before) / SESSIONS
    finally:
        tracemalloc.stop()
    told = said("memory.md", length, 0)
    assert is_near(bytes_each, told), f"{bytes_each:.0f} bytes, and the page says {told}"


async def long_up(_: RedisStore) -> float:
    """A server that was started long ago: after a restart workers look around first."""
    return math.inf


async def test_commands_of_a_renewal_in_redis(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's table: nothing for a token that is held, one look for a new worker, two for a renewal, none for who only hears of it."""
    (rows,) = re.findall(
        r"\| what \| round trips \|\n.*?\n(.*?)\n\n", (PAGES / "redis.md").read_text(), flags=re.DOTALL
    )
    told = [int(row.split("|")[2].split()[0]) for row in rows.splitlines()]
    seen = []

    def count() -> None:
        nonlocal before
        seen.append(scripts(server) - before)
        before = scripts(server)

    monkeypatch.setattr(RedisStore, "uptime", long_up)
    stores = [RedisStore(server.url, timeout=PATIENCE) for _ in range(2)]
    async with Sandbox() as sandbox, AuthEngine(stores[0]) as one, AuthEngine(stores[1]) as other:
        vendor = LinkXGUser(base_url=sandbox.linkxg.base_url)
        mine, theirs = one.credential(vendor, "ada"), other.credential(vendor, "ada")
        await mine.login(email=sandbox.linkxg.email, password=sandbox.linkxg.password)
        before = scripts(server)
        await mine.token()
        count()
        await theirs.token()
        count()
        await mine.refresh()
        count()
        await theirs.token()
        count()
        await one.credential(sandbox.linkxg.vendor()).token()
        before = scripts(server)
        await one.credential(sandbox.linkxg.vendor()).refresh()
        count()
        await mine.status()
        count()
    for store in stores:
        await store.aclose()
    assert seen == told
