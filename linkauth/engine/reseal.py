"""Everything that is stored under the newest key, so that the older ones may go.

What is sealed is bound to its version, so a record under another key is another version. It says nothing new, and must not
take the place of anything that does. So it is written under the number right above the one that it replaces, while a lease
with a higher number keeps others from beginning anything: whoever began before, and comes late with an answer, still
writes over it. The note stays, for the lease that is held is not the one that is written under.

Only the list of the authorizations that a user has begun (``begun``) is left alone: it holds no secret, lapses with them, and
one that cannot be read harms nobody.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from linkauth.engine.replica import Replica
from linkauth.errors import ConfigurationError, CorruptRecord
from linkauth.protocol import timing
from linkauth.protocol.records import PendingRecord
from linkauth.store import Busy, Committed, Granted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from linkauth.engine.context import EngineContext
    from linkauth.store import Record

__all__ = ["KINDS", "LASTING", "anew", "kept_for", "reseal", "resealed"]

log = logging.getLogger("linkauth")

LASTING: Final = ("secret/", "answer/", "first-seen/")
"""What is written seldom, besides tokens: the kinds that lie under an old key for years unless somebody sees to it."""
KINDS: Final = ("token/", *LASTING, "state/", "round/", "check/")


async def reseal(context: EngineContext, kinds: tuple[str, ...] = KINDS) -> int:
    """Write whatever is in clear, or under another key than the newest, under that. How many records were written.

    May be interrupted, and called again: what is done is not done twice. What cannot be read is left as it is, and told in
    the log. Raises ``ConfigurationError`` where there are no keys, ``StoreUnavailable``.
    """
    return sum([written async for written in resealed(context, kinds)])


async def resealed(context: EngineContext, kinds: tuple[str, ...] = KINDS) -> AsyncGenerator[bool]:
    """As ``reseal``, record by record: whether it was written."""
    if not context.codec.seals:
        raise ConfigurationError(
            "reseal: the engine has no keys; give keys=, on the command line by $LINKAUTH_KEYS, the newest first"
        )
    for kind in kinds:
        async for key in context.store_client.store.keys(kind):
            written = False
            try:
                written = await anew(context, key)
            except CorruptRecord as error:
                log.warning("left as it is: %s", error)
            yield written


async def anew(context: EngineContext, key: str) -> bool:
    """Write the record of ``key`` under the newest key, if it is not. False: there was nothing to do, or no way to it.

    A record that changes meanwhile is looked at again. Who works on it is waited for. Raises ``CorruptRecord``,
    ``StoreUnavailable``.
    """
    record = Replica(context, key, timing.RESEAL_LEASE)
    limit = context.clock.monotonic() + timing.RESEAL_PATIENCE
    while context.clock.monotonic() < limit:
        reading, _ = await record.read()
        found = reading.record
        if found is None or not context.codec.is_old(found):
            return False
        number = found.version + 1
        value, lasts = context.codec.anew(key, found, number), kept_for(context, key, found, reading.now)
        claim, _ = await record.claim(reading.note, number)
        if isinstance(claim, Busy):  # and read again: he leaves another note
            await record.wait(max(min(claim.remaining, limit - context.clock.monotonic()), 0.0), number, claim)
        elif isinstance(claim, Granted):
            try:
                if claim.record == found:
                    outcome, _ = await record.put(number, value, lasts)
                    if isinstance(outcome, Committed):
                        return True
            finally:
                await record.release(claim.number, context.codec.note_anew(key, claim.note))
    log.warning("record %s is being worked on all the time; it is left as it is", key)
    return False


def kept_for(context: EngineContext, key: str, found: Record, now: float) -> float | None:
    """Seconds after which the store may forget the record; None: never. Raises ``CorruptRecord``."""
    if not key.startswith("state/"):
        return None
    return max(context.codec.expect(key, found, PendingRecord).expires_at - now, 0.0)
