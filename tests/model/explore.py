"""From one world to all that may come next, nearest first; equal worlds are met once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from unittest.mock import patch

import attrs

from linkauth.oauth.token import Token
from linkauth.protocol import effects, timing
from linkauth.protocol.lineage import Lineage
from linkauth.protocol.records import Session
from linkauth.protocol.renewal import renew
from linkauth_stores.slot import Slot
from tests.model import promises, vendor
from tests.model.effects import Raised, Step
from tests.model.values import evolve, record, serial, serial_of, stored, token
from tests.model.worker import Known, Outcome, Point, Program
from tests.model.world import CUT_OFF, LEASE_ENDED, LOST_DATA, STOPPED, Case, Life, World

__all__ = ["Found", "begin", "explore", "moves"]

END = 250.0
"""Seconds after which a world that still moves goes on for ever."""
BEGUN = Lineage(Session(0, "s"), 0)
STEPS = ("away", "unheard", "not sent", "no answer")
"""Faults that happen to one step."""
LOCAL = (effects.Adopt, effects.Serve, effects.Settle, effects.Enter, effects.Leave, effects.Sleep)
"""Effects that touch nobody else: they are done at once, so that no order is tried in which they come later."""


def begin(case: Case, program: Program = renew) -> World:
    known, slot = Known(), Slot()
    if case.vendor.needs_user:
        held = token(0, 0.0, case.vendor.refresh(0))
        first_record = record(held, BEGUN)
        slot, _ = slot.commit(1, stored(first_record), None, 0.0)
        known = Known(record=first_record, version=1, new_until=0.0)
    first = Point(program, case.vendor)
    lives = tuple(
        Life(
            name="ABCD"[who],
            known=Known() if who in case.fresh else known,
            renewals=case.renewals,
            starts_at=case.age + start,
            first=first,
        )
        for who, start in enumerate(case.starts)
    )
    faults, together = case.faults, case.together
    world = World(
        case=case,
        now=case.age,
        slot=slot,
        session=vendor.Session(case.vendor, alive=not case.ended),
        lives=lives,
        faults=faults,
        together=together,
        excuse="the vendor ended it" if case.ended else "",
    )
    return _all_settled(world)


# -- what may come next ------------------------------------------------------------------------------------------------------


def moves(world: World) -> Iterator[tuple[str, World]]:
    """What everybody may do, and what may happen to them; where nobody has anything to do, time passes."""
    urgent = False
    for who, life in enumerate(world.lives):
        if life.air is not None and life.air.answer is None:
            yield from _acts(world, who)
            urgent |= world.now >= life.air.sent_at + world.case.slow
        if life.is_stopped(world.now):
            continue
        for what, after in _steps(world, who):
            urgent = True
            yield what, after
        yield from _troubles(world, who)
    yield from _losses(world)
    if not urgent:
        later = _next(world)
        if later < math.inf:
            yield f"{later - world.now:g} s pass", _passed(world, later)


def _spend(world: World, fault: str) -> World | None:
    """``world`` with one fault less of that name; None: there is none left."""
    if world.together == 0 or not any(name == fault and left for name, left in world.faults):
        return None
    left = tuple((name, left - (name == fault)) for name, left in world.faults)
    return evolve(world, faults=left, together=world.together - 1)


def _steps(world: World, who: int) -> Iterator[tuple[str, World]]:
    life = world.lives[who]
    if life.point is not None:
        yield from _tries(world, who, _words(life), Step.take)
    waits = life.point is not None and isinstance(life.point.effect, effects.Commit)
    if life.kept is not None and not waits and world.now >= life.kept.offer_at:
        yield from _tries(world, who, f"{life.name} offers what it kept", _offers)
    if life.hear_by < math.inf and life.reaches(world.now):
        yield from _tries(world, who, f"{life.name} hears that the store may have lost data", _hears)


def _tries(world: World, who: int, words: str, take: object) -> Iterator[tuple[str, World]]:
    """A step, and the same with each fault that can happen in it."""
    for fault in ("", *STEPS):
        start = world if not fault else _spend(world, fault)
        if start is None:
            continue
        step = Step(start, who, fault)
        take(step)  # type: ignore[operator]
        after = step.world()
        if step.met and after != start:
            yield words + (f" -- {fault.upper()}" if fault else ""), _settled(after, who)


def _all_settled(world: World) -> World:
    for who in range(len(world.lives)):
        world = _settled(world, who)
    return world


def _settled(world: World, who: int) -> World:
    """After all that a worker does for itself: it begins to renew, adopts, serves."""
    while not (world.bad or world.lives[who].is_stopped(world.now)):
        life, step = world.lives[who], Step(world, who)
        if life.point is not None and _is_local(life, world.now):
            step.take()
        elif life.point is None and life.renewals and world.now >= life.starts_at:
            step.begin()
        if step.me == life:
            break
        world = step.world()
    return world


def _is_local(life: Life, now: float) -> bool:
    assert life.point is not None
    match life.point.effect:
        case effects.Suspicion(anew=anew):
            return life.known.heard_at is None or anew or life.known.until > now
        case effects.Wait(seconds=seconds):
            return now >= life.since + seconds and now >= life.cut_until
    return isinstance(life.point.effect, LOCAL)


def _offers(step: Step) -> None:
    try:
        step.offer()
    except Raised as error:
        if error.what.kind == "StoreUnavailable" and step.me.kept is not None:
            again = max(
                step.now + timing.OFFER_LONGEST, step.me.cut_until, step.me.refused_until
            )  # before that it would be in vain
            step.set(kept=evolve(step.me.kept, offer_at=again))
            step.extend_kept()


def _hears(step: Step) -> None:
    if step.me.puts_back is None:
        step.beware()
    try:
        done = step.put_back()
    except Raised:
        done = True
    if done:
        step.set(hear_by=math.inf)


def _acts(world: World, who: int) -> Iterator[tuple[str, World]]:
    """The vendor answers a request."""
    life, air = world.lives[who], world.lives[who].air
    assert air is not None
    after, granted = promises.acted(world, who, air)
    answer: Token | Outcome = Outcome("refused")
    if granted is not None:
        answer = token(granted, air.sent_at, world.case.vendor.refresh(granted))
    yield f"the vendor answers {life.name}: {_said(answer)}", _told(after, who, answer)
    if (fails := _spend(world, "rate limited")) is not None:
        yield f"the vendor answers {life.name} -- RATE LIMITED", _told(fails, who, Outcome("rate limited"))


def _told(world: World, who: int, answer: Token | Outcome) -> World:
    life = world.lives[who]
    if not life.up:
        return _with(world, who, air=None)
    return _with(world, who, air=evolve(life.air, answer=answer))


def _troubles(world: World, who: int) -> Iterator[tuple[str, World]]:
    """What may happen to a worker, whatever it does: it dies, is stopped, or is cut off from the store."""
    life = world.lives[who]
    busy = life.point is not None or life.kept is not None or world.was_lost
    for name, _ in world.faults:
        kind, _, seconds = name.partition(" ")
        if kind not in {"dies", "stops", "cut", "refuses"} or not (busy or "loses data" in dict(world.faults)):
            continue
        start = _spend(world, name)
        if start is None:
            continue
        if kind == "dies":
            yield f"{life.name} DIES", _died(start, who)
            continue
        until = world.now + float(seconds)
        if kind == "stops":
            yield (
                f"{life.name} IS STOPPED for {seconds} s",
                _with(start, who, stopped_until=until, trouble=life.trouble | {STOPPED}),
            )
        elif kind == "refuses":
            yield f"THE STORE TAKES NOTHING of {life.name} for {seconds} s", _with(start, who, refused_until=until)
        elif life.reaches(world.now):
            hears = {"hear_by": until + timing.LISTEN_AGAIN + timing.LOSS_SPREAD} if _follows(world) else {}
            after = _with(start, who, cut_until=until, trouble=life.trouble | {CUT_OFF}, **hears)
            yield f"{life.name} IS CUT OFF from the store for {seconds} s", after


def _died(world: World, who: int) -> World:
    """Whatever only it had is gone."""
    life = world.lives[who]
    air = life.air if life.air is not None and life.air.answer is None else None
    after = _with(world, who, up=False, point=None, kept=None, air=air)
    grants = tuple(
        evolve(grant, died=True) if grant.by == who and not grant.durable else grant for grant in after.grants
    )
    return evolve(after, grants=grants)


def _losses(world: World) -> Iterator[tuple[str, World]]:
    """What may happen to the store."""
    working = any(not life.is_done for life in world.lives)
    if (after := _spend(world, "lease ends")) is not None and world.slot.held(world.now):
        lease = world.slot.lease
        assert lease is not None
        lives = tuple(
            evolve(life, trouble=life.trouble | {LEASE_ENDED})
            if life.lease and life.lease.number == lease.number
            else life
            for life in world.lives
        )
        yield "THE STORE ENDS THE LEASE", evolve(after, slot=world.slot.lapse(), lives=lives)
    if (after := _spend(world, "loses data")) is not None and working:
        yield "THE STORE LOSES DATA", _lost(after)


def _lost(world: World) -> World:
    slot = Slot() if world.case.loses_all else begin(world.case).slot
    left = serial_of(slot.record(world.now))
    grants = tuple(
        evolve(grant, durable=False, wiped=grant.durable, store_lost=not grant.durable)
        if grant.serial > left
        else grant
        for grant in world.grants
    )
    by = world.now + timing.LISTEN_AGAIN + timing.LOSS_SPREAD
    lives = tuple(
        evolve(
            life,
            hear_by=max(by, life.cut_until + by - world.now) if _follows(world) and life.up else math.inf,
            trouble=life.trouble | {LOST_DATA},
        )
        for life in world.lives
    )
    return evolve(world, slot=slot, lives=lives, grants=grants, lost_at=world.now)


def _follows(world: World) -> bool:
    """Whether workers listen to what becomes of the record."""
    return world.case.announces and world.case.vendor.needs_user


def _with(world: World, who: int, **what: object) -> World:
    lives = (*world.lives[:who], evolve(world.lives[who], **what), *world.lives[who + 1 :])
    return evolve(world, lives=lives)


# -- time ----------------------------------------------------------------------------------------------------------------------


def _next(world: World) -> float:
    """The next moment at which anybody has something to do; ``inf``: there is none."""
    found: list[float] = []
    for life in world.lives:
        if life.air is not None and life.air.answer is None:
            found.append(life.air.sent_at + world.case.slow)
        if not life.up:
            continue
        found += (life.stopped_until, life.cut_until, life.refused_until)
        if life.is_stopped(world.now):
            continue
        if life.point is None and life.renewals:
            found.append(life.starts_at)
        if life.lease is not None and life.point is not None:
            found.append(life.lease.extend_at)
        if life.kept is not None:
            found += (life.kept.offer_at, life.kept.extend_at)
        if life.point is not None:
            effect = life.point.effect
            if isinstance(effect, effects.Wait | effects.Sleep):
                found.append(life.since + effect.seconds)
            if isinstance(effect, effects.Wait) and world.slot.lease is not None:
                found.append(world.slot.lease.until)
            if isinstance(effect, effects.Settle):
                found.append(life.since + 10.0)
    return min((moment for moment in found if moment > world.now), default=math.inf)


def _passed(world: World, now: float) -> World:
    """At a later moment. Leases are extended before anything else."""
    if now > world.case.age + END:
        return evolve(world, bad="promise 7: it goes on for ever")
    world = evolve(world, now=now)
    for who, life in enumerate(world.lives):
        if (
            life.lease is not None
            and life.lease.extend_at <= now
            and not life.is_stopped(now)
            and life.point is not None
        ):
            step = Step(world, who)
            step.extend()
            world = step.world()
        if life.kept is not None and -math.inf < life.kept.extend_at and not life.is_stopped(now):
            step = Step(world, who)
            step.extend_kept()
            world = step.world()
    return _all_settled(world)


# -- the search ------------------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Found:
    """What came of a search."""

    states: int
    schedules: float
    """Ways from the beginning to an end. Nobody has walked each: equal worlds are met once."""
    bad: str = ""
    schedule: tuple[str, ...] = ()
    """The shortest that breaks something."""
    finished: bool = True

    def __str__(self) -> str:
        if not self.bad:
            return f"{self.states} states, {self.schedules:.3g} schedules: nothing found"
        return "\n    ".join([self.bad, *self.schedule])


LOOK_AGAIN = 1.0
"""Seconds between two looks of one who waits: four times as many bring nothing but sixteen times as many orders."""


def explore(case: Case, program: Program = renew, *, most: int = 1_000_000) -> Found:
    """What may become of a case. Raises ``NotImplementedError`` where the steps yield an effect that nobody has written down."""
    with patch.object(timing, "LOOK_AGAIN", LOOK_AGAIN):
        return _explore(case, program, most)


def _explore(case: Case, program: Program, most: int) -> Found:
    first = begin(case, program)
    came: dict[World, tuple[World, str] | None] = {first: None}
    queue, ways = deque([first]), _Ways()
    while queue and len(came) < most:
        here = queue.popleft()
        after = [] if here.bad else list(moves(here))
        bad = here.bad
        if not after and not bad:
            bad = promises.at_the_end(here)
        if bad:
            path: list[str] = []
            while (link := came[here]) is not None:
                path.append(f"{here.now:6.2f}  {link[1]}")
                here = link[0]
            return Found(states=len(came), schedules=ways.count(first), bad=bad, schedule=tuple(reversed(path)))
        ways.lead(here, [there for _, there in after])
        for what, there in after:
            if there not in came:
                came[there] = (here, what)
                queue.append(there)
    return Found(states=len(came), schedules=ways.count(first), finished=not queue)


class _Ways:
    """Counts ways from the beginning to an end."""

    def __init__(self) -> None:
        self._after: dict[World, list[World]] = {}

    def lead(self, here: World, there: list[World]) -> None:
        self._after[here] = there

    def count(self, first: World) -> float:
        found: dict[World, float] = {}
        stack = [first]
        while stack:
            here = stack[-1]
            after = self._after.get(here, [])
            if missing := [there for there in after if there not in found]:
                stack += missing
                continue
            stack.pop()
            found[here] = sum(found[there] for there in after) or 1.0
        return found[first]


def _said(answer: Token | Outcome) -> str:
    return answer.kind if isinstance(answer, Outcome) else f"a{serial(answer)} {answer.refresh_token or ''}".strip()


def _words(life: Life) -> str:
    """What it is about to do."""
    assert life.point is not None
    effect = life.point.effect
    match effect:
        case effects.Claim(newer_than=version, note=note):
            return f"{life.name} claims, newer than {version}{', with a note' if note else ''}"
        case effects.Ask():
            if life.air is None:
                return f"{life.name} asks the vendor"
            return f"{life.name} hears: {_said(life.air.answer)}" if life.air.answer else f"{life.name} asks once more"
        case effects.Commit(token=fresh):
            return f"{life.name} commits {_said(fresh)}"
        case effects.Wait(seconds=seconds) | effects.Sleep(seconds=seconds):
            return f"{life.name} has waited ({seconds:g} s at the most)"
        case effects.Release(note=note):
            return f"{life.name} gives the lease back{', leaving a note' if note else ''}"
    return f"{life.name}: {type(effect).__name__.lower()}"
