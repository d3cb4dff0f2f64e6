"""Replacing a client's secret: stored before anybody is told, because the vendor kills the old one at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Exchange
from linkauth.engine.keeper import Keeper
from linkauth.engine.lease import Lease
from linkauth.engine.ledger import LEASE_MORE
from linkauth.engine.records import SecretRecord, answer_key, secret_key
from linkauth.errors import MalformedResponse, StoreError, StoreUnavailable, VendorUnavailable
from linkauth.oauth.token import Secret
from linkauth.store import Busy, Committed, Granted

if TYPE_CHECKING:
    from linkauth.engine.ledger import Ledger
    from linkauth.oauth.token import Token

__all__ = ["rotate"]

log = logging.getLogger("linkauth")


async def rotate(ledger: Ledger, token: Token) -> None:
    """Replace the client's secret at the vendor with ``token``'s authority.

    Raises ``UnsupportedGrant``, the vendor's refusal, ``MalformedResponse`` (``raw``: the answer; it is in the store,
    too), ``StoreUnavailable`` before anything was sent, and after it where the store would not take the secret:
    then this process uses it and goes on offering it.
    """
    office, vendor = ledger.office, ledger.vendor
    key, owner = secret_key(vendor), office.owner()
    store, ttl = office.shelf.store, office.timeout + LEASE_MORE
    claim, time = await office.shelf.ask(store.claim(key, owner, ttl, office.registrations.version(vendor), b""))
    while not isinstance(claim, Granted):
        if isinstance(claim, Busy):
            raise VendorUnavailable("another worker is rotating this client's secret", retry_after=claim.remaining)
        await office.registrations.look(vendor)
        claim, time = await office.shelf.ask(store.claim(key, owner, ttl, claim.record.version, b""))
    lease = Lease(office.shelf, office.world, key, claim.number, ttl, time)
    newest = await office.registrations.newest(vendor)
    exchange = Exchange(
        office.world,
        time,
        lambda: newest.rotate_secret(token),
        limit=office.timeout,
        lease=lease,
        profile=vendor.rotation,
        single_use=True,
    )
    begun = office.world.monotonic()
    try:
        async with lease:
            secret = await exchange.run()
    except MalformedResponse as error:
        await lease.release()
        if isinstance(error.raw, Secret):
            await _keep(ledger, answer_key(vendor), error.raw)
        raise
    except Exception:
        await lease.release()
        raise
    office.registrations.learn(vendor, secret, claim.number)
    value = office.envelope.close(key, claim.number, SecretRecord(vendor=vendor.name, client_secret=secret.reveal()))
    keeper = Keeper(key, office.shelf, office.world, office.flights, office.escrow)
    try:
        await keeper.commit(claim.number, value)
    except StoreError as error:
        office.flights.start(keeper.insist(), f"linkauth saving {key}")
        fault = (
            f"the vendor has rotated the secret and the store has not taken it yet; this process offers it on: {error}"
        )
        raise StoreUnavailable(fault) from None
    ledger.tell(EventKind.SECRET_ROTATED, duration=office.world.monotonic() - begun)


async def _keep(ledger: Ledger, key: str, raw: Secret) -> None:
    """Put an answer that nobody understood where the operator can get at it."""
    office = ledger.office
    store = office.shelf.store
    try:
        reading, _ = await office.shelf.ask(store.read(key))
        known = reading.record.version if reading.record else 0
        claim, _ = await office.shelf.ask(store.claim(key, office.owner(), office.timeout, known, b""))
        if isinstance(claim, Granted):
            record = SecretRecord(vendor=ledger.vendor.name, client_secret=raw.reveal())
            outcome, _ = await office.shelf.ask(
                store.commit(key, claim.number, office.envelope.close(key, claim.number, record))
            )
            if isinstance(outcome, Committed):
                log.error(
                    "%s: no secret was recognised in the answer to a rotation; it is kept in record %s",
                    ledger.vendor.name,
                    key,
                )
                return
    except StoreError:
        pass
    log.error(
        "%s: no secret was recognised in the answer to a rotation, and the store did not take it", ledger.vendor.name
    )
