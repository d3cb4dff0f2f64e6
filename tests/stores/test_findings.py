"""What a store says of where it lives: whether what is stored stays, and stays secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from linkauth.store import Finding
from linkauth_stores.file import FileStore
from linkauth_stores.redis import RedisStore, settings
from tests.servers import Server, binary
from tests.stores.counting import PATIENCE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stores" / "redis.md"
WELL = {"redis_version": "7.2.4", "maxmemory": 0, "aof_enabled": 1, "aof_last_write_status": "ok"}


class Node:
    """A server whose INFO is ``info``."""

    def __init__(self, info: Any) -> None:
        self.info = info

    async def execute_command(self, *words: str) -> Any:
        if isinstance(self.info, Exception):
            raise self.info
        return self.info


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, []),
        ({"redis_version": "5.0.7"}, ["Redis 6.2 or newer is needed, or Valkey"]),
        ({"valkey_version": "7.2.5", "redis_version": "7.2.4"}, []),
        ({"redis_version": ""}, []),
        ({"maxmemory": 10**8, "maxmemory_policy": "allkeys-lfu"}, ["maxmemory-policy noeviction, or a volatile- policy"]),
        ({"maxmemory": 10**8, "maxmemory_policy": "volatile-ttl"}, []),
        ({"aof_enabled": 0}, ["appendonly yes; until then, sessions that no worker holds in memory are lost with the server"]),
        ({"aof_last_write_status": "err"}, ["look at its log and its disk"]),
    ],
)  # fmt: skip
async def test_what_a_servers_info_means(info: dict[str, Any], said: list[str]) -> None:
    """Advice for what loses sessions, and a word on each that is well."""
    found = await settings.findings(Node(WELL | info), None)
    assert [each.advice for each in found if each.advice] == said
    assert len(found) == (3 if info.get("redis_version") != "" else 2)


async def test_a_user_that_may_not_ask() -> None:
    """Then that is what is said, and is no fault."""
    (found,) = await settings.findings(Node(ResponseError("NOPERM")), None)
    assert ("+info" in found.what, found.advice) == (True, "")


async def test_a_real_servers_findings(mine) -> None:
    """Each is well, or has advice; a server of the tests' own keeps nothing over a restart."""
    found = await mine.findings()
    assert [bool(each.advice) for each in found] == [False, False, True]
    assert found[0].what.split()[0] in {"Valkey", "Redis"}


async def test_files_that_others_may_read(tmp_path: Path) -> None:
    """Each is counted; the advice names the folder."""
    store = FileStore(tmp_path / "store")
    await store.commit("token/a/1", 1, b"v")
    (found,) = await store.findings()
    assert not found.advice
    (tmp_path / "store" / "token+a+1.record").chmod(0o640)
    assert await store.findings() == [
        Finding(f"1 files in {tmp_path / 'store'} can be read by others", f"chmod 600 {tmp_path / 'store'}/*")
    ]
    await store.aclose()


async def test_a_server_as_the_page_wants_it(tmp_path: Path) -> None:
    """With the settings of ``docs/stores/redis.md``, and a limit to its memory, a real server leaves nothing to say."""
    if binary() is None:
        pytest.skip("no Redis on this machine")
    (printed,) = re.findall(r"```text\n(appendonly.*?)```", PAGE.read_text(), flags=re.DOTALL)
    words = [word for line in printed.splitlines() for word in f"--{line}".split()]
    with Server(tmp_path / "server", *words, "--maxmemory", "100mb") as server:
        store = RedisStore(server.url, timeout=PATIENCE)
        found = await store.findings()
        await store.aclose()
    assert len(found) == 3
    assert [each.advice for each in found if each.advice] == []
