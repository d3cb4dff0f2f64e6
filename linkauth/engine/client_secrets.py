"""Which client secret is the newest: the constructor's is the start, the store's is newer.

A secret belongs to a registration, not to an account: every credential of an engine that uses the same client shares
what is known here. It is read before the first token request; then before each that follows the announcement of another,
and where the store announces nothing, or nobody is listening just now, before each; and when a vendor refuses the client.
What an earlier process left in escrow comes before that.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from linkauth.engine.outbox import Outbox
from linkauth.engine.replica import Replica
from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.oauth.token import Secret
from linkauth.protocol import timing
from linkauth.protocol.keys import answer_key, secret_key
from linkauth.protocol.lineage import Entry, supersedes
from linkauth.protocol.records import SecretRecord
from linkauth.store import Record

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.engine.replica import Landed
    from linkauth.protocol.freshness import StoreTime
    from linkauth.vendors.vendor import Vendor

__all__ = ["ClientSecret", "ClientSecrets", "as_record"]

log = logging.getLogger("linkauth")


def as_record(vendor: Vendor, secret: Secret, rotated_at: float | None) -> SecretRecord:
    """``secret`` as it is stored. ``rotated_at``: Unix seconds by the store's clock."""
    client_id = getattr(vendor, "client_id", "")
    return SecretRecord(vendor=vendor.name, client_secret=secret.reveal(), client_id=client_id, rotated_at=rotated_at)


class ClientSecret(Replica):
    """What this process knows of one client's secret."""

    def __init__(self, context: EngineContext, vendor: Vendor) -> None:
        super().__init__(
            context, secret_key(vendor), context.timeout + timing.LEASE_MORE, f"{vendor.name}: the client's secret"
        )
        self.record: SecretRecord | None = None
        """The newest that is known; None: the constructor's."""
        self.version = 0
        self._outbox = Outbox(self)
        self._refused = False
        """The vendor refused the store's: the constructor's may be what an operator has put right by hand."""
        self._unread = False
        """The store's cannot be read, and that was said."""
        self._looked = False
        self._heard = 0
        """How often another may have been stored."""
        self._known = -1
        """How often that was when the store was read."""

    @property
    def secret(self) -> Secret | None:
        """The newest that is known; None: the constructor's."""
        return None if self.record is None else Secret(self.record.client_secret)

    @property
    def rotated_at(self) -> float | None:
        """When it was stored, Unix seconds by the store's clock; None: it is the constructor's, or nobody says."""
        return None if self.record is None else self.record.rotated_at

    def held(self) -> Entry[SecretRecord] | None:
        """The secret that the store must not lose: at the vendor every older one is dead."""
        return None if self.record is None else Entry(self.record, self.version)

    def supersedes(self, record: Record) -> bool:
        """As for any record. Another secret under the same number does: a store that lost data gives numbers twice."""
        try:
            found = self.entry(record)
        except CorruptRecord:
            return record.version >= self.version
        held = None if self.record is None else self.believed(self.record, self.version)
        return held is None or (found != held and not supersedes(held, found))

    def know(self, record: Record, time: StoreTime | None = None) -> None:
        """Use the secret in ``record`` from the next token request on, if it comes after what is held. Raises ``CorruptRecord``."""
        del time
        if self.supersedes(record):
            self.learn(self.open(record, SecretRecord), record.version)
            self._unread = False

    def after(self) -> float:
        """Now, Unix seconds by the store's clock; should that have been set back since, no sooner than the newest."""
        return max(self.context.clock.store_now(), self.rotated_at or 0.0)

    def learn(self, record: SecretRecord, version: int) -> None:
        """Use the secret in ``record`` from the next token request on."""
        self.record, self.version, self._refused = record, version, False

    def announced(self, version: int) -> None:
        """It is read before the next token request, whatever its version: a store that lost data gives numbers twice."""
        del version
        self._heard += 1

    def missed(self) -> None:
        """Another may have been stored."""
        self._heard += 1

    def is_stale(self) -> bool:
        """Whether the store may have another one."""
        return self._known != self._heard or not self.context.read_repair.hears()

    async def look(self) -> None:
        """Read the store, and use the secret that it has, if that is newer. Raises ``StoreError``."""
        self._outbox.resume()
        if not self._looked:
            await self._from_escrow()
        await self.follow()
        heard = self._heard
        reading, _ = await self.read()
        self._looked, self._known = True, heard  # what is announced while it is read may not be in what was read
        if reading.record is not None:
            self.know(reading.record)

    async def newest(self, vendor: Vendor) -> Vendor:
        """``vendor`` with the newest secret: the store is asked where it may have another. It may be away."""
        if not self._looked or (self.is_stale() and not self.context.store_client.away):
            # With the store away what is known may well be good; a refusal makes us look again.
            try:
                await self.look()
            except StoreUnavailable:
                pass
            except CorruptRecord as error:
                if not self._unread:
                    self._unread = True
                    log.warning("%s is the one that is known here: %s", self.name, error)
        return self.known(vendor)

    def known(self, vendor: Vendor) -> Vendor:
        """``vendor`` with the newest secret that is known without a look."""
        secret = self.secret
        return vendor if secret is None or self._refused else vendor.with_secret(secret)

    async def newer(self, vendor: Vendor, refused: Vendor) -> Vendor | None:
        """What to try instead of ``refused``, whose secret the vendor does not take; None: nothing is known.

        The store's, else the constructor's (``vendor``). Compared by secret, not by version: another credential of this
        client may have looked a moment ago. Raises ``CorruptRecord`` where the store's cannot be read: it is the one.
        """

        def stored() -> Vendor | None:
            return None if self.secret is None else vendor.with_secret(self.secret)

        with contextlib.suppress(StoreUnavailable):
            await self.look()
            if stored() in {None, refused}:
                # Somebody may be rotating it just now: the vendor has killed the old one, the new one is on its way.
                await self.wait(timing.SECRET_PATIENCE, self.version, idle=False)
                await self.look()
        self._refused = stored() == refused
        newest = self.known(vendor)
        return None if newest == refused else newest

    async def store(self, record: SecretRecord, number: int) -> Landed:
        """Use the secret in ``record`` from now on, commit it, and offer it on should the store not take it. Raises ``StoreError``."""
        self.learn(record, number)
        return await self._outbox.deliver(number, self.context.codec.close(self.key, number, record))

    def landed(self, landed: Landed) -> None:
        """Use what stands in the store. Raises ``CorruptRecord``."""
        if landed.record is not None:
            self.know(landed.record)

    async def _from_escrow(self) -> None:
        left = await self._outbox.from_escrow()
        if left is not None:
            await self.store(self.open(Record(left.number, left.value), SecretRecord), left.number)


class ClientSecrets:
    """The newest client secrets that this process knows. Of a vendor that does not rotate secrets there are none."""

    __slots__ = ("_context", "_known")

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._known: dict[str, ClientSecret] = {}

    def of(self, vendor: Vendor) -> ClientSecret:
        """That of ``vendor``'s client: it belongs to the registration, not to an account."""
        key = secret_key(vendor)
        if key not in self._known:
            self._known[key] = ClientSecret(self._context, vendor)
        return self._known[key]

    async def newest(self, vendor: Vendor) -> Vendor:
        """``vendor`` with the newest secret: the store is asked where it may have another. It may be away."""
        return await self.of(vendor).newest(vendor) if vendor.rotates_secret else vendor

    def known(self, vendor: Vendor) -> Vendor:
        """``vendor`` with the newest secret that is known without a look."""
        return self.of(vendor).known(vendor) if vendor.rotates_secret else vendor

    async def newer(self, vendor: Vendor, refused: Vendor) -> Vendor | None:
        """What to try instead of ``refused``, as ``ClientSecret.newer``."""
        return await self.of(vendor).newer(vendor, refused) if vendor.rotates_secret else None

    async def unread_answer(self, vendor: Vendor) -> Secret | None:
        """The vendor's answer in which no secret was recognised, None: none is kept. Raises ``StoreError``."""
        answer = Replica(self._context, answer_key(vendor))
        reading, _ = await answer.read()
        return None if reading.record is None else Secret(answer.open(reading.record, SecretRecord).client_secret)
