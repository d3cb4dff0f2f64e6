"""What the tests of ``RedisStore`` share: a store that is warm, and what a server counts."""

from __future__ import annotations

import asyncio

from tests.servers import Server

KEY = "token/linkxg/0123456789abcdef"
PATIENCE = 10.0
"""Seconds that a busy machine may take for a round trip where the time-out is not what is tested."""


async def warm(store, key="warm/up/0"):
    claim = await store.claim(key, "w", 1, 0, b"")
    await store.commit(key, claim.number, b"")
    await store.read(key)
    await store.claim(key, "w", 1, 1, b"")
    await store.release(key, 2)


def push(store) -> asyncio.Task[None]:
    """A task that ends when ``store`` is told of a change of KEY: by push, not by a poll, nor by a new subscription."""
    ears = store._session().ears
    since, floor = ears.now(), ears._floor

    async def told() -> None:
        assert await ears.wait(KEY, since, 60)
        assert ears._floor == floor

    return asyncio.create_task(told())


def scripts(server: Server) -> int:
    stats = server.client().info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


def commands(server: Server) -> int:
    """What clients sent so far (commands within scripts are not counted by EVALSHA's own entry)."""
    stats = server.client().info("commandstats")
    inner = ("time", "hmget", "hset", "hdel", "pttl", "pexpire", "persist", "publish", "del")
    skip = {f"cmdstat_{name}" for name in (*inner, "info", "hello", "client", "config", "ping")}  # Redis 6 says client,
    return sum(
        entry["calls"] for name, entry in stats.items() if name.partition("|")[0] not in skip
    )  # 7 client|setinfo
