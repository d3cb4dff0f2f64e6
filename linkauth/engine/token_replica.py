"""This worker's copy of one credential's record: a ``Replica`` that knows what a token is good for."""

from __future__ import annotations

import contextlib
import logging
import math
from typing import TYPE_CHECKING, Final

from linkauth.engine.credential_events import CredentialEvents
from linkauth.engine.events import EventKind
from linkauth.engine.known_credential import KnownCredential
from linkauth.engine.lease import Lease
from linkauth.engine.outbox import Outbox
from linkauth.engine.record_key import RecordKey
from linkauth.errors import CorruptRecord, LinkAuthError, StoreError, StoreUnavailable
from linkauth.oauth import wire
from linkauth.protocol import timing
from linkauth.protocol.keys import token_keys
from linkauth.protocol.lineage import UNKNOWN, Entry, Lineage
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth.store import Granted, Record, Superseded

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.engine.escrow import Kept
    from linkauth.engine.replica import Landed
    from linkauth.engine.valid_token import Holder
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import Claim, Reading
    from linkauth.vendors.vendor import Vendor

__all__ = ["NOT_BUSY", "TokenReplica"]

log = logging.getLogger("linkauth")

NOT_BUSY: Final = -math.inf
"""One for all credentials: ``-math.inf`` is a new number each time."""


class TokenReplica(KnownCredential):
    """What is written of one credential, in the store and in ``state``."""

    __slots__ = ("_looked_in_escrow", "busy_until", "events", "lease_held", "outbox", "record_key")

    def __init__(self, context: EngineContext, vendor: Vendor, account: str, credential: Holder) -> None:
        """``credential``: hands the token out, and goes with the error that sends for the user."""
        self.record_key = RecordKey(token_keys(vendor, account), context)
        ttl = context.timeout + timing.LEASE_MORE if vendor.rotation.rotates else timing.LEASE_CHEAP
        super().__init__(context, self.record_key.key, ttl, vendor, account, credential)
        self.events = CredentialEvents(context, vendor, account)
        self.outbox = Outbox(self)
        self.lease_held: Lease | None = None
        """That of a worker of this process that is at work under it."""
        self.busy_until = NOT_BUSY
        """Until when (monotonic) another worker holds the lease, as was told last."""
        self._looked_in_escrow = context.escrow is None

    @property
    def key(self) -> str:
        """The record's key."""
        return self.record_key.key

    # -- reading ---------------------------------------------------------------------------------------------------

    async def read(self) -> tuple[Reading, StoreTime]:
        """The record as it is now."""
        await self._follow()
        return await super().read()

    async def claim(self, note: bytes = b"", newer_than: int = 0, owner: str | None = None) -> tuple[Claim, StoreTime]:
        """Ask for the lease."""
        await self._follow()
        self.record_key.fix()
        return await super().claim(note, newer_than, owner)

    async def look(self) -> None:
        """Read the store again, for the clocks say that time passed unnoticed."""
        time: StoreTime | None = None
        try:
            reading, time = await self.read()
            if reading.record is not None:
                self.adopt(reading.record, time)
        except StoreError:  # a broken record is the renewal's to tell
            time = None
        if time is not None and self.state.stored:
            self._place(time)
        else:  # what was fetched for this process alone may have its times by this host's clock
            self.believe_wall()

    def lease(self, claim: Granted, time: StoreTime, note: bytes = b"", owner: str | None = None) -> Lease:
        """A granted claim as something that can be kept and given back. ``note``, ``owner``: what it was claimed with."""

        async def again() -> tuple[Claim, StoreTime]:
            return await self.claim(note, self.state.version, owner)

        rotates = self.vendor.rotation.rotates
        self.lease_held = Lease(
            self.context.store_client,
            self.key,
            claim.number,
            self.ttl,
            time,
            again,
            every=timing.LEASE_EVERY if rotates else None,
            holder=self if rotates else None,
        )
        return self.lease_held

    def adopt(self, record: Record, time: StoreTime) -> None:
        """Know what the store has, if that comes later. Raises ``ReauthorizationRequired`` where only the user can help."""
        found, before = self.entry(record), self.state
        if not self.observe(found, time):
            return
        if isinstance(found.record, DeadRecord):
            raise self.reauthorization(found.record.reason)
        self.events.readable()
        if found.record.token != before.token or not before.stored:  # else it was only written anew, under another key
            self.events.tell(EventKind.ADOPTED)

    def know(self, record: Record | None, time: StoreTime) -> None:
        """Adopt ``record`` if it is newer than what is held, whatever it says."""
        if record is not None and self.supersedes(record):
            try:
                self.adopt(record, time)
            except LinkAuthError as error:  # only the user can help, or it cannot be read: the renewal's to tell
                log.info("%s/%s: %s", self.vendor.name, self.account, error)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def store(
        self, token: Token, number: int, time: StoreTime, *, irreplaceable: bool, lineage: Lineage = UNKNOWN
    ) -> Token:
        """Commit, then hand out: the token that holds from now on, which is another where somebody was faster.

        ``irreplaceable``: nobody can get this answer again. Should the store not take it, it is kept, served, and offered
        until the store does; otherwise that raises ``StoreError``.
        """
        if token.left_out:
            names = wire.words(", ".join(token.left_out))
            log.warning("%s/%s: extra has no room for %s", self.vendor.name, self.account, names)
        fresh = self._entry(token, number, lineage)
        try:
            landed = await self.outbox.commit(number, self._closed(number, token, lineage))
        except StoreError as error:
            fault = str(error)
        else:
            if landed.record is None:  # forgotten meanwhile: whoever asked for the token still gets it
                self.observe(fresh, landed.time, stored=False)
            self.landed(landed)
            return self.current()
        if not irreplaceable:
            self.outbox.kept = None
            await self.outbox.drop(number)
            # Nobody waits for the lease's end: others may reach the store, and can ask the vendor themselves.
            self.context.flights.start(self.release(number), f"linkauth release {self.key}")
            raise StoreUnavailable(fault)
        # Unless a later login of this process came through meanwhile: the store will say so to what is offered.
        self.observe(fresh, time, stored=False)
        self.outbox.go_on(fault)
        return self.current()

    def is_alone_with_something(self) -> bool:
        """Whether this worker knows what the store does not, or may have lost: a token, an answer, a mark."""
        unsaved = not self.state.stored or self.outbox.kept is not None
        return unsaved or self.context.read_repair.suspects

    async def reassert(self, number: int) -> int:
        """Commit the unchanged record under ``number``: others learn that its refresh token is being spent just now."""
        record = self.state.record
        if record is None:
            return number
        outcome, time = await self.commit(number, record)
        if isinstance(outcome, Superseded):
            return number if outcome.record is None else max(number, outcome.record.version) + 1
        self.observe(Entry(record, number), time)
        return number + 1

    async def put_back(self) -> None:
        """As for any record. A lease under which a vendor is being asked is taken again, should the store have lost that."""
        if self.lease_held is not None:
            await self.lease_held.keep()
        await super().put_back()

    async def settle(self, *, anew: bool = False) -> bool:
        """Nothing is spent while an answer waits for the store, and what an earlier process left behind comes first.

        ``anew``: that is looked for once more. True: that brought a token. Raises ``StoreUnavailable`` while the store does not take it.
        """
        waited = await self.outbox.settled()
        if self._looked_in_escrow and not (anew and self.context.escrow is not None):
            return waited
        with contextlib.suppress(StoreUnavailable):
            await self.record_key.find()
        left = await self.outbox.from_escrow()
        if left is not None and await self._is_readable(left):
            await self.outbox.deliver(left.number, left.value)
        self._looked_in_escrow = not self.record_key.sought
        return waited or left is not None

    async def _is_readable(self, left: Kept) -> bool:
        """Whether what was left in escrow can be read; where it cannot, nothing hangs on it.

        Raises ``CorruptRecord`` where the session may hang on it: then the store's refresh token may be a spent one.
        """
        try:
            self.open(Record(left.number, left.value), TokenRecord)
        except CorruptRecord as error:
            fault = f"in escrow: {error}"
        else:
            return True
        if self.vendor.rotation.rotates:
            reading, _ = await self.read()
            if reading.record is None or reading.record.version < left.number:
                raise CorruptRecord(f"{fault}; give the key that it needs, or remove the file and risk a new login")
        log.error("%s/%s: left alone, for the store has no need of it: %s", self.vendor.name, self.account, fault)
        return False

    def landed(self, landed: Landed) -> None:
        """Take what stands in the store since an answer was offered. Raises as ``adopt``."""
        record = landed.record
        if landed.mine and record is not None:
            self.observe(self.entry(record), landed.time)
            return
        self.events.tell(EventKind.SUPERSEDED, "another worker claimed later and has written")
        if record is not None:
            self.adopt(record, landed.time)

    def unsaved(self, record: Record) -> None:
        """Serve what the store has yet to take."""
        self.observe(self.entry(record), self.context.clock.present(), stored=False)

    async def _follow(self) -> None:
        """Know where the record is, and hear of a store that loses what only it and its workers have."""
        await self.record_key.find()
        if self.vendor.needs_user and not self.context.flights.ending:
            await self.follow()

    def _closed(self, number: int, token: Token, lineage: Lineage = UNKNOWN) -> bytes:
        return self.context.codec.close(self.key, number, self._record(token, lineage))

    def failed(self, error: LinkAuthError, wait: float) -> None:
        """A flight failed: keep ``wait`` seconds of distance, and say so."""
        until = self.context.clock.monotonic() + wait
        self.learn(lambda state: state.failed(error, until))
        self.events.failed(error)
