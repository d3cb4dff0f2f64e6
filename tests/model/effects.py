"""What is done for each effect: a fake of ``engine.runtime`` and of what it uses, over values.

``PERFORM`` has a function for each class of effect. It is called whenever the worker may act, and returns what the effect comes
to; ``WAIT``: nothing yet. It raises ``Raised`` as the effect would.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from linkauth.protocol import effects, timing
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.lineage import Entry
from linkauth.protocol.timing import replayable
from linkauth.store import Committed, Granted
from linkauth_stores.slot import Slot
from tests.model import secret_effects
from tests.model.judges import judge
from tests.model.step import EXTENDED, WAIT, Raised, Step
from tests.model.values import evolve, goodbye, mark, record, stored
from tests.model.vendor import Login, Logout
from tests.model.worker import DONE, TIMEOUT, TTL, Outcome, Raises
from tests.model.world import NOT_HEARD, Air, Kept, Lease

__all__ = ["PERFORM", "WAIT", "take"]

MOST_CLAIMS: Final = 40
"""In one schedule; more is a loop without a pause."""


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
        judge(step.case).granted(step)
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


def _exchange(step: Step, effect: effects.Exchange) -> Any:
    me, air = step.me, step.me.air
    if air is None or air.answer == Outcome("no answer"):
        alone = me.lease is None or not me.lease.used
        if not alone and not _holds(step):
            step.set(air=None)
            raise Raised(Raises("LeaseLost"))
        if step.is_fault("not sent"):
            step.set(air=None)
            return Outcome("no answer" if air else "not sent")
        asks = effect.flow(step.case.vendor)
        if not isinstance(asks, Login | Logout):
            judge(step.case).sending(step, asks)
        if not alone:
            step.lease(sent=True)
        step.set(air=Air(asks, step.now, air.first_at if air else step.now))
        return WAIT
    if air.answer is None:
        return WAIT
    if step.is_fault("no answer"):
        window = step.case.vendor.rotation.replay_window
        if step.now < air.first_at + replayable(window, TIMEOUT):
            step.set(air=evolve(air, answer=Outcome("no answer")))
            return WAIT
        judge(step.case).unheard(step, air)
        step.set(air=None)
        return Outcome("no answer")
    judge(step.case).arrived(step, air)
    step.set(air=None)
    return None if air.answer == DONE else air.answer


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
        if not kept.irreplaceable:
            step.set(kept=None)
            _quietly(step, lambda slot: slot.release(number, b"", step.now))
            raise
        if before.token is None or (before.version <= number and before.is_latest(kept.entry)):
            step.set(known=before.take(kept.entry, stored=False))
        again = max(step.now + timing.OFFER_FIRST, step.me.cut_until, step.me.refused_until)
        step.set(kept=evolve(kept, offer_at=again))
        step.extend_kept()
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


def _mark_dead(step: Step, effect: effects.MarkDead) -> Any:
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


def _held(step: Step, _: effects.Held) -> Any:
    return step.me.lease is None or not step.me.lease.used or _holds(step)


def _forget(step: Step, effect: effects.Forget) -> Any:
    step.stop_extending()
    if not effect.reason:
        forgotten = step.ask(lambda slot: slot.delete(effect.number, step.now), commits=True)
        if forgotten:
            step.set(kept=None, known=evolve(step.me.known, record=None, version=effect.number, stored=True))
        return forgotten
    gone = Entry(goodbye(effect.reason, effect.session), effect.number)
    outcome = step.ask(lambda slot: slot.commit(gone.number, stored(gone.record), None, step.now), commits=True)
    if not isinstance(outcome, Committed) and outcome.record is not None:
        return False
    step.set(kept=None, known=step.me.known.take(gone))
    return True


def _serve(step: Step, effect: effects.Serve) -> Any:
    served = Entry(record(effect.token, effect.lineage), step.me.known.version)
    step.set(known=step.me.known.take(served, stored=False))
    step.know(new_until=step.now)


def _suspicion(step: Step, effect: effects.Suspicion) -> Any:
    """Nobody needs longer here: a notice of that is never found."""
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


def _nothing(_: Step, __: effects.AcquirePermit | effects.ReleasePermit) -> None:
    """Here every client may ask as often as it likes."""


def _release(step: Step, effect: effects.Release) -> Any:
    lease = step.me.lease
    if lease is None:
        return
    step.stop_extending()
    note = effect.note.encode() if isinstance(effect.note, Note) else effect.note
    if not lease.gone:
        _quietly(step, lambda slot: slot.release(lease.number, note, step.now))
    step.set(lease=None, began_with=None)


PERFORM: dict[type, Callable[[Step, Any], Any]] = {
    effects.Settle: _settle,
    effects.Read: _read,
    effects.Claim: _claim,
    effects.AcquirePermit: _nothing,
    effects.ReleasePermit: _nothing,
    effects.Wait: _wait,
    effects.Sleep: _sleep,
    effects.Adopt: _adopt,
    effects.Repair: _repair,
    effects.Confirm: _confirm,
    effects.Exchange: _exchange,
    effects.Commit: _commit,
    effects.MarkDead: _mark_dead,
    effects.Held: _held,
    effects.Forget: _forget,
    effects.Serve: _serve,
    effects.Suspicion: _suspicion,
    effects.Release: _release,
    **secret_effects.PERFORM,
}


def take(step: Step) -> None:
    """Try the effect at which the worker is."""
    assert step.me.point is not None
    effect = step.me.point.effect
    perform = PERFORM.get(type(effect))
    if perform is None:
        raise NotImplementedError(
            f"the model does not know the effect {type(effect).__name__}: write in tests/model/effects.py what is done "
            "for it, and put it into PERFORM"
        )
    try:
        answer = perform(step, effect)
    except Raised as error:
        answer = error.what
    if answer is not WAIT:
        step.go(answer)
