"""The authorizations that one user has begun and not ended: so many, and no more, lie in the store.

Whoever may begin one may begin a thousand, and each would lie there for its time: a day, for Sage X3. The newest is the
one that the user is looking at, so it is the oldest that gives way.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from linkauth.engine.replica import Replica
from linkauth.errors import CorruptRecord
from linkauth.protocol.keys import pending_list_key
from linkauth.protocol.records import PendingListRecord

if TYPE_CHECKING:
    from linkauth.engine.token_replica import TokenReplica

__all__ = ["make_room"]

MOST: Final = 50
"""Pending authorizations of one account at one vendor. With more browser tabs than that nobody keeps track."""


async def make_room(replica: TokenReplica, state: str) -> float:
    """Note the authorization under the key ``state``, and take away what is too many. The store's clock, Unix seconds.

    Raises ``StoreUnavailable``.
    """
    context = replica.context
    pending = Replica(context, pending_list_key(replica.vendor, replica.account))
    claim, _ = await pending.acquire(0, passing=True)
    begun: tuple[str, ...] = ()
    if claim.record is not None:
        # One that cannot be read keeps nobody from connecting: the states that it named end by themselves.
        with contextlib.suppress(CorruptRecord):
            begun = pending.open(claim.record, PendingListRecord).states
    begun = (*begun, state)
    await pending.commit(claim.number, PendingListRecord(states=begun[-MOST:]), replica.vendor.pending_lifetime)
    for old in begun[:-MOST]:
        await Replica(context, old).take()
    return claim.now
