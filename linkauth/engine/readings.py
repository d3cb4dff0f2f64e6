"""Everything that a store holds of some kind, read many at a time where the store can (``store.Batching``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from linkauth.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from linkauth.engine.context import EngineContext
    from linkauth.store import Batching, Reading

__all__ = ["readings"]

AT_ONCE: Final = 250
"""Keys in one batch: enough that round trips cost little, and few enough that one is no load to a store, or to memory."""


async def readings(context: EngineContext, prefix: str) -> AsyncIterator[tuple[str, Reading | CorruptRecord]]:
    """Each key that begins with ``prefix``, and what it holds: a ``CorruptRecord`` is what the store cannot read.

    What goes away meanwhile has no record. Raises ``StoreUnavailable``.
    """
    batch: list[str] = []
    async for key in context.store_client.store.keys(prefix):
        batch.append(key)
        if len(batch) >= AT_ONCE:
            for each in await _read(context, batch):
                yield each
            batch = []
    for each in await _read(context, batch):
        yield each


async def _read(context: EngineContext, keys: Sequence[str]) -> list[tuple[str, Reading | CorruptRecord]]:
    store_client = context.store_client
    if not keys:
        return []
    if hasattr(store_client.store, "read_many"):
        found = await store_client.do(cast("Batching", store_client.store).read_many(keys))
        return list(zip(keys, found, strict=True))
    return [(key, await _one(context, key)) for key in keys]


async def _one(context: EngineContext, key: str) -> Reading | CorruptRecord:
    store_client = context.store_client
    try:
        return (await store_client.ask(store_client.store.read(key)))[0]
    except CorruptRecord as error:
        return error
