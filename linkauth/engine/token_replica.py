"""One credential's page in the store, and what this worker holds of it: reading it, claiming it, writing it."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from typing import TYPE_CHECKING

from linkauth.engine.events import EventKind
from linkauth.engine.lease import Lease
from linkauth.engine.outbox import Outbox
from linkauth.engine.record_key import RecordKey
from linkauth.engine.replica import Replica
from linkauth.errors import CorruptRecord, LinkAuthError, ReauthorizationRequired, StoreError, StoreUnavailable
from linkauth.oauth import wire
from linkauth.oauth.scope import not_granted
from linkauth.protocol import timing
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.intent import digest
from linkauth.protocol.keys import token_keys
from linkauth.protocol.lineage import UNKNOWN, Entry, Lineage
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth.protocol.refusal import hopeless
from linkauth.protocol.state import CredentialState, Habits
from linkauth.store import Committed, Granted, Record, Superseded

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.context import EngineContext
    from linkauth.engine.escrow import Kept
    from linkauth.engine.outbox import Landed
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import Verdict
    from linkauth.protocol.records import Session
    from linkauth.store import Claim, Reading
    from linkauth.vendors.vendor import Vendor

__all__ = ["TokenReplica"]

log = logging.getLogger("linkauth")


class TokenReplica(Replica):
    """What is written of one credential, in the store and in ``state``."""

    def __init__(self, context: EngineContext, vendor: Vendor, account: str, credential: object) -> None:
        self.record_key = RecordKey(token_keys(vendor, account), context.store_client)
        ttl = context.timeout + timing.LEASE_MORE if vendor.rotation.rotates else timing.LEASE_CHEAP
        super().__init__(context, self.record_key.key, ttl, f"{vendor.name}/{account}")
        self.vendor = vendor
        self.account = account
        ahead = context.refresh_ahead if vendor.refresh_ahead is None else vendor.refresh_ahead
        habits = Habits(refresh_ahead=ahead, needs_user=vendor.needs_user, rotates=vendor.rotation.rotates)
        self.state = CredentialState(habits=habits)
        self._learning = threading.Lock()
        """Two threads' loops may learn something at the same moment."""
        self.outbox = Outbox(self, self._landed)
        self.lease_held: Lease | None = None
        """The latest lease of this worker."""
        self.busy_until = -math.inf
        """Until when (monotonic) another worker holds the lease, as was told last."""
        self._credential = credential
        self._not_granted: list[str] = []
        self._looked_in_escrow = context.escrow is None
        self._unread = False
        """The record cannot be read, and that was said."""

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
        else:  # what was fetched for this process alone has its times by this host's clock
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
        if not isinstance(found.record, TokenRecord | DeadRecord):
            raise CorruptRecord(f"record {self.key} (version {record.version}) is of another kind than its key")
        if not self.observe(found, time):
            return
        if isinstance(found.record, DeadRecord):
            raise self.reauthorization(found.record.reason)
        self._unread = False
        if found.record.token != before.token or not before.stored:  # else it was only written anew, under another key
            self.tell(EventKind.ADOPTED)

    def know(self, record: Record | None, time: StoreTime) -> None:
        """Adopt ``record`` if it is newer than what is held, whatever it says."""
        if record is not None and self.supersedes(record):
            try:
                self.adopt(record, time)
            except LinkAuthError as error:  # only the user can help, or it cannot be read: the renewal's to tell
                log.info("%s/%s: %s", self.vendor.name, self.account, error)

    def unreadable(self, error: CorruptRecord) -> None:
        """Say, once, that the record cannot be read here, and that tokens are fetched for this process alone."""
        if not self._unread:
            self._unread = True
            self.tell(EventKind.UNREADABLE, f"a token is fetched for this process alone: {error}")

    # -- knowing ---------------------------------------------------------------------------------------------------

    def learn(self, change: Callable[[CredentialState], CredentialState]) -> None:
        """Replace what is known by what ``change`` makes of it."""
        with self._learning:
            self.state = change(self.state)

    def observe(self, entry: Entry, time: StoreTime, *, stored: bool = True) -> bool:
        """After a look at a record, whoever brought it: know it, if it comes later. Whether it did."""
        before, time, spread = self.state, self._present(time), self._spread()
        self.learn(lambda state: state.observe(entry, time, spread, stored=stored))
        return self.state.entry != before.entry

    def hold(self, token: Token) -> None:
        """Serve ``token``, which has no end and which the store never sees."""
        entry, time = self._entry(token, 0, UNKNOWN), StoreTime(now=0.0, before=0.0, after=0.0)
        self.learn(lambda state: state.observe(entry, time, 0.0))

    def serve_alone(self, token: Token, lineage: Lineage) -> None:
        """Serve what was fetched without the store, by this host's clock."""
        time, spread = self.context.clock.here(), self._spread()
        record = self._record(token, lineage)
        self.learn(lambda state: state.alone(record, time, spread).new_since(time.after))

    def new_since(self, moment: float) -> None:
        """Who asked for a new token up to ``moment`` (monotonic) has it with the one that is held."""
        self.learn(lambda state: state.new_since(moment))

    def judge(self) -> Verdict:
        """What the token is good for now."""
        return self.state.judge(self.context.clock.monotonic())

    def unexpired(self) -> bool:
        """Whether the token may still be used when nothing better can be had."""
        clock, state = self.context.clock, self.state
        # Time that passed unnoticed counts here, where there is no margin left.
        return state.unexpired(clock.monotonic() + clock.missed(state.ahead, state.epoch))

    def jumped(self) -> bool:
        """Whether the token's windows are not to be believed, for the clocks have jumped since they were computed."""
        return self.state.is_outdated(self.context.clock.epoch.host)

    def believe_wall(self) -> None:
        """After a jump with no store to ask: count what the wall clock says has passed."""
        now = self.context.clock.glance()
        self.learn(lambda state: state.slept(now.ahead, now.epoch.host))

    def _place(self, time: StoreTime) -> None:
        time, spread = self._present(time), self._spread()
        self.learn(lambda state: state.placed(time, spread))

    def _present(self, time: StoreTime) -> StoreTime:
        """A look as seen from now: an answer may have come long after it."""
        return time.later(self.context.clock.monotonic())

    def _spread(self) -> float:
        return self.context.world.random.random()

    # -- writing ---------------------------------------------------------------------------------------------------

    async def store(
        self, token: Token, number: int, time: StoreTime, *, irreplaceable: bool, lineage: Lineage = UNKNOWN
    ) -> Token:
        """Commit, then hand out: the token that holds from now on, which is another where somebody was faster.

        ``irreplaceable``: nobody can get this answer again. Should the store not take it, it is kept, served, and offered
        until the store does; otherwise it just serves this process.
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
            self._landed(landed)
            return self.current()
        # Unless a later login of this process came through meanwhile: the store will say so to what is offered.
        self.observe(fresh, time, stored=False)
        if irreplaceable:
            self.outbox.go_on(fault)
        else:
            self.outbox.kept = None
            await self.outbox.drop(number)
            # Nobody waits for the lease's end: others may reach the store, and can ask the vendor themselves.
            self.context.flights.start(self.release(number), f"linkauth release {self.key}")
        return self.current()

    def is_alone_with_something(self) -> bool:
        """Whether this worker knows what the store does not, or may have lost: a token, an answer, a mark."""
        unsaved = not self.state.stored or self.outbox.kept is not None
        return unsaved or self.context.read_repair.suspects

    def is_newer_than(self, version: int) -> bool:
        """Whether a store that has ``version`` has lost what is held here."""
        return self.state.record is not None and self.state.stored and self.state.version > version

    def held(self) -> Entry | None:
        """What this worker holds of the record."""
        return self.state.entry

    def supersedes(self, record: Record) -> bool:
        """Whether ``record`` comes after what is held (``lineage``); of what cannot be read the number tells."""
        try:
            found = self.entry(record)
        except CorruptRecord:
            return record.version > self.state.version
        return self.state.supersedes(found, self.context.clock.store_now())

    def is_later(self, record: Record) -> bool:
        """As ``supersedes``; but what is held, under another number, is not."""
        try:
            found = self.entry(record)
        except CorruptRecord:
            return False
        return self.supersedes(record) and found.record != self.state.record

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

    def hopeless(self, token: Token | None) -> str:
        """Why there is no way to another token than from the user; empty: there is one."""
        return hopeless(self.vendor, token, self.context.clock.store_now())

    @property
    def written_at(self) -> float:
        """When the token was sent for, Unix seconds."""
        return math.inf if self.state.token is None else self.state.token.issued_at

    async def put_back(self) -> None:
        """As for any record. A lease under which a vendor is being asked is taken again, should the store have lost that."""
        if self.lease_held is not None:
            await self.lease_held.keep()
        await super().put_back()

    async def mark_dead(self, lease: Lease, reason: str, number: int = 0) -> Token:
        """Write down that only the user can help, once for the whole fleet, and raise it.

        ``number``: one above the record that was last looked at, so that what has come since stands; 0: the lease's.
        Returns only where a newer token stood in the way.
        """
        refused, lineage, number = self.state.entry, self.state.lineage, number or lease.number
        mark = DeadRecord(
            vendor=self.vendor.name,
            account=self.account,
            reason=reason,
            spent=digest(self.state.token),
            session=lineage.session,
            generation=lineage.generation,
        )
        try:
            outcome, time = await self.commit(number, mark)
        except StoreUnavailable:
            # The next worker will be refused as this one was; this one knows the record that stands there as dead.
            self.learn(lambda state: state.refused(mark, state.version, refused, stored=False))
        else:
            if number != lease.number:
                await lease.release()
            if isinstance(outcome, Superseded) and outcome.record is not None:
                self.adopt(outcome.record, time)
                return self.current()
            self.learn(lambda state: state.refused(mark, number, refused))
        self.tell(EventKind.REAUTHORIZATION_REQUIRED, reason)
        raise self.reauthorization(reason)

    async def forget(self, number: int, reason: str, session: Session | None) -> bool:
        """Leave nothing of the token behind, here and in the store. False: a token was written by a later claim.

        ``session``: one that comes after all that is forgotten. Without a ``reason`` no mark is left either.
        """
        mark = None
        if self.vendor.needs_user and reason:
            mark = DeadRecord(
                vendor=self.vendor.name, account=self.account, reason=reason, by_user=True, session=session
            )
            outcome, _ = await self.commit(number, mark)
            forgotten = isinstance(outcome, Committed) or outcome.record is None
        else:
            forgotten = await self.delete(number)
        if forgotten:
            self.outbox.kept = None
            await self.outbox.drop(number)
            over = self.state.entry
            self.learn(lambda state: state.forgotten(number) if mark is None else state.refused(mark, number, over))
        return forgotten

    async def settle(self, *, anew: bool = False) -> bool:
        """Nothing is spent while an answer waits for the store, and what an earlier process left behind comes first.

        ``anew``: that is looked for once more. True: that brought a token. Raises ``StoreUnavailable`` while the store does not take it.
        """
        waited = await self.outbox.settled()
        if self._looked_in_escrow and not (anew and self.context.escrow is not None):
            return waited
        with contextlib.suppress(StoreUnavailable):
            await self._find()
        left = await self.outbox.from_escrow()
        if left is not None and await self._is_readable(left):
            try:
                landed = await self.outbox.commit(left.number, left.value)
            except StoreError as error:
                fresh = self.entry(Record(left.number, left.value))
                self.observe(fresh, self.context.clock.present(), stored=False)
                self.outbox.go_on(str(error))
                raise
            self._landed(landed)
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

    def _landed(self, landed: Landed) -> None:
        """Take what stands in the store since an answer was offered. Raises as ``adopt``."""
        record = landed.record
        if not landed.mine:
            self.tell(EventKind.SUPERSEDED, "another worker claimed later and has written")
            if record is not None:
                self.adopt(record, landed.time)
        elif record is not None:
            self.observe(self.entry(record), landed.time)

    async def _follow(self) -> None:
        """Know where the record is, and hear of a store that loses what only it and its workers have."""
        await self._find()
        if self.vendor.needs_user and not self.context.flights.ending:
            await self.context.read_repair.follow(self)

    async def _find(self) -> None:
        await self.record_key.find()

    def _entry(self, token: Token, number: int, lineage: Lineage) -> Entry:
        return Entry(self._record(token, lineage), number)

    def _record(self, token: Token, lineage: Lineage) -> TokenRecord:
        return TokenRecord(
            vendor=self.vendor.name,
            account=self.account,
            token=token,
            client_id=getattr(self.vendor, "client_id", ""),
            session=lineage.session,
            generation=lineage.generation,
        )

    def _closed(self, number: int, token: Token, lineage: Lineage = UNKNOWN) -> bytes:
        return self.context.codec.close(self.key, number, self._record(token, lineage))

    # -- saying ----------------------------------------------------------------------------------------------------

    def current(self) -> Token:
        """The token that is held."""
        if self.state.token is None:
            raise self.reauthorization(self.state.dead or "there is no token")
        return self.state.token

    def reauthorization(self, reason: str) -> ReauthorizationRequired:
        """The error that sends for the user."""
        message = f"{self.vendor.name}/{self.account}: {reason}; the user must log in or pair again"
        return ReauthorizationRequired(message, credential=self._credential)

    def failed(self, error: LinkAuthError, wait: float) -> None:
        """A flight failed: keep ``wait`` seconds of distance, and say so."""
        until = self.context.clock.monotonic() + wait
        self.learn(lambda state: state.failed(error, until))
        if not isinstance(error, ReauthorizationRequired):
            level = self.context.outages.failed(self.vendor, self.account, error)
            self.tell(EventKind.FAILED, str(error), level=level)

    def check_scope(self, token: Token, asked: str) -> None:
        """Tell where ``token`` has less than the scope that was ``asked`` for: once, until that changes."""
        missing = not_granted(asked, token)
        if missing and missing != self._not_granted:
            self.tell(EventKind.SCOPE_REDUCED, f"without {' '.join(missing)}")
        self._not_granted = missing

    def tell(self, kind: EventKind, outcome: str = "", duration: float = 0.0, *, level: int | None = None) -> None:
        """Tell of an event of this credential. ``level``: the log's, None for that of its kind."""
        if kind in {EventKind.RENEWED, EventKind.ADOPTED}:
            self.context.outages.succeeded(self.vendor, self.account)
        self.context.event_log.tell(kind, self.vendor.name, self.account, outcome, duration, level=level)
