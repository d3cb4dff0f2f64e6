"""The authorizations that one user has begun and not ended: so many, and no more, lie in the store.

Whoever may begin one may begin a thousand, and each would lie there for its time: a day, for Sage X3. The newest is the
one that the user is looking at, so it is the oldest that gives way.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from linkauth.errors import CorruptRecord
from linkauth.protocol import timing
from linkauth.protocol.records import BegunRecord, begun_key
from linkauth.store import Busy, Newer

if TYPE_CHECKING:
    from linkauth.engine.ledger import Ledger
    from linkauth.store import Granted

__all__ = ["make_room"]

MOST: Final = 50
"""Pending authorizations of one account at one vendor. With more browser tabs than that nobody keeps track."""


async def make_room(ledger: Ledger, state: str) -> float:
    """Note the authorization under the key ``state``, and take away what is too many. The store's clock, Unix seconds.

    Raises ``StoreUnavailable``.
    """
    office, key = ledger.office, begun_key(ledger.vendor, ledger.account)
    store = office.shelf.store
    claim = await _claim(ledger, key)
    begun: tuple[str, ...] = ()
    if claim.record is not None:
        # One that cannot be read keeps nobody from connecting: the states that it named end by themselves.
        with contextlib.suppress(CorruptRecord):
            begun = office.envelope.expect(key, claim.record, BegunRecord).states
    begun = (*begun, state)
    value = office.envelope.close(key, claim.number, BegunRecord(states=begun[-MOST:]))
    await office.shelf.ask(store.commit(key, claim.number, value, ttl=ledger.vendor.pending_lifetime))
    for old in begun[:-MOST]:
        await office.shelf.ask(store.take(old))
    return claim.now


async def _claim(ledger: Ledger, key: str) -> Granted:
    office, known = ledger.office, 0
    store = office.shelf.store
    while True:
        claim, _ = await office.shelf.ask(store.claim(key, office.owner(), timing.STORE_CALL, known, b""))
        if isinstance(claim, Newer):
            known = claim.record.version
        elif isinstance(claim, Busy):
            with office.flights.idle():
                left = claim.remaining
                await office.shelf.do(store.wait_for_change(key, known, left), extra=left)
        else:
            return claim
