"""Writing down that there is no token: for a refusal, once for the whole fleet, or for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.engine.events import EventKind
from linkauth.errors import StoreUnavailable
from linkauth.protocol.intent import digest
from linkauth.protocol.records import DeadRecord
from linkauth.store import Committed, Superseded

if TYPE_CHECKING:
    from linkauth.engine.lease import Lease
    from linkauth.engine.token_replica import TokenReplica
    from linkauth.oauth.token import Token
    from linkauth.protocol.records import Session

__all__ = ["forget", "mark_dead"]


async def mark_dead(replica: TokenReplica, lease: Lease, reason: str, number: int = 0) -> Token:
    """Write down that only the user can help, once for the whole fleet, and raise it.

    ``number``: one above the record that was last looked at, so that what has come since stands; 0: the lease's.
    Returns only where a newer token stood in the way.
    """
    refused, lineage, number = replica.state.entry, replica.state.lineage, number or lease.number
    mark = DeadRecord(
        vendor=replica.vendor.name,
        account=replica.account,
        reason=reason,
        spent=digest(replica.state.token),
        session=lineage.session,
        generation=lineage.generation,
    )
    try:
        outcome, time = await replica.commit(number, mark)
    except StoreUnavailable:
        # The next worker will be refused as this one was; this one knows the record that stands there as dead.
        replica.learn(lambda state: state.refused(mark, state.version, refused, stored=False))
    else:
        if number != lease.number:
            await lease.release()
        if isinstance(outcome, Superseded) and outcome.record is not None:
            replica.adopt(outcome.record, time)
            return replica.current()
        replica.learn(lambda state: state.refused(mark, number, refused))
    replica.events.tell(EventKind.REAUTHORIZATION_REQUIRED, reason)
    raise replica.reauthorization(reason)


async def forget(replica: TokenReplica, number: int, reason: str, session: Session | None) -> bool:
    """Leave nothing of the token behind, here and in the store. False: a token was written by a later claim.

    ``session``: one that comes after all that is forgotten. Without a ``reason`` no mark is left either.
    """
    mark = None
    if replica.vendor.needs_user and reason:
        mark = DeadRecord(
            vendor=replica.vendor.name, account=replica.account, reason=reason, by_user=True, session=session
        )
        outcome, _ = await replica.commit(number, mark)
        forgotten = isinstance(outcome, Committed) or outcome.record is None
    else:
        forgotten = await replica.delete(number)
    if forgotten:
        replica.outbox.kept = None
        await replica.outbox.drop(number)
        over = replica.state.entry
        replica.learn(lambda state: state.forgotten(number) if mark is None else state.refused(mark, number, over))
    return forgotten
