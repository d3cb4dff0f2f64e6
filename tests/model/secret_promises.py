"""What must always hold of a client's secret, by the numbers of the ten promises: at the vendor every one but the newest is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkauth.oauth.token import Secret
from linkauth.protocol.records import SecretRecord
from linkauth_stores.slot import Slot
from tests.model.losses import TAKEN_OVER, why_lost
from tests.model.promises import granted, is_its_turn, marked, marks
from tests.model.values import Content, content, evolve, secret, serial_in, serial_of
from tests.model.worker import Ended, Outcome
from tests.model.world import LOST_DATA, Air, Grant, World

if TYPE_CHECKING:
    from tests.model.step import Step

__all__ = ["acted", "arrived", "at_the_end", "granted", "handed", "sending", "served", "unheard", "written"]


def written(step: Step, before: Slot, after: Slot) -> None:
    """Something may have been written."""
    if after.version == before.version and after.value == before.value:
        return
    was, stands = before.record(step.now), after.record(step.now)
    old, new = serial_of(was), serial_of(stands)
    if after.version < before.version:
        step.fail(4, f"overwrites version {before.version} with {after.version}")
    if was is not None and stands is not None and new < old:
        if not _two_at_once(step, old) and not _tied(step, content(was), content(stands)):
            step.fail(4, f"overwrites s{old} with s{new}, which is dead")
        step.more["excuse"] = step.before.excuse or TAKEN_OVER
    step.more["grants"] = marked(marks(step), new, durable=True, wiped=False)


def _two_at_once(step: Step, serial: int) -> bool:
    """Whether the rotation that brought it may have been asked for at the same time as another: nobody can say which was later."""
    return any(grant.serial == serial and (grant.taken_over or grant.store_lost) for grant in marks(step))


def sending(step: Step, _: Any) -> None:
    """It asks the vendor for another secret."""
    if not is_its_turn(step):
        return
    others = (life for who, life in enumerate(step.before.lives) if who != step.who)
    lease = step.me.lease
    assert lease is not None
    has = lease.granted.record if any(life.overtaken for life in others) else step.slot.record(step.now)
    assert step.me.began_with is not None
    if serial_of(has) > step.me.began_with and not step.me.trouble:
        step.fail(9, f"rotates, and s{serial_of(has)} has come since it looked")


def acted(world: World, who: int, _: Air) -> tuple[World, Secret]:
    """The vendor acts on a request. -> what it answers."""
    life, session = world.lives[who], world.session.rotate()
    grant = Grant(
        session.serial, who, died=not life.up, taken_over=life.overtaken, store_lost=LOST_DATA in life.trouble
    )
    return evolve(world, session=session, grants=(*world.grants, grant)), secret(session.serial)


def _serial(air: Air) -> int:
    found = air.answer.raw if isinstance(air.answer, Outcome) else air.answer
    return int(found.reveal()[1:]) if isinstance(found, Secret) else -1


def unheard(step: Step, air: Air) -> None:
    """An answer is lost on its way."""
    step.more["grants"] = marked(marks(step), _serial(air), unheard=True)


def arrived(step: Step, air: Air) -> None:
    """An answer has come."""
    step.more["grants"] = marked(marks(step), _serial(air), arrived=True)


def served(step: Step) -> None:
    """Whatever it holds now is sent with the next token request."""
    now, then = step.me.known, step.before.lives[step.who].known
    held, before = serial_in(now.record), serial_in(then.record)
    if held >= before:
        return
    if not _two_at_once(step, before) and not _tied(step, now.record, then.record):
        step.fail(4, f"goes on with s{held} in the place of s{before}")
    step.more["excuse"] = step.before.excuse or TAKEN_OVER


def _tied(step: Step, one: Content | None, other: Content | None) -> bool:
    """Whether both were asked for at one moment, as no clock says, of a store that gives its numbers again: nothing tells which was later."""
    at, others = (each.rotated_at if isinstance(each, SecretRecord) else None for each in (one, other))
    return step.before.was_lost and at == others


def handed(step: Step, ended: Ended) -> None:
    """Its rotation is over."""
    first = step.me.began_with
    came = any(first is not None and grant.serial > first and (grant.durable or grant.wiped) for grant in marks(step))
    if ended.words == "is done" and not came and not step.before.excuse:
        step.fail(3, "is told that the secret is another, and the store never had one")


def at_the_end(world: World) -> str:
    """What is wrong with a world in which nobody has anything left to do; empty: nothing."""
    waiting = [life.name for life in world.lives if not life.is_done]
    if waiting:
        return f"promise 7: {' and '.join(waiting)} wait for ever"
    lives, has = world.session.serial, serial_of(world.slot.record(world.now))
    if lives in {has, world.beside[1]}:
        return ""
    reason = world.excuse or why_lost(world.fate(lives))
    return "" if reason else f"promise 5: the vendor has s{lives}, the store s{has}, and nothing was cut off"
