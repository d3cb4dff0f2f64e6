"""Forgetting a credential by its record alone, for who has no registration of it any more. No vendor hears of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from linkauth.engine.replica import Replica
from linkauth.errors import CorruptRecord
from linkauth.protocol import timing
from linkauth.protocol.lineage import ID_BYTES, new_session
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth.store import Committed

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.protocol.records import Session, StoredRecord
    from linkauth.store import Record

__all__ = ["forget"]


async def forget(context: EngineContext, key: str) -> bool:
    """Leave nothing under a credential's ``key``. False: nothing was there, or somebody has logged in meanwhile.

    First it is marked as a logout marks it, so that workers that hold the session let go of it and a renewal that is under way
    comes too late; who has read the mark does not take a record that is gone for one that the store has lost. Raises
    ``StoreUnavailable``.
    """
    own = Replica(context, key)
    reading, time = await own.read()
    if reading.record is None:
        return False
    number = max(reading.record.version, int(time.now * 1000)) + timing.CLAIMED_MEANWHILE
    found = _opened(context, key, reading.record)
    if _is_session(found):
        seen: Session | None = getattr(found, "session", None)
        mark = DeadRecord(
            vendor=getattr(found, "vendor", key.split("/")[1]),
            account=getattr(found, "account", ""),
            reason="forgotten",
            by_user=True,
            session=new_session(number, seen, context.world.entropy(ID_BYTES)).session,
        )
        outcome, _ = await own.commit(number, mark)
        if not isinstance(outcome, Committed):
            return False
        await asyncio.sleep(timing.MARK_READ)
    return await own.delete(number + 1)


def _opened(context: EngineContext, key: str, record: Record) -> StoredRecord | None:
    try:
        return context.codec.open(key, record)
    except CorruptRecord:
        return None


def _is_session(found: StoredRecord | None) -> bool:
    """Whether workers may hold on to it: what cannot be read here may be readable elsewhere."""
    return found is None or (
        isinstance(found, TokenRecord) and (found.session is not None or bool(found.token.refresh_token))
    )
