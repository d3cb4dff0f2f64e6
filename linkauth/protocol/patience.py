"""One worker's attempt at renewing a token, and whom it gives time before it spends that: who may hold something newer.

Two things make a refresh token uncertain. A note says that somebody set out to spend it and never came back. Or the store
may have lost data: it was away a moment ago, or has less than this worker holds. Then whoever has something newer is about
to put it back. That is waited out before the claim: who waits under the lease keeps away the one who has a request in
the air, and wants his lease again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.errors import ReauthorizationRequired, StoreUnavailable, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.effects import (
    Adopt,
    Confirm,
    LeaseLost,
    Read,
    Release,
    ReleasePermit,
    Repair,
    Settle,
    Sleep,
    Suspicion,
    Wait,
)
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.timing import replayable

if TYPE_CHECKING:
    from linkauth.oauth.token import Token
    from linkauth.protocol.claim import Attempt
    from linkauth.protocol.effects import Steps
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.worker import Worker
    from linkauth.store import Reading

__all__ = ["InDoubt", "give_back", "give_time", "look", "outwait", "pause"]


class InDoubt(VendorUnavailable):
    """The refresh token may be spent, and there is time to wait for the one who knows. Never leaves the engine."""


def pause(me: Worker, attempt: Attempt) -> float:
    """Seconds for which a possible holder of a newer token is waited for before anything is sent.

    Raises ``InDoubt``: as long as the access token is good, unless the refresh token would lapse over it.
    """
    rotation, token, left = me.vendor.rotation, attempt.token, attempt.note
    if not rotation.rotates or token is None:
        return 0.0
    window, now = replayable(rotation.replay_window, me.timeout), attempt.time.now
    # It set out in the future: the store's clock was set back, and nobody knows how long ago that was.
    if not attempt.in_doubt or left.since <= now < left.since + window:
        return 0.0
    me.tell("in doubt", "a worker set out to renew and did not come back")
    lapses = token.refresh_expires_at
    if me.verdict() is not Verdict.WAIT and (lapses is None or lapses > token.expires_at):
        raise InDoubt("a worker set out to renew and did not come back; it is given time")
    if left.kind:
        return 0.0  # it did come back, and said that it had no answer
    # However long ago it set out: had the store been away, it could not come back before now.
    return timing.GRACE


def give_back(me: Worker, attempt: Attempt) -> Steps[None]:
    """Give the lease back, for the store may have lost data: then its number may be somebody else's, so it is asked for by owner.

    What the store has lost and this worker holds is put back, which tells whoever holds something newer.
    """
    yield ReleasePermit()
    yield Confirm()
    if me.lacks(attempt.granted.record):
        yield Repair()
    yield Release(attempt.granted.note)


def outwait(me: Worker, token: Token | None) -> Steps[None]:
    """Wait until nobody puts back any more what the store has lost; no longer than ``token`` is what is held."""
    cut_off = False
    while me.token == token and (left := (yield Suspicion(anew=cut_off))):
        looked = me.now()
        yield Sleep(min(left, timing.LOOK_AGAIN))
        try:
            yield from look(me)
        except ReauthorizationRequired:  # an older record may say so: whoever goes on without a token looks again
            return
        except StoreUnavailable:  # away once more: the next claim tells what that means
            pass
        cut_off = me.now() > looked + 2 * timing.LONGEST_LOOK


def give_time(me: Worker, attempt: Attempt, seconds: float) -> Steps[None]:
    """Give who set out to spend the token, and may have something newer, ``seconds`` to come forward.

    What he left in this machine's escrow comes before that: he may be dead.

    Raises ``LeaseLost`` where he did, and what he brought is adopted, or where the lease, or data, was lost meanwhile.
    """
    yield Settle(anew=True)
    looked = me.now()
    end = looked + seconds
    while me.token == attempt.token and not me.suspects() and (left := end - me.now()) > 0:
        yield Wait(min(left, timing.LONGEST_LOOK), me.version)
        if (yield from look(me)) is None or me.version > attempt.version:
            break
        if me.now() > looked + 2 * timing.LONGEST_LOOK:
            end = me.now() + seconds
        looked = me.now()
        yield Sleep(min(left, timing.LOOK_AGAIN))  # a wait ends at once where the store has lost the lease
    if me.token == attempt.token and me.version > attempt.version:
        # Somebody reasserts his lease: his request is in the air.
        yield Release(attempt.granted.note)
        yield Sleep(timing.REASSERTION_HEARD)
        raise LeaseLost
    mine: bool = me.token == attempt.token and (yield Confirm())
    if not mine or me.suspects():
        raise LeaseLost


def look(me: Worker) -> Steps[int | None]:
    """The version that stands in the store; None: it is of something later than what is held, and was adopted.

    The same token under a higher number is nothing later: somebody has reasserted his lease, or written it anew.
    """
    answer: tuple[Reading, StoreTime] = yield Read()
    record, time, token = answer[0].record, answer[1], me.token
    if record is None or not me.supersedes(record):
        return record.version if record else 0
    yield Adopt(record, time, awaited=True)
    return record.version if me.token == token else None
