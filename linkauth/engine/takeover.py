"""Writing a credential by the user's word: a login, a pairing, a logout. Whatever the record holds gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Exchange
from linkauth.errors import InvalidGrant, InvalidToken, LinkAuthError, StoreUnavailable
from linkauth.protocol.effects import LeaseLost
from linkauth.store import Busy, Granted

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.lease import Lease
    from linkauth.engine.ledger import Ledger
    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime
    from linkauth.vendors.vendor import Vendor

__all__ = ["logout", "replace"]


async def replace(ledger: Ledger, make: Callable[[Vendor], Flow[Token]]) -> Token:
    """Run a flow that brings a token by the user's word, and put it in the place of whatever is there."""
    while True:
        try:
            return await _replace(ledger, make)
        except LeaseLost:
            continue  # this process was stopped for longer than its lease; nothing was sent


async def _replace(ledger: Ledger, make: Callable[[Vendor], Flow[Token]]) -> Token:
    office = ledger.office
    claim, time = await _seize(ledger)
    lease = ledger.lease(claim, time)
    try:
        async with lease:
            vendor = await office.registrations.newest(ledger.vendor)
            exchange = Exchange(
                office.world,
                time,
                lambda: make(vendor),
                limit=office.timeout,
                lease=lease,
                profile=vendor.rotation,
                single_use=True,
            )
            fresh = await exchange.run()
    except Exception:
        await lease.release(claim.note)
        raise
    return await ledger.store(fresh, claim.number, time, precious=True)


async def _seize(ledger: Ledger) -> tuple[Granted, StoreTime]:
    """The lease on a credential, whatever its record holds. Raises ``StoreUnavailable``."""
    limit = ledger.office.world.monotonic() + 2 * ledger.ttl
    while ledger.office.world.monotonic() < limit:
        reading, time = await ledger.read()
        ledger.know(reading.record, time)  # what a logout must revoke, and what holds should a login fail
        known = max(ledger.holding.version, reading.record.version if reading.record else 0)
        claim, time = await ledger.claim(reading.note, newer_than=known)
        if isinstance(claim, Granted):
            return claim, time
        ledger.know(claim.record, time)
        if isinstance(claim, Busy):
            await ledger.wait(min(claim.remaining, limit - ledger.office.world.monotonic()), newer_than=known)
    raise StoreUnavailable("another worker holds the lease for too long")


async def logout(ledger: Ledger) -> None:
    """Revoke at the vendor where it can, and forget here and in the store in any case; tell what that leaves open.

    Raises what the vendor answered after forgetting; ``StoreError``.
    """
    while True:
        claim, time = await _seize(ledger)
        lease = ledger.lease(claim, time)
        failure = await _revoke(ledger, lease, time)
        if await _is_undisturbed(ledger, lease, claim) and await ledger.forget(claim.number, "logged out"):
            break
        await lease.release()
    left = f"not revoked: {failure}" if failure is not None else ledger.vendor.leaves_open
    ledger.tell(EventKind.LOGGED_OUT, left)
    if failure is not None:
        raise failure


async def _is_undisturbed(ledger: Ledger, lease: Lease, claim: Granted) -> bool:
    """Whether the session that was revoked is the one that there is, and will be.

    Somebody's answer may have come late, to be forgotten unrevoked; and this process may have been stopped for longer than
    its lease, while somebody began to renew. An answer that an outage had kept back and that comes in the milliseconds
    between this look and the forgetting is forgotten unrevoked: a store does not tell what a commit took the place of.
    """
    reading, _ = await ledger.read()
    return reading.record == claim.record and await lease.held()


async def _revoke(ledger: Ledger, lease: Lease, time: StoreTime) -> LinkAuthError | None:
    """End the session at the vendor. What hinders that is returned."""
    office, token = ledger.office, ledger.holding.token
    if token is None:
        return None
    async with lease:
        vendor = await office.registrations.newest(ledger.vendor)
        exchange = Exchange(
            office.world,
            time,
            lambda: vendor.logout(token),
            limit=office.timeout,
            profile=vendor.rotation,
            single_use=False,
        )
        try:
            await exchange.run()
        except (InvalidGrant, InvalidToken):
            pass  # it was dead already
        except LinkAuthError as error:
            return error
    return None
