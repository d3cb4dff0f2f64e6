"""Many records in one round trip, by plain commands in a pipeline: a script for each would cost the server five times as much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio import RedisCluster

from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.store import Reading, Record
from linkauth_stores.redis.trips import is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linkauth_stores.redis.url import Client

__all__ = ["read_many"]

LARGEST_VALUE = 16 * 1024 * 1024
LARGEST_NOTE = 64 * 1024
"""As in the scripts: what is larger was not written by this store."""


async def read_many(client: Client, prefix: str, keys: Sequence[str]) -> list[Reading | CorruptRecord]:
    """What each of ``keys`` holds. A record and the note beside it are of two moments, as any two records are.

    Raises ``StoreUnavailable`` for answers that the commands do not give, and what redis-py raises.
    """
    where: dict[str, Any] = {}
    names = [f"{prefix}:{{{key}}}" for key in keys]
    if isinstance(client, RedisCluster):
        await client.initialize()
        where = {"target_nodes": [client.get_node_from_key(names[0])]}
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.execute_command("TIME", **where)
    for name in names:
        pipeline.execute_command("HMGET", name, "version", "value")
        pipeline.execute_command("HMGET", f"{name}:lease", "note")
    match await pipeline.execute():
        case [[bytes() as seconds, bytes() as micros], *found] if (
            is_number(seconds) and is_number(micros) and len(found) == 2 * len(keys)
        ):
            now = int(seconds) + int(micros) / 1_000_000
            return [
                _reading(key, record, note, now)
                for key, record, note in zip(keys, found[::2], found[1::2], strict=True)
            ]
        case _:
            raise StoreUnavailable("Redis: the server's answer is none of HMGET's; look what stands in between")


def _reading(key: str, record: object, note: object, now: float) -> Reading | CorruptRecord:
    match record, note:
        case [None, None], [None | bytes() as left] if len(left or b"") <= LARGEST_NOTE:
            return Reading(record=None, note=left or b"", now=now)
        case [bytes() as version, bytes() as value], [None | bytes() as left] if (
            is_number(version) and len(value) <= LARGEST_VALUE and len(left or b"") <= LARGEST_NOTE
        ):
            return Reading(record=Record(version=int(version), value=value), note=left or b"", now=now)
        case _:
            return CorruptRecord(f"Redis: the record {key!r} cannot be read: it is not what this store writes")
