"""This worker's copy of one record, of whatever kind: reading it, claiming it, waiting for it, writing it, putting it back."""

from __future__ import annotations

import asyncio
import math
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import attrs

from linkauth.engine.driver import drive
from linkauth.engine.events import EventKind
from linkauth.engine.lease import Lease
from linkauth.protocol import effects, timing
from linkauth.protocol.claim import acquire
from linkauth.protocol.lineage import Entry
from linkauth.protocol.records import SecretRecord, StoredRecord, TokenRecord
from linkauth.store import Busy, Superseded

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.protocol.effects import Effect
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import Claim, Commit, Granted, Reading, Record

__all__ = ["Landed", "Replica"]

R = TypeVar("R", bound=StoredRecord)


@attrs.frozen(kw_only=True)
class Landed:
    """What became of a value that was offered. ``time``: the store's clock then."""

    record: Record | None
    """What stands in the store: the value, or what comes after it; None: it was forgotten meanwhile."""
    time: StoreTime
    mine: bool
    """It is the value that stands, though it may be under a higher number."""


class Replica:
    """The record under ``key``. Whatever asks the store raises ``StoreError``. Most kinds hold nothing of it between two calls."""

    __slots__ = ("__weakref__", "_key", "_name", "context", "ttl")

    account: str = ""
    """Whose it is; empty: nobody's, such as a client's secret."""

    def __init__(self, context: EngineContext, key: str, ttl: float = timing.STORE_CALL, name: str = "") -> None:
        """``ttl``: seconds that a lease on it lasts. ``name``: in the log."""
        self.context = context
        self.ttl = ttl
        self._name = name
        self._key = key

    @property
    def key(self) -> str:
        """The record's key."""
        return self._key

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return self._name or self._key

    async def read(self) -> tuple[Reading, StoreTime]:
        """The record as it is now."""
        store_client = self.context.store_client
        return await store_client.ask(store_client.store.read(self.key))

    async def claim(self, note: bytes = b"", newer_than: int = 0, owner: str | None = None) -> tuple[Claim, StoreTime]:
        """Ask for the lease, once. ``owner``: whoever asked before, to be answered as before; None: somebody new.

        The lease of a process that is dead is not waited out: it is given back for it, and its note stays as it was left, so
        what was in doubt stays in doubt.
        """
        store_client = self.context.store_client
        store, owner = store_client.store, owner or self.context.owner()
        claim, time = await store_client.ask(store.claim(self.key, owner, self.ttl, newer_than, note))
        if isinstance(claim, Busy) and self.context.is_alive(claim) is False:
            await store_client.do(store.release(self.key, claim.number, claim.note))
            return await store_client.ask(store.claim(self.key, owner, self.ttl, newer_than, note))
        return claim, time

    @overload
    async def acquire(self, known: int, *, passing: Literal[True]) -> tuple[Granted, StoreTime]: ...

    @overload
    async def acquire(
        self, known: int, *, passing: bool = False, until: float = math.inf, idle: bool = True
    ) -> tuple[Claim, StoreTime]: ...

    async def acquire(
        self, known: int, *, passing: bool = False, until: float = math.inf, idle: bool = True
    ) -> tuple[Claim, StoreTime]:
        """As the steps ``claim.acquire``. ``idle``: closing may call off the waiting."""
        steps = acquire(self.context.clock.monotonic, known, passing=passing, until=until)
        return await drive(steps, partial(self._perform, idle=idle))

    async def _perform(self, effect: Effect, *, idle: bool) -> Any:
        if isinstance(effect, effects.Claim):
            return await self.claim(effect.note, effect.newer_than)
        if isinstance(effect, effects.Wait):
            return await self.wait(effect.seconds, effect.newer_than, effect.busy, idle=idle)
        assert isinstance(effect, effects.Sleep)  # noqa: S101  # ``acquire`` wants nothing else
        with self.context.flights.idle() if idle else nullcontext():
            return await asyncio.sleep(effect.seconds)

    async def wait(self, seconds: float, newer_than: int, busy: Busy | None = None, *, idle: bool = True) -> None:
        """Wait for another worker: until the record or the lease changes, at most ``seconds``, and while its process lives.

        ``busy``: what told who that is; None: whoever it may be.
        """
        if idle:
            with self.context.flights.idle():
                await self.wait(seconds, newer_than, busy, idle=False)
            return
        store_client, clock = self.context.store_client, self.context.clock.monotonic
        end = clock() + seconds
        while (alive := self.context.is_alive(busy)) is not False:
            now = clock()
            left = max(end - now if alive is None else min(end - now, timing.HOLDER_LOOK), 0.0)
            await store_client.do(store_client.store.wait_for_change(self.key, newer_than, left), extra=left)
            if now + left >= end or clock() < now + left:
                return  # it is over, or there is a change

    def lease(self, claim: Granted, time: StoreTime, note: bytes = b"", owner: str | None = None) -> Lease:
        """A granted claim as something that can be kept and given back. ``note``, ``owner``: what it was claimed with."""
        del note, owner  # what was lost with the store's data is not taken again: whoever worked begins anew
        return Lease(self.context.store_client, self.key, claim.number, self.ttl, time)

    async def put(self, number: int, value: bytes, lasts: float | None = None) -> tuple[Commit, StoreTime]:
        """Commit ``value``. ``lasts``: seconds after which the store may forget it; None: never."""
        store_client = self.context.store_client
        return await store_client.ask(store_client.store.commit(self.key, number, value, lasts))

    async def commit(self, number: int, record: StoredRecord, lasts: float | None = None) -> tuple[Commit, StoreTime]:
        """As ``put``, of a record that is yet to be closed."""
        return await self.put(number, self.context.codec.close(self.key, number, record), lasts)

    async def release(self, number: int, note: bytes = b"") -> None:
        """Give a lease back and leave ``note``. A store that does not answer will end it in time."""
        store_client = self.context.store_client
        await store_client.quietly(store_client.store.release(self.key, number, note))

    async def take(self) -> Reading:
        """Read and delete in one step: of any number of callers one gets the record."""
        store_client = self.context.store_client
        return (await store_client.ask(store_client.store.take(self.key)))[0]

    async def delete(self, number: int) -> bool:
        """Delete the record, unless what stands there was written under ``number`` or later: then False."""
        store_client = self.context.store_client
        return await store_client.do(store_client.store.delete(self.key, number))

    def open(self, record: Record, kind: type[R]) -> R:
        """What ``record`` holds. Raises ``CorruptRecord``."""
        return self.context.codec.expect(self.key, record, kind)

    # -- what is held of it ----------------------------------------------------------------------------------------

    @property
    def written_at(self) -> float:
        """When the token that is held was sent for, Unix seconds: what is newest is put back first, what is no token before all.

        So a client's secret, for each of its accounts needs it.
        """
        held = self.held()
        return held.record.token.issued_at if held and isinstance(held.record, TokenRecord) else math.inf

    def held(self) -> Entry[StoredRecord] | None:
        """What this worker holds of the record, as it would be written; None: nothing that the store must not lose."""
        return None

    def know(self, record: Record, time: StoreTime) -> None:
        """Go on with ``record``, if it comes after what is held. ``time``: the store's clock when it was read."""

    def landed(self, landed: Landed) -> None:
        """Go on with what stands in the store since a value was offered (``Outbox``)."""

    def unsaved(self, record: Record) -> None:
        """Go on with ``record``, though the store has yet to take it."""

    def deleted(self, held: Entry[StoredRecord]) -> None:
        """Go on without what was ``held``, unless that is another by now: somebody has deleted it from the store."""

    def announced(self, version: int) -> None:
        """The store has ``version`` now. Nothing is read before it is needed."""

    def missed(self) -> None:
        """The store may have another version: what was announced in the meantime is not known."""

    async def follow(self) -> None:
        """Hear of other versions, and of a loss of this one, where the store tells of them (``ReadRepair.follow``)."""
        await self.context.read_repair.follow(self)

    def entry(self, record: Record) -> Entry[StoredRecord]:
        """What ``record`` holds, to be compared with another (``lineage``). Raises ``CorruptRecord``."""
        return self.believed(self.context.codec.open(self.key, record), record.version)

    def believed(self, record: StoredRecord, number: int) -> Entry[StoredRecord]:
        """As ``entry``. A time in the future is of a clock that was wrong, and says nothing."""
        if isinstance(record, SecretRecord) and (record.rotated_at or 0) > self.context.clock.store_now():
            record = attrs.evolve(record, rotated_at=None)
        return Entry(record, number)

    def is_newer_than(self, version: int) -> bool:
        """Whether a store that has ``version`` has lost what is held."""
        held = self.held()
        return held is not None and held.number > version

    async def put_back(self) -> None:
        """Commit what is held, under its own number, should the store have lost it; go on with what comes after it.

        A lower number may come after it: the user has logged in again, or somebody has rotated the secret, since the loss.
        What was deleted under a higher number is not lost: that is let go of.
        """
        reading, time = await self.read()
        if (found := reading.record) is not None:
            self.know(found, time)
        held = self.held()
        if held is None or not self.is_newer_than(found.version if found else 0):
            return
        self.context.read_repair.found_loss()
        outcome, time = await self.commit(held.number, held.record)
        if isinstance(outcome, Superseded) and outcome.record is None:
            self.deleted(held)
            return
        level = self.context.outages.record_lost()
        vendor, fault = self.key.split("/")[1], f"the store had lost version {held.number}"
        self.context.event_log.tell(EventKind.REPAIRED, vendor, self.account, fault, level=level)
        if isinstance(outcome, Superseded) and outcome.record is not None:
            self.know(outcome.record, time)
