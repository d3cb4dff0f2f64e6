"""One step of one worker, as it is taken: what the worker, its lease and the store come to by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

from linkauth.protocol import lineage, timing
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.lineage import Entry
from linkauth.protocol.records import DeadRecord
from linkauth.store import Busy, Claim, Committed, Granted, Record
from linkauth_stores.slot import Slot
from tests.model.judges import judge
from tests.model.point import Told
from tests.model.values import content, evolve, stored
from tests.model.worker import TTL, Ended, Raises, adopt, supersedes
from tests.model.world import Life, World

__all__ = ["EXTENDED", "WAIT", "Raised", "Step"]

T = TypeVar("T")
EXTENDED: Final = TTL / timing.LEASE_PART
"""Seconds between two extensions, and what must be left of a lease when something is sent."""


WAIT: Final = object()
"""An effect comes to nothing yet."""


class Raised(Exception):
    """An effect fails."""

    def __init__(self, what: Raises) -> None:
        super().__init__(what.kind)
        self.what = what


class Step:
    """One step of one worker (``me``), while it is taken. ``world()`` is the world afterwards."""

    def __init__(self, world: World, who: int, fault: str = "") -> None:
        self.before = world
        self.who = who
        self.me: Life = world.lives[who]
        self.case = world.case
        self.now = world.now
        self.slot: Slot = world.slot
        self.more: dict[str, Any] = {}
        self.fault = fault
        self.met = not fault
        """Whether the fault has happened in this step."""

    # -- what is known, and changes ------------------------------------------------------------------------------------

    def set(self, **what: Any) -> None:
        self.me = evolve(self.me, **what)

    def know(self, **what: Any) -> None:
        self.set(known=evolve(self.me.known, **what))

    def lease(self, **what: Any) -> None:
        self.set(lease=evolve(self.me.lease, **what))

    def fail(self, promise: int, words: str) -> None:
        self.more.setdefault("bad", f"promise {promise}: {self.me.name} {words}")

    def world(self) -> World:
        judge(self.case).served(self)
        lives = (*self.before.lives[: self.who], self.me, *self.before.lives[self.who + 1 :])
        return evolve(self.before, lives=lives, slot=self.slot, **self.more)

    def time(self) -> StoreTime:
        return StoreTime(self.now, self.now, self.now)

    def is_fault(self, name: str) -> bool:
        """Whether ``name`` happens now."""
        if self.met or self.fault != name:
            return False
        self.met = True
        return True

    # -- the store -----------------------------------------------------------------------------------------------------

    def ask(self, change: Callable[[Slot], tuple[Slot, T]], *, commits: bool = False) -> T:
        """One call to the store. Raises ``StoreUnavailable``, the call made or not."""
        away = self.now < self.me.cut_until or (commits and self.now < self.me.refused_until) or self.is_fault("away")
        if not away:
            before = self.slot
            self.slot, answer = change(before)
            judge(self.case).written(self, before, self.slot)
        if away or self.is_fault("unheard"):
            self.set(failed=True, failures=self.me.failures + 1)
            raise Raised(Raises("StoreUnavailable"))
        if self.me.failed:
            self.set(failed=False)
            self.beware()
        return answer

    def beware(self) -> None:
        """The store was away and is back: it may have lost data."""
        if self.case.announces:
            self.set(known=self.me.known.suspecting(self.now))

    def claim(self, owner: str, newer_than: int, note: bytes) -> Claim:
        return self.ask(lambda slot: slot.claim(owner, TTL, newer_than, note, self.now))

    def extend(self) -> None:
        """As ``Lease._extend``: what the store has not is lost; what is asked under it is shielded again, if nobody else asks."""
        lease = self.me.lease
        if lease is None or lease.gone:
            return
        try:
            kept = self.ask(lambda slot: slot.extend(lease.number, TTL, self.now))
        except Raised:
            self.lease(extend_at=self.now + EXTENDED)
            return
        if kept:
            self.lease(extend_at=self.now + EXTENDED, deadline=self.now + TTL)
            return
        first = not lease.lost
        self.lease(lost=True, gone=True, extend_at=math.inf)
        if first and lease.sent and not self.case.vendor.rotates_secret:  # of which nothing is in doubt
            try:
                found = self.claim(lease.owner, self.me.known.version, lease.note)
            except Raised:
                return
            if isinstance(found, Granted):
                self.lease(number=found.number, gone=False)

    def adopt(self, record: Record) -> None:
        """Raises ``ReauthorizationRequired`` where the record says that only the user can help."""
        self.set(known=adopt(record, self.me.known))
        found = content(record)
        if isinstance(found, DeadRecord):
            raise Raised(Raises("ReauthorizationRequired", found.reason))

    def supersedes(self, record: Record) -> bool:
        return supersedes(record, self.me.known, self.case.vendor, self.now)

    def stop_extending(self) -> None:
        if self.me.lease is not None:
            self.lease(extend_at=math.inf, used=False)

    # -- its own steps ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.set(renewals=self.me.renewals - 1, point=self.me.first, result=None, lease=None, began_with=None)
        self.go((self.me.known.version, self.now if self.case.outright else -math.inf))

    def go(self, answer: Any) -> None:
        assert self.me.point is not None
        point = self.me.point.then(Told(self.me.known, self.now, answer))
        self.set(known=point.known, since=self.now, doing="")
        if point.ended is None:
            self.set(point=point)
        else:
            self._end(point.ended)

    def _end(self, ended: Ended) -> None:
        judge(self.case).handed(self, ended)
        self.stop_extending()
        begins = self.now + ended.pause
        if ended.token is not None and self.me.renewals:
            begins = max(begins, self.now + 1.0)
        self.set(point=None, result=ended, starts_at=begins)

    # -- beside its steps ----------------------------------------------------------------------------------------------

    def offer(self) -> bool:
        """Offer the store what is kept, one step. -> whether that is done with. Raises what the store raises."""
        kept, me = self.me.kept, self.me
        assert kept is not None
        entry = kept.entry
        if kept.above:
            self.set(claims=me.claims + 1)
            found = self.claim(f"{me.name}{me.claims}", kept.above, b"")
            if isinstance(found, Granted):
                self.set(kept=evolve(kept, entry=Entry(entry.record, found.number), above=0))
                return False
            if isinstance(found, Busy):
                self.set(kept=evolve(kept, offer_at=self.now + min(found.remaining, timing.LONGEST_LOOK)))
                return False
            return self._outlived(found.record)
        outcome = self.ask(lambda slot: slot.commit(entry.number, stored(entry.record), None, self.now), commits=True)
        if isinstance(outcome, Committed):
            latest = self.me.known.is_latest(entry)
            self.set(known=self.me.known.take(entry) if latest else self.me.known, kept=None)
            return True
        if outcome.record is None:
            self.set(known=self.me.known.take(entry, stored=False), kept=None)
            return True
        return self._outlived(outcome.record)

    def extend_kept(self) -> None:
        """As ``Outbox.insist`` between two offers: the lease of what is kept is extended, as long as the store has it."""
        kept = self.me.kept
        if kept is None or self.now < kept.extend_at:
            return
        try:
            mine = self.ask(lambda slot: slot.extend(kept.entry.number, TTL, self.now))
        except Raised:
            mine = True
        self.set(kept=evolve(kept, extend_at=self.now + EXTENDED if mine else math.inf))

    def _outlived(self, winner: Record) -> bool:
        kept = self.me.kept
        assert kept is not None
        if not lineage.supersedes(Entry(content(winner), winner.version), kept.entry):
            self.set(kept=evolve(kept, above=winner.version))
            return False
        self.set(kept=None)
        self.adopt(winner)
        return True

    def put_back(self) -> bool:
        """Put back what the store has lost, one step of two. -> whether that is done. Raises what the store raises."""
        known, entry = self.me.known, self.me.puts_back
        if entry is None:
            if self.me.lease is not None and self.me.lease.used:
                self.extend()
            found = self.ask(lambda slot: (slot, slot.read(self.now))).record
            known = self.me.known
            if found is not None and self.supersedes(found):
                self.set(known=adopt(found, known))
                return True
            if not known.lacks(found):
                return True
            if known.heard_at is None:
                self.beware()
            self.set(puts_back=known.entry)
            return False
        self.set(puts_back=None)
        outcome = self.ask(lambda slot: slot.commit(entry.number, stored(entry.record), None, self.now), commits=True)
        if not isinstance(outcome, Committed) and outcome.record is None and self.me.known.entry == entry:
            self.know(record=None)  # it was deleted
        elif not isinstance(outcome, Committed) and outcome.record is not None and self.supersedes(outcome.record):
            self.set(known=adopt(outcome.record, self.me.known))
        return True
