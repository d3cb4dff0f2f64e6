"""One worker's turn at a token, and whom it gives time before it spends that: who may hold something newer.

Three things make a refresh token uncertain. A note says that somebody set out to spend it and never came back. The store has
less than this worker holds: it lost data, and others may hold what is newer still. Or the store was away a moment ago: then
whoever has something that it lost is about to put it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.errors import VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.effects import Adopt, Confirm, LeaseLost, Read, Repair, Sleep, Wait
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.intent import digest
from linkauth.protocol.timing import replayable

if TYPE_CHECKING:
    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Steps, Worker
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.intent import Note
    from linkauth.protocol.lineage import Lineage
    from linkauth.store import Granted, Reading

__all__ = ["InDoubt", "Turn", "came_back", "give_time", "look", "pause", "suspicion"]


class InDoubt(VendorUnavailable):
    """The refresh token may be spent, and there is time to wait for the one who knows. Never leaves the engine."""


@attrs.frozen
class Turn:
    """One worker's turn at ``token``, ``granted`` at ``time``."""

    token: Token | None
    lineage: Lineage
    granted: Granted
    time: StoreTime
    note: Note
    """What was found beside the record."""

    @property
    def next(self) -> Lineage:
        """Where what replaces the token comes from."""
        return self.lineage.renewed(self.token)

    @property
    def in_doubt(self) -> bool:
        """Somebody set out to spend this very refresh token, and it is not known what became of that."""
        doubt = self.note.doubt
        return bool(doubt) and doubt == digest(self.token)

    def is_behind(self, version: int) -> bool:
        """Whether the store has less than ``version``: it lost what is held."""
        return self.granted.record is None or self.granted.record.version < version


def pause(me: Worker, turn: Turn) -> float:
    """Seconds for which a possible holder of a newer token is waited for before anything is sent.

    Raises ``InDoubt``: as long as the access token is good, unless the refresh token would lapse over it.
    """
    rotation, token, left = me.vendor.rotation, turn.token, turn.note
    if not rotation.rotates or token is None:
        return 0.0
    window = replayable(rotation.replay_window, me.timeout)
    if turn.is_behind(me.version) or not turn.in_doubt or turn.time.now < left.since + window:
        return suspicion(me, turn)
    me.tell("in doubt", "a worker set out to renew and did not come back")
    lapses = token.refresh_expires_at
    if me.verdict() is not Verdict.WAIT and (lapses is None or lapses > token.expires_at):
        raise InDoubt("a worker set out to renew and did not come back; it is given time")
    if left.kind:
        return suspicion(me, turn)  # it did come back, and said that it had no answer
    # However long ago it set out: had the store been away, it could not come back before now.
    return timing.GRACE


def suspicion(me: Worker, turn: Turn) -> float:
    """Seconds in which others may put back what the store has lost: whoever has something newer is about to say so."""
    return timing.GRACE if turn.is_behind(me.version) else me.suspicion()


def give_time(me: Worker, turn: Turn, seconds: float) -> Steps[None]:
    """Give a possible holder of something newer ``seconds`` to come forward.

    Raises ``LeaseLost`` where one did, and what it brought is adopted, or where the lease was lost meanwhile.
    """
    looked = me.now()
    end = looked + seconds
    if turn.is_behind(me.version):
        yield Repair()  # which tells whoever holds something newer that the store lost it
    # Should the store go away and come back meanwhile, the others need their time again.
    while me.token == turn.token and (left := max(end - me.now(), me.suspicion())) > 0:
        yield Wait(min(left, timing.LONGEST_LOOK), me.version)
        if (yield from came_back(me)):
            break
        if me.now() > looked + 2 * timing.LONGEST_LOOK:
            end = me.now() + seconds
        looked = me.now()
        yield Sleep(min(left, timing.LOOK_AGAIN))  # a wait ends at once where the store has lost the lease
    if me.token != turn.token or not (yield Confirm()):
        raise LeaseLost


def came_back(me: Worker) -> Steps[bool]:
    """Whether somebody has written something later than what is held, since this worker's turn began; then it is adopted."""
    looked = yield from look(me)
    return looked is None


def look(me: Worker) -> Steps[int | None]:
    """The version that stands in the store; None: it is of something later than what is held, and was adopted."""
    answer: tuple[Reading, StoreTime] = yield Read()
    record, time = answer[0].record, answer[1]
    if record is None or not me.supersedes(record):
        return record.version if record else 0
    yield Adopt(record, time, awaited=True)
    return None
