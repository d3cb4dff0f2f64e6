"""What is done for each effect: a fake of ``engine.runtime`` and of what it uses, over values.

``PERFORM`` has a function for each class of effect. It is called whenever the worker may act, and returns what the effect comes
to; ``WAIT``: nothing yet. It raises ``Raised`` as the effect would.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from linkauth.protocol import effects, lineage, timing
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.lineage import Entry
from linkauth.protocol.records import DeadRecord
from linkauth.protocol.timing import replayable
from linkauth.store import Busy, Claim, Committed, Granted, Record
from linkauth_stores.slot import Slot
from tests.model import promises
from tests.model.values import content, evolve, mark, record, stored
from tests.model.worker import TIMEOUT, TTL, Ended, Outcome, Raises, Told, adopt, supersedes
from tests.model.world import NOT_HEARD, Air, Kept, Lease, Life, World

__all__ = ["NOT_YET", "PERFORM", "WAIT", "Raised", "Step"]

T = TypeVar("T")
WAIT: Final = object()
MOST_CLAIMS: Final = 40
"""In one schedule; more is a loop without a pause."""
EXTENDED: Final = TTL / timing.LEASE_PART
"""Seconds between two extensions, and what must be left of a lease when something is sent."""


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
        promises.served(self)
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
            promises.written(self, before, self.slot)
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
        if first and lease.sent:
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
        self.set(renewals=self.me.renewals - 1, point=self.me.first, result=None)
        self._go((self.me.known.version, self.now if self.case.outright else -math.inf))

    def take(self) -> None:
        """Try the effect at which it is."""
        assert self.me.point is not None
        effect = self.me.point.effect
        perform = PERFORM.get(type(effect))
        if perform is None:
            raise NotImplementedError(
                f"the model does not know the effect {type(effect).__name__}: write in tests/model/effects.py what is done "
                "for it, and put it into PERFORM"
            )
        try:
            answer = perform(self, effect)
        except Raised as error:
            answer = error.what
        if answer is not WAIT:
            self._go(answer)

    def _go(self, answer: Any) -> None:
        assert self.me.point is not None
        point = self.me.point.then(Told(self.me.known, self.now, answer))
        self.set(known=point.known, since=self.now, doing="")
        if point.ended is None:
            self.set(point=point)
        else:
            self._end(point.ended)

    def _end(self, ended: Ended) -> None:
        promises.handed(self, ended)
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
        if lineage.supersedes(kept.entry, Entry(content(winner), winner.version)):
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
        if not isinstance(outcome, Committed) and outcome.record is not None and self.supersedes(outcome.record):
            self.set(known=adopt(outcome.record, self.me.known))
        return True


# -- the effects -----------------------------------------------------------------------------------------------------------


def _settle(step: Step, _: effects.Settle) -> Any:
    me = step.me
    if me.kept is None:
        if me.doing == "waits":
            step.know(new_until=step.now)
        return me.doing == "waits"
    if step.now < me.since + TIMEOUT:
        step.set(doing="waits")
        return WAIT
    raise Raised(Raises("StoreUnavailable"))


def _read(step: Step, _: effects.Read) -> Any:
    return step.ask(lambda slot: (slot, slot.read(step.now))), step.time()


def _claim(step: Step, effect: effects.Claim) -> Any:
    owner = f"{step.me.name}{step.me.claims}"
    step.set(claims=step.me.claims + 1)
    if step.me.claims > MOST_CLAIMS:
        step.fail(7, "claims again and again")
    found = step.claim(owner, effect.newer_than, effect.note)
    if isinstance(found, Granted):
        step.set(trouble=frozenset({NOT_HEARD} if step.me.hear_by < math.inf else ()), overtaken=False)
        step.set(
            lease=Lease(
                owner=owner,
                number=found.number,
                note=effect.note,
                granted=found,
                deadline=step.now + TTL,
                extend_at=step.now + EXTENDED,
            )
        )
        promises.granted(step)
    return found, step.time()


def _wait(step: Step, effect: effects.Wait) -> Any:
    if step.now < step.me.cut_until:
        step.set(failed=True, failures=step.me.failures + 1)
        raise Raised(Raises("StoreUnavailable"))
    waits = step.slot.quiet(effect.newer_than, step.now) and step.now < step.me.since + effect.seconds
    return WAIT if waits else None


def _sleep(step: Step, effect: effects.Sleep) -> Any:
    return WAIT if step.now < step.me.since + effect.seconds else None


def _adopt(step: Step, effect: effects.Adopt) -> Any:
    step.adopt(effect.record)
    if effect.awaited:
        step.know(new_until=step.now)


def _repair(step: Step, _: effects.Repair) -> Any:
    return None if step.put_back() else WAIT


def _confirm(step: Step, _: effects.Confirm) -> Any:
    lease = step.me.lease
    if lease is None or lease.lost:
        return False
    try:
        found = step.claim(lease.owner, step.me.known.version, lease.note)
    except Raised:
        return False
    if not isinstance(found, Granted):
        step.lease(lost=True, number=0)
        return False
    step.lease(number=found.number, deadline=step.now + TTL)
    return found.number == lease.number


def _ask(step: Step, effect: effects.Ask) -> Any:
    me, air = step.me, step.me.air
    if air is None or air.answer == Outcome("no answer"):
        alone = me.lease is None or not me.lease.used
        if not alone and not _holds(step):
            step.set(air=None)
            raise Raised(Raises("LeaseLost"))
        if step.is_fault("not sent"):
            step.set(air=None)
            return Outcome("no answer" if air else "not sent")
        spending = effect.flow(step.case.vendor)
        promises.sending(step, spending)
        if not alone:
            step.lease(sent=True)
        step.set(air=Air(spending, step.now, air.first_at if air else step.now))
        return WAIT
    if air.answer is None:
        return WAIT
    if step.is_fault("no answer"):
        window = step.case.vendor.rotation.replay_window
        if step.now < air.first_at + replayable(window, TIMEOUT):
            step.set(air=evolve(air, answer=Outcome("no answer")))
            return WAIT
        promises.unheard(step, air)
        step.set(air=None)
        return Outcome("no answer")
    promises.arrived(step, air)
    step.set(air=None)
    return air.answer


def _holds(step: Step) -> bool:
    """As ``Lease.held``."""
    lease = step.me.lease
    assert lease is not None
    if not lease.lost and lease.deadline - step.now < EXTENDED:
        step.extend()
        lease = step.me.lease
        assert lease is not None
    return not lease.lost and lease.deadline - step.now >= EXTENDED


def _commit(step: Step, effect: effects.Commit) -> Any:
    before = step.me.known
    if step.me.doing != "commits":
        number = effect.number or (step.me.lease.number if step.me.lease else 0)
        fresh = Entry(record(effect.token, effect.lineage), number)
        step.set(kept=Kept(fresh, effect.irreplaceable), doing="commits")
        step.stop_extending()
    kept = step.me.kept
    assert kept is not None
    if step.now < kept.offer_at:
        return WAIT
    try:
        if not step.offer():
            return WAIT
    except Raised as error:
        if error.what.kind != "StoreUnavailable":
            raise
        kept = step.me.kept
        assert kept is not None
        number = kept.entry.number
        if before.token is None or (before.version <= number and before.is_latest(kept.entry)):
            step.set(known=before.take(kept.entry, stored=False))
        again = max(step.now + timing.OFFER_FIRST, step.me.cut_until, step.me.refused_until)
        step.set(kept=evolve(kept, offer_at=again) if kept.irreplaceable else None)
        step.extend_kept()
        if not kept.irreplaceable:
            _quietly(step, lambda slot: slot.release(number, b"", step.now))
    step.know(new_until=step.now)
    return _current(step)


def _quietly(step: Step, change: Callable[[Slot], tuple[Slot, Any]]) -> None:
    with suppress(Raised):  # what it should have done happens by itself when the lease ends
        step.ask(change)


def _current(step: Step) -> Any:
    known = step.me.known
    if known.token is None:
        raise Raised(Raises("ReauthorizationRequired", known.dead or "there is no token"))
    return known.token


def _revoke(step: Step, effect: effects.Revoke) -> Any:
    lease, known = step.me.lease, step.me.known
    assert lease is not None
    step.stop_extending()
    number = effect.number or lease.number
    dead = Entry(mark(effect.reason, digest(known.token), known.lineage), number)
    try:
        outcome = step.ask(lambda slot: slot.commit(number, stored(dead.record), None, step.now), commits=True)
    except Raised:
        step.set(known=known.take(Entry(dead.record, known.version), stored=False))
    else:
        if number != lease.number and not lease.gone:
            _quietly(step, lambda slot: slot.release(lease.number, b"", step.now))
        if not isinstance(outcome, Committed) and outcome.record is not None:
            step.adopt(outcome.record)
            return _current(step)
        step.set(known=step.me.known.take(dead))
    raise Raised(Raises("ReauthorizationRequired", effect.reason))


def _serve(step: Step, effect: effects.Serve) -> Any:
    served = Entry(record(effect.token, effect.lineage), step.me.known.version)
    step.set(known=step.me.known.take(served, stored=False))
    step.know(new_until=step.now)


def _suspicion(step: Step, effect: effects.Suspicion) -> Any:
    """Nobody needs longer here: a word of that is never found."""
    if effect.anew and step.me.known.heard_at is not None:
        step.beware()
    known = step.me.known
    if known.heard_at is None:
        return 0.0
    if known.until > step.now:
        return known.until - step.now
    step.ask(lambda slot: (slot, None))
    if step.me.known.until > step.now:  # that it could be asked is news of another loss
        return step.me.known.until - step.now
    step.know(heard_at=None)
    return 0.0


def _nothing(_: Step, __: effects.Enter | effects.Leave) -> None:
    """Here every client may ask as often as it likes."""


def _release(step: Step, effect: effects.Release) -> Any:
    lease = step.me.lease
    if lease is None:
        return
    step.stop_extending()
    note = effect.note.encode() if isinstance(effect.note, Note) else effect.note
    if not lease.gone:
        _quietly(step, lambda slot: slot.release(lease.number, note, step.now))
    step.set(lease=None)


PERFORM: dict[type, Callable[[Step, Any], Any]] = {
    effects.Settle: _settle,
    effects.Read: _read,
    effects.Claim: _claim,
    effects.Enter: _nothing,
    effects.Leave: _nothing,
    effects.Wait: _wait,
    effects.Sleep: _sleep,
    effects.Adopt: _adopt,
    effects.Repair: _repair,
    effects.Confirm: _confirm,
    effects.Ask: _ask,
    effects.Commit: _commit,
    effects.Revoke: _revoke,
    effects.Serve: _serve,
    effects.Suspicion: _suspicion,
    effects.Release: _release,
}
NOT_YET = {
    effects.Held,
    effects.Forget,
    effects.Newest,
    effects.Authorize,
    effects.CommitSecret,
    effects.KeepAnswer,
    effects.DropAnswer,
}
"""What only logins, logouts and client secrets want: their steps are not taken here."""
