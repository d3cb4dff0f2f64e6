"""Whether the store is fit for work: it can be read and written, and the keys open what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.engine.replica import Replica
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
    own = Replica(context, KEY)
    reading, _ = await own.read()
    version = 0
    if reading.record is None:
        await _open_any(context)
    else:
        own.open(reading.record, CheckRecord)
        version = reading.record.version
    outcome, _ = await own.commit(version + 1, CheckRecord(at=reading.now))
    if not isinstance(outcome, Committed) and outcome.record is not None:  # somebody else was faster
        own.open(outcome.record, CheckRecord)


async def _open_any(context: EngineContext) -> None:
    async for key in context.store_client.store.keys("token/"):
        reading, _ = await Replica(context, key).read()
        if reading.record is not None:
            context.codec.open(key, reading.record)
            return
