"""Replacing a client's secret: stored before anybody is told, because the vendor kills the old one at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Exchange
from linkauth.engine.lease import Lease
from linkauth.errors import MalformedResponse, NoAnswer, StoreError, StoreUnavailable, VendorUnavailable
from linkauth.oauth.token import Secret
from linkauth.protocol import timing
from linkauth.protocol.effects import LeaseLost
from linkauth.protocol.records import SecretRecord, answer_key, secret_key
from linkauth.store import Busy, Granted, Superseded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.keeper import Keeper
    from linkauth.engine.ledger import Ledger
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime

__all__ = ["rotate"]

log = logging.getLogger("linkauth")


async def rotate(ledger: Ledger, authority: Callable[[], Awaitable[Token]]) -> None:
    """Replace the client's secret at the vendor with the token that ``authority`` brings when it is this one's turn.

    Whoever finds another worker at it waits, and shares the secret that it brings. Raises ``UnsupportedGrant``, the
    vendor's refusal, ``VendorUnavailable``, ``MalformedResponse`` (``raw``: the answer; it is in the store, too),
    ``StoreUnavailable`` before anything was sent, and after it where the store would not take the secret: then this
    process uses it and goes on offering it.
    """
    while True:
        try:
            return await _rotate(ledger, authority)
        except LeaseLost:
            continue  # this process was stopped for longer than its lease


async def _rotate(ledger: Ledger, authority: Callable[[], Awaitable[Token]]) -> None:
    office, vendor = ledger.office, ledger.vendor
    claimed = await _claim(ledger)
    if claimed is None:
        return
    claim, time = claimed
    lease = Lease(
        office.shelf, office.world, secret_key(vendor), claim.number, office.timeout + timing.LEASE_MORE, time
    )
    begun = office.world.monotonic()
    try:
        async with lease:
            secret = await _asked(ledger, lease, time, authority)
    except Exception:
        await lease.release()
        raise
    await _keep_secret(ledger, claim.number, secret)
    ledger.tell(EventKind.SECRET_ROTATED, duration=office.world.monotonic() - begun)


async def _asked(ledger: Ledger, lease: Lease, time: StoreTime, authority: Callable[[], Awaitable[Token]]) -> Secret:
    """The secret that the vendor gives for a token of ``authority``.

    Raises ``LeaseLost`` where a secret stands above what would be written under this lease: another rotation's, while
    this process was stopped and no clock told; or one put back into a store that lost its data, and gave low numbers again.
    """
    office, vendor = ledger.office, ledger.vendor
    token = await authority()
    while left := office.watch.unsettled():
        await asyncio.sleep(left)
        token = await authority()  # the other may have ended meanwhile
    await office.registrations.newest(vendor)  # what was left in escrow comes before a look
    await office.registrations.look(vendor)
    if office.registrations.version(vendor) >= lease.number:
        raise LeaseLost
    newest = await office.registrations.newest(vendor)
    exchange = Exchange(
        office.world,
        time,
        lambda: newest.rotate_secret(token),
        limit=office.timeout,
        lease=lease,
        profile=vendor.rotation,
        # A lost answer took the secret with it: while the token lives, asking again is the one way to another.
        single_use=False,
    )
    try:
        return await exchange.run()
    except MalformedResponse as error:
        if isinstance(error.raw, Secret):
            await _keep_answer(ledger, lease.number, error.raw)
        raise
    except NoAnswer:
        log.error("%s: no answer to a rotation came, the old secret may be dead: rotate again at once", vendor.name)  # noqa: TRY400  # no traceback: its frames hold the token
        raise


async def _claim(ledger: Ledger) -> tuple[Granted, StoreTime] | None:
    """The lease on the client's secret; None: another worker has replaced it while this one waited."""
    office, vendor = ledger.office, ledger.vendor
    store, key, ttl = office.shelf.store, secret_key(vendor), office.timeout + timing.LEASE_MORE
    limit = office.world.monotonic() + 2 * ttl
    known, waited = office.registrations.version(vendor), False
    while office.world.monotonic() < limit:
        claim, time = await office.shelf.ask(store.claim(key, office.owner(), ttl, known, b""))
        if isinstance(claim, Granted):
            return claim, time
        if isinstance(claim, Busy):
            waited = True
            patience = min(claim.remaining, limit - office.world.monotonic())
            with office.flights.idle():
                await office.shelf.do(store.wait_for_change(key, known, patience), extra=patience)
            continue
        await office.registrations.look(vendor)
        if waited:
            return None
        known = claim.record.version
    raise VendorUnavailable("another worker has been rotating this client's secret for too long")


async def _keep_secret(ledger: Ledger, number: int, secret: Secret) -> None:
    office, vendor = ledger.office, ledger.vendor
    office.registrations.learn(vendor, secret, number)
    key = secret_key(vendor)
    keeper = office.registrations.keeper(key)
    record = SecretRecord(vendor=vendor.name, client_secret=secret.reveal())
    try:
        outcome, _ = await keeper.commit(number, office.envelope.close(key, number, record))
        if isinstance(outcome, Superseded) and not _is_twin(outcome, number):
            await office.registrations.look(vendor)  # a later rotation, whose secret is the one that lives
    except StoreError as error:
        office.flights.start(_insist(ledger, keeper), f"linkauth saving {key}", precious=True)
        fault = (
            f"the vendor has rotated the secret and the store has not taken it yet; this process offers it on: {error}"
        )
    else:
        if isinstance(outcome, Superseded) and _is_twin(outcome, number):
            claimed = await _claim(ledger)
            if claimed is not None:
                await _keep_secret(ledger, claimed[0].number, secret)
            return
        # What an earlier rotation left unread is dead by now.
        await office.shelf.quietly(office.shelf.store.delete(answer_key(vendor), number))
        return
    raise StoreUnavailable(fault)


def _is_twin(outcome: Superseded, number: int) -> bool:
    """Whether what stands in the way has this very number, which a store that lost its data gave twice.

    Then it is of a rotation that was answered before, and nobody but us has the secret that lives.
    """
    return outcome.record is not None and outcome.record.version == number


async def _keep_answer(ledger: Ledger, number: int, raw: Secret) -> None:
    """Put an answer that nobody understood where the operator can get at it."""
    office, vendor = ledger.office, ledger.vendor
    key = answer_key(vendor)
    keeper = office.registrations.keeper(key)
    record = SecretRecord(vendor=vendor.name, client_secret=raw.reveal())
    words = "the store has yet to take it"
    try:
        await keeper.commit(number, office.envelope.close(key, number, record))
        words = f"it is kept in record {key}"
    except StoreError:
        office.flights.start(_insist(ledger, keeper), f"linkauth saving {key}", precious=True)
    log.error("%s: no secret was recognised in the answer to a rotation; %s", vendor.name, words)


async def _insist(ledger: Ledger, keeper: Keeper) -> None:
    if await keeper.insist() is None:
        log.error("%s: closing, and the store has not taken what a rotation brought", ledger.vendor.name)
