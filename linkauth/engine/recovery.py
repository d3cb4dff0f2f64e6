"""After a rotation whose answer nobody understood: read what was kept, and take the secret that a human found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.errors import ConfigurationError, UnsupportedGrant, VendorUnavailable
from linkauth.oauth.token import Secret
from linkauth.protocol.records import SecretRecord, answer_key, secret_key
from linkauth.store import Busy, Granted, Superseded

if TYPE_CHECKING:
    from linkauth.engine.ledger import Ledger

__all__ = ["adopt", "kept_answer"]


async def kept_answer(ledger: Ledger) -> Secret | None:
    """The vendor's answer in which no secret was recognised, None: none is kept. Raises ``StoreError``."""
    office = ledger.office
    key = answer_key(ledger.vendor)
    reading, _ = await office.shelf.ask(office.shelf.store.read(key))
    if reading.record is None:
        return None
    return Secret(office.envelope.expect(key, reading.record, SecretRecord).client_secret)


async def adopt(ledger: Ledger, secret: Secret) -> None:
    """Make ``secret`` the client's newest: every worker on this store goes on with it. A kept answer is let go of.

    Raises ``UnsupportedGrant`` for a vendor whose secrets the store does not keep, ``VendorUnavailable`` while a
    worker rotates, ``StoreError``.
    """
    office, vendor = ledger.office, ledger.vendor
    if not vendor.rotates_secret:
        raise UnsupportedGrant(f"{vendor.name} does not rotate client secrets")
    if not secret.reveal().strip() or not secret.reveal().isprintable():
        raise ConfigurationError("a secret is printable, and not empty")
    key, store = secret_key(vendor), office.shelf.store
    reading, _ = await office.shelf.ask(store.read(key))
    known = reading.record.version if reading.record else 0
    claim, _ = await office.shelf.ask(store.claim(key, office.owner(), office.timeout, known, b""))
    if not isinstance(claim, Granted):
        wait = claim.remaining if isinstance(claim, Busy) else None
        raise VendorUnavailable("another worker is rotating this client's secret", retry_after=wait)
    value = office.envelope.close(key, claim.number, SecretRecord(vendor=vendor.name, client_secret=secret.reveal()))
    outcome, _ = await office.shelf.ask(store.commit(key, claim.number, value))
    if isinstance(outcome, Superseded):
        raise VendorUnavailable("another worker has rotated this client's secret meanwhile")
    office.registrations.learn(vendor, secret, claim.number)
    await office.shelf.do(store.take(answer_key(vendor)))
