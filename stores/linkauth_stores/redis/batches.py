"""Many records in one round trip, by plain commands in a pipeline: a script for each would cost the server five times as much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio import RedisCluster

from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.store import Reading, Record
from linkauth_stores.redis import words
from linkauth_stores.redis.trips import is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linkauth_stores.redis.url import Client

__all__ = ["read_many"]

LOOK = "look what stands in between"
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
    try:
        first, *found = [_answer(each) for each in await pipeline.execute(raise_on_error=False)]
    except LookupError:  # redis-py's, of a TIME without texts
        first, found = None, []
    match first:
        case [int() as seconds, int() as micros]:  # redis-py's, of TIME's texts
            now = seconds + micros / 1_000_000
        case _:
            raise StoreUnavailable(f"Redis: the server's answer is none of TIME's; {LOOK}")
    return [_reading(key, record, note, now) for key, record, note in zip(keys, found[::2], found[1::2], strict=True)]


def _answer(answer: Any) -> Any:
    """``answer``; None where something else lives under the name. Raises what else the server, or the client, says."""
    if isinstance(answer, Exception):
        if words.code(answer) != "WRONGTYPE":
            raise answer
        return None
    return answer


def _reading(key: str, record: Any, note: Any, now: float) -> Reading | CorruptRecord:
    match record, note:
        case [None, None], [None | bytes() as left] if len(left or b"") <= LARGEST_NOTE:
            return Reading(record=None, note=left or b"", now=now)
        case [bytes() as version, bytes() as value], [None | bytes() as left] if (
            is_number(version) and len(value) <= LARGEST_VALUE and len(left or b"") <= LARGEST_NOTE
        ):
            return Reading(record=Record(version=int(version), value=value), note=left or b"", now=now)
        case None | [_, _], None | [_]:
            return CorruptRecord(f"Redis: the record {key!r} cannot be read: it is not what this store writes")
        case _:
            raise StoreUnavailable(f"Redis: the server's answer is none of HMGET's; {LOOK}")
