"""Whether the store is fit for work: it can be read and written, and the keys open what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.protocol.records import CheckRecord
from linkauth.store import Committed

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext

__all__ = ["check"]

KEY: Final = "check/store"


async def check(context: EngineContext) -> None:
    """Read one record and write it anew: two calls of the store. Raises ``StoreError``.

    It is there for nothing else, so that no credential is held up. Whoever writes it shows the others with which keys this
    worker writes. Before there is one, a token's record is opened in its place.
    """
    store_client, codec = context.store_client, context.codec
    reading, _ = await store_client.ask(store_client.store.read(KEY))
    version = 0
    if reading.record is None:
        await _open_any(context)
    else:
        codec.expect(KEY, reading.record, CheckRecord)
        version = reading.record.version
    value = codec.close(KEY, version + 1, CheckRecord(at=reading.now))
    outcome, _ = await store_client.ask(store_client.store.commit(KEY, version + 1, value))
    if not isinstance(outcome, Committed) and outcome.record is not None:  # somebody else was faster
        codec.expect(KEY, outcome.record, CheckRecord)


async def _open_any(context: EngineContext) -> None:
    store_client = context.store_client
    async for key in store_client.store.keys("token/"):
        reading, _ = await store_client.ask(store_client.store.read(key))
        if reading.record is not None:
            context.codec.open(key, reading.record)
            return
