"""Writing a credential for the user: a login, a pairing, a logout. Each **overrides** whatever the record holds.

1. **Claim**, above every number that is known and above the store's clock in milliseconds: so the store itself refuses what is
   late of an earlier session, though it lost its data meanwhile and counts anew. Whoever renews is waited for shortly; the
   user needs no lease, for the number fences and the session orders.
2. **Exchange** with the vendor.
3. **Commit** a new session, or the mark that the user has gone: above what others may have claimed since then, should the lease
   have ended, for they have yet to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from linkauth.errors import InvalidGrant, InvalidToken, LinkAuthError, ReauthorizationRequired, StoreUnavailable
from linkauth.protocol import timing
from linkauth.protocol.claim import acquire
from linkauth.protocol.effects import Claim, Commit, Exchange, Failed, Forget, Held, LeaseLost, Read, Release
from linkauth.protocol.lineage import ID_BYTES, new_session
from linkauth.protocol.session_end import hopeless
from linkauth.store import Granted

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Steps
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.lineage import Lineage
    from linkauth.protocol.worker import Worker
    from linkauth.store import Reading, Record
    from linkauth.vendors.vendor import Vendor

__all__ = ["begin", "claim", "end"]

TOO_LONG: Final = "another worker holds the lease for too long"


@attrs.frozen
class Override:
    """What the user does: under which number and of which session it is written, and what was found."""

    number: int
    lineage: Lineage
    leased: bool
    """By the lease, so that nobody renews what is held."""
    record: Record | None
    note: bytes = attrs.field(repr=False)


def begin(me: Worker, flow: Callable[[Vendor, Token | None], Flow[Token]]) -> Steps[Token]:
    """Run a flow in which the user brings a token, and put that in the place of whatever is there.

    The flow is given what is held: a live session's token, or None.
    """
    started = me.now()
    while True:
        override = yield from claim(me)
        held = None if hopeless(me.vendor, me.token, me.store_now()) else me.token
        try:
            outcome: Token | Failed = yield _exchange(flow, held)
        except LeaseLost:  # this process was stopped for longer than its lease; nothing was sent
            yield Release(override.note)
            continue
        if isinstance(outcome, Failed):
            yield Release(override.note)
            error = outcome.error
            raise me.reauthorization(str(error)) if isinstance(error, ReauthorizationRequired) else error
        if _goes_on(me, held, outcome) and not (override.leased and (yield Held())):
            # What is here stays as it is.
            yield Release(override.note)
            raise me.reauthorization("another worker may be spending the refresh token that this consent goes on with")
        stored: Token = yield Commit(outcome, override.lineage, irreplaceable=True, number=override.number)
        yield Release()
        me.tell("connected", duration=me.now() - started)
        return stored


def _exchange(flow: Callable[[Vendor, Token | None], Flow[Token]], held: Token | None) -> Exchange:
    return Exchange(lambda vendor: flow(vendor, held), single_use=True)


def _goes_on(me: Worker, held: Token | None, token: Token) -> bool:
    """Whether ``token`` has a refresh token that is good for one use from what is ``held``, for its answer had none."""
    return me.vendor.rotation.rotates and held is not None and token.refresh_token == held.refresh_token is not None


def end(me: Worker) -> Steps[None]:
    """Revoke at the vendor where it can, and forget here and in the store in any case; tell what that leaves open.

    Raises what the vendor answered after forgetting; ``StoreError``.
    """
    while True:
        override = yield from claim(me)
        try:
            failure = yield from _revoke(me)
        except LeaseLost:  # as above
            yield Release(override.note)
            continue
        undisturbed = yield from _is_undisturbed(override)
        forgotten = undisturbed and (yield Forget("logged out", override.number, override.lineage.session))
        yield Release()
        if forgotten:
            break
    me.tell("logged out", f"not revoked: {failure}" if failure is not None else me.vendor.leaves_open)
    if failure is not None:
        raise failure


def claim(me: Worker) -> Steps[Override]:
    """The lease on a credential, whatever its record holds; without it, where a renewal takes long. Raises ``StoreError``."""
    limit = me.now() + 2 * (me.timeout + me.ttl)
    known = 0

    def look() -> Steps[Claim]:
        nonlocal known
        found: tuple[Reading, StoreTime] = yield Read()
        reading, time = found
        if reading.record is not None:  # what a logout must revoke, and what holds should a login fail
            me.observe(reading.record, time)
        if me.now() >= limit:
            raise StoreUnavailable(TOO_LONG)
        known = max(me.version, reading.record.version if reading.record else 0)
        if me.vendor.needs_user:
            known = max(known, int(time.now * 1000))
        return Claim(known, reading.note)

    patience = me.now() + timing.USER_WAITS if me.vendor.needs_user else limit
    claimed, time = yield from acquire(me.now, look=look, passing=True, until=patience)
    if claimed.record is not None:
        me.observe(claimed.record, time)
    leased = isinstance(claimed, Granted)
    if not (leased or me.vendor.needs_user):
        raise StoreUnavailable(TOO_LONG)
    # Not by the answer's time, which may be late: of two logins that cross the one that claimed later stands.
    number = (claimed.number if isinstance(claimed, Granted) else known) + timing.CLAIMED_MEANWHILE
    lineage = new_session(number, me.lineage.session, me.entropy(ID_BYTES))
    return Override(number, lineage, leased, claimed.record, claimed.note)


def _is_undisturbed(override: Override) -> Steps[bool]:
    """Whether the session that was revoked is the one that there is, and will be.

    Somebody's answer may have come late, to be forgotten unrevoked; and this process may have been stopped for longer than
    its lease, while somebody began to renew. An answer that an outage had kept back and that comes in the milliseconds
    between this look and the forgetting is forgotten unrevoked: a store does not tell what a commit took the place of.
    """
    found: tuple[Reading, StoreTime] = yield Read()
    held: bool = yield Held()
    return found[0].record == override.record and held


def _revoke(me: Worker) -> Steps[LinkAuthError | None]:
    """End the session at the vendor. What hinders that is returned."""
    token = me.token
    if token is None:
        return None
    outcome: Failed | None = yield Exchange(lambda vendor: vendor.logout(token))
    if outcome is None or isinstance(outcome.error, InvalidGrant | InvalidToken):
        return None  # or it was dead already
    if not isinstance(outcome.error, LinkAuthError):
        raise outcome.error
    return outcome.error
