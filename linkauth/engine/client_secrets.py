"""Which client secret is the newest: the constructor's is the start, the store's is newer.

A secret belongs to a registration, not to an account: every credential of an engine that uses the same client shares
what is known here. It is read before the first token request; then before each that follows the announcement of another,
and where the store announces nothing, or nobody is listening just now, before each; and when a vendor refuses the client.
What an earlier process left in escrow comes before that.
"""

from __future__ import annotations

import contextlib
import logging
import math
from typing import TYPE_CHECKING

import attrs

from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.oauth.token import Secret
from linkauth.protocol import timing
from linkauth.protocol.records import SecretRecord, answer_key, secret_key
from linkauth.store import Record, Superseded

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.codec import Codec
    from linkauth.engine.outbox import Outbox
    from linkauth.engine.read_repair import ReadRepair
    from linkauth.engine.store_client import StoreClient
    from linkauth.vendors.vendor import Vendor

__all__ = ["ClientSecret", "ClientSecrets", "as_record"]


log = logging.getLogger("linkauth")


@attrs.define(eq=False)
class ClientSecret:
    """What this process knows of one client's secret."""

    key: str
    vendor: Vendor
    store_client: StoreClient
    codec: Codec
    read_repair: ReadRepair
    version: int = 0
    secret: Secret | None = None
    rotated_at: float | None = None
    """When it was stored, Unix seconds by the store's clock; None: nobody wrote that down."""
    unread: bool = False
    """The store's cannot be read, and that was said."""
    looked: bool = False
    heard: int = 0
    """How often another may have been stored."""
    known: int = -1
    """How often that was when the store was read."""
    refused: bool = False
    """The vendor refused the store's: the constructor's may be what an operator has put right by hand."""

    @property
    def written_at(self) -> float:
        """Before all accounts, for each of them needs it."""
        return math.inf

    def is_newer_than(self, version: int) -> bool:
        """Whether a store that has ``version`` has lost the secret."""
        return self.secret is not None and self.version > version

    def announced(self, version: int) -> None:
        """It is read before the next token request, whatever its version: a store that lost data gives numbers twice."""
        del version
        self.heard += 1

    def missed(self) -> None:
        """Another may have been stored."""
        self.heard += 1

    def is_stale(self) -> bool:
        """Whether the store may have another one."""
        return self.known != self.heard or not self.read_repair.hears()

    async def put_back(self) -> None:
        """Commit the secret under its own number, should the store have lost it: at the vendor every older one is dead."""
        reading, _ = await self.store_client.ask(self.store_client.store.read(self.key))
        if self.secret is None or not self.is_newer_than(reading.record.version if reading.record else 0):
            return
        self.read_repair.found_loss()
        log.warning(
            "%s: the store lost the client's secret, version %d; it is put back", self.vendor.name, self.version
        )
        record = as_record(self.vendor, self.secret, self.rotated_at)
        value = self.codec.close(self.key, self.version, record)
        await self.store_client.ask(self.store_client.store.commit(self.key, self.version, value))


def as_record(vendor: Vendor, secret: Secret, rotated_at: float | None) -> SecretRecord:
    """``secret`` as it is stored. ``rotated_at``: Unix seconds by the store's clock."""
    client_id = getattr(vendor, "client_id", "")
    return SecretRecord(vendor=vendor.name, client_secret=secret.reveal(), client_id=client_id, rotated_at=rotated_at)


class ClientSecrets:
    """The newest client secrets that this process knows."""

    __slots__ = ("_codec", "_known", "_read_repair", "_store_client", "outbox")

    def __init__(
        self, store_client: StoreClient, codec: Codec, read_repair: ReadRepair, outbox: Callable[[str], Outbox]
    ) -> None:
        self._store_client = store_client
        self._codec = codec
        self._read_repair = read_repair
        self._known: dict[str, ClientSecret] = {}
        self.outbox = outbox
        """Makes what commits values under a key."""

    async def newest(self, vendor: Vendor) -> Vendor:
        """``vendor`` with the newest secret: the store is asked where it may have another. It may be away."""
        if not vendor.rotates_secret:
            return vendor
        known = self._of(vendor)
        if not known.looked or (known.is_stale() and not self._store_client.away):
            # With the store away what is known may well be good; a refusal makes us look again.
            try:
                await self.look(vendor)
            except StoreUnavailable:
                pass
            except CorruptRecord as error:
                self._say_unread(known, error)
        return self.known(vendor)

    def _say_unread(self, known: ClientSecret, error: CorruptRecord) -> None:
        if not known.unread:
            known.unread = True
            words = "%s: the client's secret is the one that is known here: %s"
            log.warning(words, known.vendor.name, error)

    def known(self, vendor: Vendor) -> Vendor:
        """``vendor`` with the newest secret that is known without a look."""
        if not vendor.rotates_secret:
            return vendor
        known = self._of(vendor)
        return vendor if known.secret is None or known.refused else vendor.with_secret(known.secret)

    async def newer(self, vendor: Vendor, refused: Vendor) -> Vendor | None:
        """What to try instead of ``refused``, whose secret the vendor does not take; None: nothing is known.

        The store's, else the constructor's (``vendor``). Compared by secret, not by version: another credential of this
        client may have looked a moment ago. Raises ``CorruptRecord`` where the store's cannot be read: it is the one.
        """
        if not vendor.rotates_secret:
            return None
        known = self._of(vendor)

        def stored() -> Vendor | None:
            return None if known.secret is None else vendor.with_secret(known.secret)

        with contextlib.suppress(StoreUnavailable):
            await self.look(vendor)
            if stored() in {None, refused}:
                # Somebody may be rotating it just now: the vendor has killed the old one, the new one is on its way.
                await self._wait(vendor)
                await self.look(vendor)
        known.refused = stored() == refused
        newest = self.known(vendor)
        return None if newest == refused else newest

    async def _wait(self, vendor: Vendor) -> None:
        """Until a rotation that is under way has ended; at once where none is."""
        known = self._of(vendor)
        change = self._store_client.store.wait_for_change(known.key, known.version, timing.SECRET_PATIENCE)
        await self._store_client.do(change, extra=timing.SECRET_PATIENCE)

    async def look(self, vendor: Vendor) -> None:
        """Read the store, and use the secret that it has, if that is newer. Raises ``StoreError``."""
        if not vendor.rotates_secret:
            return
        known = self._of(vendor)
        key = secret_key(vendor)
        if not known.looked:
            await self._from_escrow(vendor)
        await self._read_repair.follow(known)
        heard = known.heard
        reading, _ = await self._store_client.ask(self._store_client.store.read(key))
        known.looked, known.known = True, heard  # what is announced while it is read may not be in what was read
        record = reading.record
        if record is None or record.version < known.version:
            return
        found = self._codec.expect(key, record, SecretRecord)
        known.unread = False
        # Another secret under the same number: a store that lost its data gives numbers twice.
        if Secret(found.client_secret) != known.secret or record.version > known.version:
            self.learn(vendor, found, record.version)

    def learn(self, vendor: Vendor, record: SecretRecord, version: int) -> None:
        """Use the secret in ``record`` from the next token request on."""
        known = self._of(vendor)
        known.secret, known.version, known.refused = Secret(record.client_secret), version, False
        known.rotated_at = record.rotated_at

    def version(self, vendor: Vendor) -> int:
        """The newest secret's version, 0 for the constructor's."""
        return self._of(vendor).version

    def rotated_at(self, vendor: Vendor) -> float | None:
        """When the newest secret was stored, Unix seconds by the store's clock; None: it is the constructor's, or nobody says."""
        return self._of(vendor).rotated_at

    async def unread_answer(self, vendor: Vendor) -> Secret | None:
        """The vendor's answer in which no secret was recognised, None: none is kept. Raises ``StoreError``."""
        key = answer_key(vendor)
        reading, _ = await self._store_client.ask(self._store_client.store.read(key))
        if reading.record is None:
            return None
        return Secret(self._codec.expect(key, reading.record, SecretRecord).client_secret)

    async def _from_escrow(self, vendor: Vendor) -> None:
        key = secret_key(vendor)
        outbox = self.outbox(key)
        left = await outbox.from_escrow()
        if left is not None:
            found = self._codec.expect(key, Record(left.number, left.value), SecretRecord)
            self.learn(vendor, found, left.number)
            outcome, _ = await outbox.commit(left.number, left.value)
            if isinstance(outcome, Superseded) and outcome.record is not None:
                await self._outlive(outbox, outcome.record, found)

    async def _outlive(self, outbox: Outbox, winner: Record, found: SecretRecord) -> None:
        """Write ``found`` over a ``winner`` that is older: the one before it, written anew under another key."""
        other = self._codec.expect(outbox.key, winner, SecretRecord)
        if other.rotated_at is not None and found.rotated_at is not None and other.rotated_at < found.rotated_at:
            number = winner.version + 1
            await outbox.commit(number, self._codec.close(outbox.key, number, found))

    def _of(self, vendor: Vendor) -> ClientSecret:
        key = secret_key(vendor)
        if key not in self._known:
            self._known[key] = ClientSecret(key, vendor, self._store_client, self._codec, self._read_repair)
        return self._known[key]
