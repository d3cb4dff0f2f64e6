"""What a server's own INFO says of whether it keeps what it is given. Nothing is asked that the store's user may not ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from linkauth.store import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from linkauth_stores.redis.url import Client

__all__ = ["findings"]

OLDEST: Final = (6, 2)


async def findings(node: Any, _: Client) -> list[Finding]:
    """Of one server. What redis-py raises, but for a missing right."""
    info: dict[str, Any] = {}
    try:
        for section in ("server", "memory", "persistence"):
            info |= await node.execute_command("INFO", section)
    except ResponseError:
        return [
            Finding("whether it persists and evicts is not known: this user may not ask (ACL SETUSER … +info lets it)")
        ]
    return [*_version(info), *_eviction(info), *_persistence(info)]


def _version(info: Mapping[str, Any]) -> Iterator[Finding]:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version", info.get("redis_version", "")))
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        return
    old = name == "Redis" and (int(numbers[1]), int(numbers[2])) < OLDEST
    yield Finding(f"{name} {version}", "Redis 6.2 or newer is needed, or Valkey" if old else "")


def _eviction(info: Mapping[str, Any]) -> Iterator[Finding]:
    policy, limit = str(info.get("maxmemory_policy", "")), info.get("maxmemory", 0)
    if not limit:
        yield Finding("no record is evicted: the server's memory has no limit of its own")
    elif policy.startswith("allkeys"):
        yield Finding(
            f"records may be evicted (maxmemory-policy {policy}): each would be a session that is lost",
            "maxmemory-policy noeviction, or a volatile- policy",
        )
    else:
        yield Finding(f"no record is evicted (maxmemory-policy {policy})")


def _persistence(info: Mapping[str, Any]) -> Iterator[Finding]:
    if not info.get("aof_enabled"):
        yield Finding(
            "a restart forgets what was written since the last snapshot, or all (appendonly no)",
            "appendonly yes; until then, sessions that no worker holds in memory are lost with the server",
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield Finding("the server cannot write its append-only file", "look at its log and its disk")
    else:
        yield Finding("what is written survives a restart (appendonly yes)")
