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
    from linkauth.engine.replica import Replica
    from linkauth.store import Granted

__all__ = ["make_room"]

MOST: Final = 50
"""Pending authorizations of one account at one vendor. With more browser tabs than that nobody keeps track."""


async def make_room(replica: Replica, state: str) -> float:
    """Note the authorization under the key ``state``, and take away what is too many. The store's clock, Unix seconds.

    Raises ``StoreUnavailable``.
    """
    context, key = replica.context, begun_key(replica.vendor, replica.account)
    store = context.store_client.store
    claim = await _claim(replica, key)
    begun: tuple[str, ...] = ()
    if claim.record is not None:
        # One that cannot be read keeps nobody from connecting: the states that it named end by themselves.
        with contextlib.suppress(CorruptRecord):
            begun = context.codec.expect(key, claim.record, BegunRecord).states
    begun = (*begun, state)
    value = context.codec.close(key, claim.number, BegunRecord(states=begun[-MOST:]))
    await context.store_client.ask(store.commit(key, claim.number, value, ttl=replica.vendor.pending_lifetime))
    for old in begun[:-MOST]:
        await context.store_client.ask(store.take(old))
    return claim.now


async def _claim(replica: Replica, key: str) -> Granted:
    context, known = replica.context, 0
    store = context.store_client.store
    while True:
        claim, _ = await context.store_client.ask(store.claim(key, context.owner(), timing.STORE_CALL, known, b""))
        if isinstance(claim, Newer):
            known = claim.record.version
        elif isinstance(claim, Busy):
            with context.flights.idle():
                left = claim.remaining
                await context.store_client.do(store.wait_for_change(key, known, left), extra=left)
        else:
            return claim
