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

from linkauth.errors import ConfigurationError, CorruptRecord
from linkauth.protocol import timing
from linkauth.protocol.records import PendingRecord
from linkauth.store import Busy, Committed, Granted

if TYPE_CHECKING:
    from linkauth.engine.office import Office
    from linkauth.store import Record

__all__ = ["LASTING", "anew", "reseal"]

log = logging.getLogger("linkauth")

LASTING: Final = ("secret/", "answer/", "first-seen/")
"""What is written seldom, besides tokens: the kinds that lie under an old key for years unless somebody sees to it."""
KINDS: Final = ("token/", *LASTING, "state/", "round/")


async def reseal(office: Office, kinds: tuple[str, ...] = KINDS) -> int:
    """Write whatever is in clear, or under another key than the newest, under that. How many records were written.

    May be interrupted, and called again: what is done is not done twice. What cannot be read is left as it is, and told in
    the log. Raises ``ConfigurationError`` where there are no keys, ``StoreUnavailable``.
    """
    if not office.envelope.seals:
        raise ConfigurationError("reseal: the engine has no keys")
    written = 0
    for kind in kinds:
        async for key in office.shelf.store.keys(kind):
            try:
                written += await anew(office, key)
            except CorruptRecord as error:
                log.warning("left as it is: %s", error)
    return written


async def anew(office: Office, key: str) -> bool:
    """Write the record of ``key`` under the newest key, if it is not. False: there was nothing to do, or no way to it.

    A record that changes meanwhile is looked at again. Who works on it is waited for. Raises ``CorruptRecord``,
    ``StoreUnavailable``.
    """
    shelf = office.shelf
    limit = office.world.monotonic() + timing.RESEAL_PATIENCE
    while office.world.monotonic() < limit:
        reading, _ = await shelf.ask(shelf.store.read(key))
        found = reading.record
        if found is None or not office.envelope.is_old(found):
            return False
        number = found.version + 1
        value, lasts = office.envelope.anew(key, found, number), _lasts(office, key, found, reading.now)
        claim, _ = await shelf.ask(shelf.store.claim(key, office.owner(), timing.RESEAL_LEASE, number, reading.note))
        if isinstance(claim, Busy):
            patience = max(min(claim.remaining, limit - office.world.monotonic()), 0.0)
            await shelf.do(shelf.store.wait_for_change(key, number, patience), extra=patience)
        elif isinstance(claim, Granted):
            try:
                if claim.record == found:
                    outcome, _ = await shelf.ask(shelf.store.commit(key, number, value, ttl=lasts))
                    if isinstance(outcome, Committed):
                        return True
            finally:
                note = office.envelope.note_anew(key, claim.note)
                await shelf.quietly(shelf.store.release(key, claim.number, note))
    log.warning("record %s is being worked on all the time; it is left as it is", key)
    return False


def _lasts(office: Office, key: str, found: Record, now: float) -> float | None:
    """Seconds after which the store may forget the record; None: never."""
    if not key.startswith("state/"):
        return None
    return max(office.envelope.expect(key, found, PendingRecord).expires_at - now, 0.0)
