"""What must always hold, by the numbers of the ten promises; asked wherever something happens that could break one.

Six (cancelled callers) and ten (keys) are not about the steps; half of seven (who waits) and nine (storms) is the callers'.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.errors import ReauthorizationRequired
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth.store import Record
from linkauth_stores.slot import Slot
from tests.model.losses import Fate, why_lost
from tests.model.values import content, evolve, serial, serial_of, token, windows_of
from tests.model.vendor import SESSION, Login, Logout
from tests.model.worker import DONE, Ended, Outcome
from tests.model.world import LOST_DATA, NOT_HEARD, UNNOTICED, Air, Grant, Life, World

if TYPE_CHECKING:
    from tests.model.effects import Step

GRACE: Final = timing.GRACE
"""As it is, whatever a planted fault makes of it."""

__all__ = [
    "acted",
    "arrived",
    "at_the_end",
    "granted",
    "handed",
    "is_its_turn",
    "marked",
    "marks",
    "sending",
    "served",
    "unheard",
    "written",
]


def marked(grants: tuple[Grant, ...], serial_: int, **what: bool) -> tuple[Grant, ...]:
    return tuple(evolve(grant, **what) if grant.serial == serial_ else grant for grant in grants)


def marks(step: Step) -> tuple[Grant, ...]:
    found: tuple[Grant, ...] = step.more.get("grants", step.before.grants)
    return found


# -- the store ---------------------------------------------------------------------------------------------------------------


def written(step: Step, before: Slot, after: Slot) -> None:
    """Something may have been written."""
    if after.version == before.version and after.value == before.value:
        return
    kind, session = step.case.vendor, step.before.session
    old, new = before.record(step.now), after.record(step.now)
    if after.version < before.version:
        step.fail(4, f"overwrites version {before.version} with {after.version}")
    if new is None:
        _withdrawn(step, old)
        return
    if serial_of(new) < 0 and getattr(content(new), "by_user", False):
        step.more["left"] = max(step.before.left, serial_of(old) // SESSION)
        return
    if serial_of(new) < 0:
        fate = step.before.fate(session.serial)
        reason = "" if fate.durable else why_lost(fate)
        if session.alive and serial_of(old) == session.serial and kind.rotation.rotates:
            step.fail(4, f"buries {kind.refresh(session.serial)}, which is alive")
        step.more["excuse"] = step.before.excuse or reason
        step.more["dead"] = step.before.dead | {getattr(content(new), "spent", "")}
        return
    if kind.rotation.rotates:
        older = serial_of(old) > serial_of(new)
    else:  # a vendor may answer two that ask at once in another order than they were sent
        ranks = [(serial_of(each) // SESSION, _sent_at(each)) for each in (old, new)]
        older = ranks[0] > ranks[1] and not step.before.was_lost
    if serial_of(new) // SESSION == step.before.withdrawn and not step.me.trouble:
        step.fail(4, f"brings a{serial_of(new)} back, which was withdrawn")
    if serial_of(new) // SESSION <= step.before.left and not step.before.was_lost:
        step.fail(4, f"brings a{serial_of(new)} back, and the user has gone")
    if older:
        step.fail(4, f"overwrites a{serial_of(old)} with a{serial_of(new)}, which is older")
    step.more["grants"] = marked(marks(step), serial_of(new), durable=True, wiped=False)


def _withdrawn(step: Step, old: Record | None) -> None:
    """Nothing stands there any more: that may become only of the mark of what was brought in, and refused."""
    found, brought = None if old is None else content(old), [grant.serial for grant in _brought(step)]
    refused = (step.who, step.case.vendor.refresh(serial_of(old))) in step.before.refused and serial_of(old) in brought
    if not (refused or (brought and isinstance(found, DeadRecord) and not found.by_user)):
        step.fail(4, f"deletes {'what the user wrote' if serial_of(old) < 0 else f'a{serial_of(old)}'}")
    step.more["withdrawn"] = max(brought, default=-1) // SESSION


def _brought(step: Step) -> list[Grant]:
    """What this worker has brought in."""
    return [grant for grant in marks(step) if grant.by == step.who] if step.case.brings_in(step.who) else []


def _sent_at(record: Record | None) -> float:
    found = None if record is None else content(record)
    return found.token.issued_at if isinstance(found, TokenRecord) else -math.inf


def granted(step: Step) -> None:
    """It has the lease: whoever had it before, and was in trouble, has lost it."""
    troubled = [who for who, life in enumerate(step.before.lives) if who != step.who and life.trouble]
    lives = (evolve(life, overtaken=True) if who in troubled else life for who, life in enumerate(step.before.lives))
    step.before = evolve(step.before, lives=tuple(lives))
    step.more["grants"] = tuple(
        evolve(grant, taken_over=True)
        if grant.by in troubled and not (grant.durable or grant.wiped or grant.of_the_user)
        else grant
        for grant in marks(step)
    )


# -- the vendor ----------------------------------------------------------------------------------------------------------------


def is_its_turn(step: Step) -> bool:
    """Whether all is as it knows, so that it may be judged by what it asks; and nobody else asks, for it has the lease."""
    me, world, care = step.me, step.before, step.case.vendor.rotation.rotates or step.case.vendor.rotates_secret
    if me.trouble & UNNOTICED or world.was_lost or (not care and any(life.failures for life in world.lives)):
        return False
    for who, life in enumerate(world.lives):
        of_the_user = life.air is not None and isinstance(life.air.asks, Login | Logout)
        if who != step.who and life.up and life.air is not None and not life.trouble and not of_the_user:
            step.fail(1, f"asks the vendor at the same time as {life.name}")
    if (
        me.lease is None
        or step.slot.lease is None
        or step.slot.lease.number != me.lease.number
        or not step.slot.held(step.now)
    ):
        step.fail(1, "asks the vendor, and the lease is not its own")
        return False
    return True


def sending(step: Step, spending: Token | None) -> None:
    """It asks the vendor."""
    me, world, kind = step.me, step.before, step.case.vendor
    care = kind.rotation.rotates
    if me.kept is not None and care:
        step.fail(5, f"spends {spending and spending.refresh_token}, and has an answer that the store has not")
    if not is_its_turn(step):
        return
    others = [life for who, life in enumerate(world.lives) if who != step.who]
    lease = me.lease
    assert lease is not None
    has = lease.granted.record if any(life.overtaken for life in others) else step.slot.record(step.now)
    # What stands of a login since, which waited for nobody, is not hurt by what becomes of the session before it.
    same = serial_of(has) // SESSION == serial(spending) // SESSION or spending is None
    if has is not None and serial_of(has) > serial(spending) and same and step.supersedes(has):
        step.fail(2 if care else 9, f"renews a{serial(spending)}, and the store has a{serial_of(has)}")
    note = Note.decode(lease.granted.note)
    if note.retry_at > step.now:
        step.fail(8, f"asks the vendor {note.retry_at - step.now:g} s before the fleet may")
    for who, life in enumerate(world.lives):
        told = spending is not None and (who, spending.refresh_token) in world.refused
        if told and life.up and not (life.trouble or life.failures):
            step.fail(8, f"asks about {spending and spending.refresh_token}, and {life.name} was told that it is dead")
    if not care or spending is None:
        return
    if digest(spending) in world.dead:
        step.fail(8, f"asks about {spending.refresh_token}, which the store has as dead")
    withdrawn = serial(spending) // SESSION == world.withdrawn
    if not withdrawn and any(grant.serial == serial(spending) and not grant.durable for grant in world.grants):
        step.fail(5, f"spends {spending.refresh_token}, which the store never had")
    may_be_spent = note.doubt == digest(spending) or world.session.is_spent(spending.refresh_token)
    if may_be_spent and kind.rotation.replay_window == 0:
        if step.now < windows_of(spending).hard:
            step.fail(2, f"spends {spending.refresh_token}, which is in doubt, while {spending.access_token} is good")
        if not note.kind and step.now < lease.granted.now + GRACE:  # nobody has said that he had no answer
            step.fail(
                2, f"spends {spending.refresh_token}, which is in doubt, and gives nobody {GRACE:g} s to come back"
            )


def acted(world: World, who: int, air: Air) -> tuple[World, Token | Outcome]:
    """The vendor acts on a request. -> what it answers."""
    match air.asks:
        case Login():
            after = evolve(world, session=world.session.login())
            return _granted(after, who, air, after.session.serial)
        case Logout(token=token_):
            ended = evolve(world, session=world.session.logout(token_.refresh_token))
            return evolve(ended, excuse=world.excuse or ("" if ended.session.alive else "the user ended it")), DONE
    life = world.lives[who]
    refresh = air.asks.refresh_token if air.asks else None
    of, (session, serial_) = world.session.of(refresh), world.session.act(refresh, world.now)
    if serial_ is not None:
        return _granted(evolve(world, session=session), who, air, serial_)
    bad, excuse = world.bad, world.excuse
    if of.alive and world.session.is_spent(refresh):
        reason = why_lost(_asked_again(world, who, serial(air.asks) + 1))
        if not reason:
            bad = bad or f"promise 2: {life.name} sends {refresh}, which is spent, and nothing was cut off"
        excuse = excuse or (reason if of is world.session else "")
    return evolve(world, session=session, bad=bad, excuse=excuse), Outcome("refused")


def _granted(world: World, who: int, air: Air, serial_: int) -> tuple[World, Token]:
    life, of_the_user = world.lives[who], isinstance(air.asks, Login)
    before = next((grant for grant in world.grants if grant.serial == serial_), None)
    grant = Grant(
        serial_,
        who,
        of_the_user=of_the_user,
        durable=before is not None and before.durable,
        died=not life.up,
        taken_over=life.overtaken and not of_the_user,
        store_lost=LOST_DATA in life.trouble and not of_the_user,
    )
    grants = (*(grant for grant in world.grants if grant is not before), grant)
    return evolve(world, grants=grants), token(serial_, air.sent_at, world.case.vendor.refresh(serial_))


def _asked_again(world: World, who: int, serial_: int) -> Fate:
    """What became of an answer, as seen by one who asks with the same refresh token once more."""
    life = world.lives[who]
    fate = world.fate(serial_)
    found = None if life.lease is None else life.lease.granted.record
    return evolve(
        fate,
        durable=fate.durable and serial_of(found) >= serial_,
        taken_over=fate.taken_over or life.overtaken,
        store_lost=fate.store_lost or bool(life.trouble & {LOST_DATA, NOT_HEARD}),
    )


def unheard(step: Step, air: Air) -> None:
    """An answer is lost on its way, and not asked for again."""
    if isinstance(air.answer, Token):
        step.more["grants"] = marked(marks(step), serial(air.answer), unheard=True)


def arrived(step: Step, air: Air) -> None:
    if isinstance(air.answer, Token):
        step.more["grants"] = marked(marks(step), serial(air.answer), arrived=True)
    elif air.answer == Outcome("refused") and isinstance(air.asks, Token):
        step.more["refused"] = step.before.refused | {(step.who, air.asks.refresh_token)}


# -- the callers ---------------------------------------------------------------------------------------------------------------


def served(step: Step) -> None:
    """Whatever it holds now may be handed out."""
    held, before = step.me.known.token, step.before.lives[step.who].known.token
    if held is None or held is before:
        return
    if serial(held) < serial(before) and step.case.vendor.rotation.rotates:
        step.fail(4, f"lets go of {before and before.access_token} for {held.access_token}, which is older")
    gone = (
        step.me.trouble and step.slot.record(step.now) is None
    )  # forgotten meanwhile: who asked for it gets it all the same
    if step.me.failures or gone:
        return
    if any(grant.serial == serial(held) and not (grant.durable or grant.wiped) for grant in marks(step)):
        step.fail(3, f"hands out {held.access_token}, which the store never had")


def handed(step: Step, ended: Ended) -> None:
    """Its renewal is over."""
    fresh = ended.token
    if fresh is not None and fresh.expires_at <= step.now and step.me.stopped_until < 0:
        step.fail(7, f"hands out {fresh.access_token}, which expired at {fresh.expires_at:g}")
    if fresh is None and step.me.kept is None and any(not (each.durable or each.wiped) for each in _brought(step)):
        step.more["excuse"] = step.before.excuse or "it did not come in, and who brought it was told"


# -- the end -------------------------------------------------------------------------------------------------------------------


def at_the_end(world: World) -> str:
    """What is wrong with a world in which nobody has anything left to do; empty: nothing."""
    waiting = [life.name for life in world.lives if not life.is_done]
    if waiting:
        return f"promise 7: {' and '.join(waiting)} wait for ever"
    if world.case.withdraws and _is_refused(world.lives[0]) and world.slot.record(world.now) is not None:
        return "promise of adopt: something stays of what came in and was dead"
    if not world.case.vendor.rotation.rotates:
        return ""
    session = world.session
    refresh = world.case.vendor.refresh(session.serial)
    has = world.slot.record(world.now)
    if (
        session.serial // SESSION <= world.left
        and (serial_of(has) < 0 or serial_of(has) // SESSION > world.left)
        and has
    ):
        return ""
    found = content(has).token.refresh_token if has is not None and serial_of(has) >= 0 else None  # type: ignore[union-attr]
    if session.alive and found == refresh:
        return ""
    reason = world.excuse or why_lost(world.fate(session.serial))
    what = f"the vendor has {refresh}{'' if session.alive else ', revoked'}, the store {found}"
    return "" if reason else f"promise 5: {what}, and nothing was cut off"


def _is_refused(life: Life) -> bool:
    """Whether the user was sent for, by one to whom nothing else has happened."""
    refused = life.result is not None and life.result.words.startswith(ReauthorizationRequired.__name__)
    return refused and life.up and not (life.failures or life.trouble)
