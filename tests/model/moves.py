"""From one world to all that may come next: a step of somebody, the vendor's act, a fault, or time passing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from linkauth.oauth.token import Secret, Token
from linkauth.protocol import client_secret, effects, timing
from tests.model.effects import take
from tests.model.judges import judge
from tests.model.step import Raised, Step
from tests.model.troubles import losses, replaced, spend, troubles
from tests.model.values import evolve
from tests.model.words import doing, said
from tests.model.worker import Outcome
from tests.model.world import Life, World

__all__ = ["all_settled", "moves"]

END = 250.0
"""Seconds after which a world that still moves goes on for ever."""
STEPS = ("away", "unheard", "not sent", "no answer")
"""Faults that happen to one step."""
COMMITS = (effects.Commit, client_secret.CommitSecret)
LOCAL = (
    client_secret.Authorize,
    effects.Adopt,
    effects.Serve,
    effects.Settle,
    effects.AcquirePermit,
    effects.ReleasePermit,
    effects.Sleep,
)
"""Effects that touch nobody else: they are done at once, so that no order is tried in which they come later."""


# -- what may come next ------------------------------------------------------------------------------------------------------


def moves(world: World) -> Iterator[tuple[str, World]]:
    """What everybody may do, and what may happen to them; where nobody has anything to do, time passes."""
    urgent = False
    for who, life in enumerate(world.lives):
        if any(_is_as(life, other) for other in world.lives[:who]):
            continue  # what it may do now that one may do instead: the names are all that would differ
        if life.air is not None and life.air.answer is None:
            yield from _acts(world, who)
            urgent |= world.now >= life.air.sent_at + world.case.slow
        if life.is_stopped(world.now):
            continue
        for what, after in _steps(world, who):
            urgent = True
            yield what, after
        yield from troubles(world, who)
    yield from losses(world)
    if not urgent:
        later = _next(world)
        if later < math.inf:
            yield f"{later - world.now:g} s pass", _passed(world, later)


def _is_as(life: Life, other: Life) -> bool:
    """Whether both are alike in all but their names, and nobody has heard of either: without a claim nothing is left anywhere."""
    return life.claims == other.claims == 0 and evolve(life, name=other.name) == other


def _steps(world: World, who: int) -> Iterator[tuple[str, World]]:
    life = world.lives[who]
    if life.point is not None:
        yield from _tries(world, who, doing(life), take)
    waits = life.point is not None and isinstance(life.point.effect, COMMITS)
    if life.kept is not None and not waits and world.now >= life.kept.offer_at:
        yield from _tries(world, who, f"{life.name} offers what it kept", _offers)
    if life.hear_by < math.inf and life.reaches(world.now):
        yield from _tries(world, who, f"{life.name} hears that the store may have lost data", _hears)


def _tries(world: World, who: int, words: str, does: Callable[[Step], None]) -> Iterator[tuple[str, World]]:
    """A step, and the same with each fault that can happen in it."""
    for fault in ("", *STEPS):
        start = world if not fault else spend(world, fault)
        if start is None:
            continue
        step = Step(start, who, fault)
        does(step)
        after = step.world()
        if step.met and after != start:
            yield words + (f" -- {fault.upper()}" if fault else ""), _settled(after, who)


def all_settled(world: World) -> World:
    for who in range(len(world.lives)):
        world = _settled(world, who)
    return world


def _settled(world: World, who: int) -> World:
    """After all that a worker does for itself: it begins to renew, adopts, serves."""
    while not (world.bad or world.lives[who].is_stopped(world.now)):
        life, step = world.lives[who], Step(world, who)
        if life.point is not None and _is_local(life, world.now):
            take(step)
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
    after, answer = judge(world.case).acted(world, who, air)
    yield f"the vendor answers {life.name}: {said(answer)}", _told(after, who, answer)
    if isinstance(answer, Secret) and (unread := spend(world, "unreadable")) is not None:
        bare = evolve(after, faults=unread.faults, together=unread.together)
        yield f"the vendor answers {life.name} -- UNREADABLE", _told(bare, who, Outcome("unreadable", raw=answer))
    if (fails := spend(world, "rate limited")) is not None:
        yield f"the vendor answers {life.name} -- RATE LIMITED", _told(fails, who, Outcome("rate limited"))


def _told(world: World, who: int, answer: Token | Secret | Outcome) -> World:
    life = world.lives[who]
    if not life.up:
        return replaced(world, who, air=None)
    return replaced(world, who, air=evolve(life.air, answer=answer))


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
    return all_settled(world)
