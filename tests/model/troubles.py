"""What may happen to workers and to the store: nobody's step, and each as often only as the case says."""

from __future__ import annotations

import math
from collections.abc import Iterator

from linkauth.protocol import timing
from linkauth_stores.slot import Slot
from tests.model.beginning import first_slot
from tests.model.values import evolve, serial_of
from tests.model.world import CUT_OFF, LEASE_ENDED, LOST_DATA, STOPPED, World

__all__ = ["losses", "replaced", "spend", "troubles"]


def spend(world: World, fault: str) -> World | None:
    """``world`` with one fault less of that name; None: there is none left."""
    if world.together == 0 or not any(name == fault and left for name, left in world.faults):
        return None
    left = tuple((name, left - (name == fault)) for name, left in world.faults)
    return evolve(world, faults=left, together=world.together - 1)


def troubles(world: World, who: int) -> Iterator[tuple[str, World]]:
    """What may happen to a worker, whatever it does: it dies, is stopped, or is cut off from the store."""
    life = world.lives[who]
    busy = life.point is not None or life.kept is not None or world.was_lost
    for name, _ in world.faults:
        kind, _, seconds = name.partition(" ")
        if kind not in {"dies", "stops", "cut", "refuses"} or not (busy or "loses data" in dict(world.faults)):
            continue
        start = spend(world, name)
        if start is None:
            continue
        if kind == "dies":
            yield f"{life.name} DIES", _died(start, who)
            continue
        until = world.now + float(seconds)
        if kind == "stops":
            yield (
                f"{life.name} IS STOPPED for {seconds} s",
                replaced(start, who, stopped_until=until, trouble=life.trouble | {STOPPED}),
            )
        elif kind == "refuses":
            yield f"THE STORE TAKES NOTHING of {life.name} for {seconds} s", replaced(start, who, refused_until=until)
        elif life.reaches(world.now):
            hears = {"hear_by": until + timing.LISTEN_AGAIN + timing.LOSS_SPREAD} if _follows(world) else {}
            after = replaced(start, who, cut_until=until, trouble=life.trouble | {CUT_OFF}, **hears)
            yield f"{life.name} IS CUT OFF from the store for {seconds} s", after


def _died(world: World, who: int) -> World:
    """Whatever only it had is gone."""
    life = world.lives[who]
    air = life.air if life.air is not None and life.air.answer is None else None
    after = replaced(world, who, up=False, point=None, kept=None, air=air)
    grants = tuple(
        evolve(grant, died=True) if grant.by == who and not grant.durable else grant for grant in after.grants
    )
    return evolve(after, grants=grants)


def losses(world: World) -> Iterator[tuple[str, World]]:
    """What may happen to the store."""
    working = any(not life.is_done for life in world.lives)
    if (after := spend(world, "lease ends")) is not None and world.slot.held(world.now):
        lease = world.slot.lease
        assert lease is not None
        lives = tuple(
            evolve(life, trouble=life.trouble | {LEASE_ENDED})
            if life.lease and life.lease.number == lease.number
            else life
            for life in world.lives
        )
        yield "THE STORE ENDS THE LEASE", evolve(after, slot=world.slot.lapse(), lives=lives)
    if (after := spend(world, "loses data")) is not None and working:
        yield "THE STORE LOSES DATA", _lost(after)


def _lost(world: World) -> World:
    slot = Slot() if world.case.loses_all else first_slot(world.case)
    left = serial_of(slot.record(world.now))
    grants = tuple(
        evolve(grant, durable=False, wiped=grant.durable, store_lost=not (grant.durable or grant.of_the_user))
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
    return world.case.announces and (world.case.vendor.needs_user or world.case.vendor.rotates_secret)


def replaced(world: World, who: int, **what: object) -> World:
    lives = (*world.lives[:who], evolve(world.lives[who], **what), *world.lives[who + 1 :])
    return evolve(world, lives=lives)
