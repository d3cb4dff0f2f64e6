"""Getting the lease on a record: how it is asked for, whatever the record is of; and when, with what note, on a token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from linkauth.errors import CorruptRecord, LinkAuthError, StoreUnavailable
from linkauth.protocol import timing
from linkauth.protocol.effects import AcquirePermit, Adopt, Claim, Read, Sleep, Wait
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.intent import Note, digest
from linkauth.store import Busy, Newer

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Steps
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.lineage import Lineage
    from linkauth.protocol.worker import Worker
    from linkauth.store import Claim as Claimed
    from linkauth.store import Granted, Reading, Record

__all__ = ["Attempt", "WithoutStore", "acquire", "adopt", "ask_for_lease", "wait"]


def acquire(
    now: Callable[[], float],
    known: int = 0,
    *,
    look: Callable[[], Steps[Claim]] | None = None,
    passing: bool = False,
    until: float = math.inf,
) -> Steps[tuple[Claimed, StoreTime]]:
    """Ask for the lease on a record until it is granted; whoever has it is waited for, and at ``until`` it is ``Busy``.

    A record that is newer than ``known`` comes back as ``Newer``, or is passed by: then the lease is had whatever there is.
    ``look``: what is to be asked for where that is to be looked at before each claim. ``now``: the clock of ``until``, monotonic.
    Raises ``StoreError``.
    """
    while True:
        asked = Claim(known) if look is None else (yield from look())
        answer: tuple[Claimed, StoreTime] = yield asked
        claim = answer[0]
        if isinstance(claim, Busy) and (left := until - now()) > 0:
            yield from wait(min(claim.remaining, left), asked.newer_than, claim)
        elif isinstance(claim, Newer) and passing:
            known = claim.record.version
        else:
            return answer


def wait(seconds: float, newer_than: int, busy: Busy) -> Steps[None]:
    """For whoever has the lease, or for a record above ``newer_than``: what was passed by is there already."""
    try:
        yield Wait(seconds, newer_than, busy)
    except StoreUnavailable:  # the next claim tells what that means
        yield Sleep(min(seconds, timing.CLAIM_AGAIN))


# -- a token's ----------------------------------------------------------------------------------------------------------


class WithoutStore(LinkAuthError):
    """The store is away, or its record cannot be read, and this vendor needs neither. Never leaves the steps."""

    def __init__(self, held: int = 0) -> None:
        super().__init__()
        self.held = held
        """The version that was held when that was found out."""


@attrs.frozen
class Attempt:
    """One worker's attempt at renewing ``token``, under the lease that was ``granted`` at ``time``."""

    token: Token | None
    version: int
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


def _early(me: Worker) -> float:
    """Seconds until a token whose end is near, or past, may be renewed: it was only just, by this worker or another."""
    if me.token is None or me.verdict() is Verdict.SERVE:  # it is not its end that asks
        return 0.0
    if not me.token.access_token and me.lineage.generation == 0:  # of a session that came in, it never was
        return 0.0
    left = me.token.issued_at + timing.LEAST_GAP - me.store_now()
    return max(left, 0.0) if left <= timing.LEAST_GAP else 0.0  # else a clock was set back


def ask_for_lease(me: Worker, token: Token | None, held: int, passed: int) -> Steps[tuple[Claimed, StoreTime]]:
    """Ask for the lease, and leave a note of what is about to be spent.

    Not before there is a permit to ask the vendor; who has to wait for one looks first whether somebody has renewed it.
    """
    if early := _early(me):
        yield Sleep(early)
    newer_than = max(held, passed)
    if me.crowded() and (newer := (yield from _look(newer_than))) is not None:
        return newer
    yield AcquirePermit()
    spending = digest(token) if me.vendor.rotation.rotates else ""
    note = Note(doubt=spending, since=me.store_now()).encode() if spending else b""
    try:
        claim: tuple[Claimed, StoreTime] = yield Claim(newer_than, note)
    except StoreUnavailable:
        if me.vendor.rotation.rotates or (me.vendor.needs_user and token is None):
            raise
    except CorruptRecord as error:
        _unreadable(me, error)
    else:
        return claim
    raise WithoutStore(held)


def _unreadable(me: Worker, error: CorruptRecord) -> None:
    """A session is nobody else's to make. Whoever needs no user goes on without."""
    if me.vendor.rotation.rotates or me.vendor.needs_user:
        raise error
    me.unreadable(error)


def _look(newer_than: int) -> Steps[tuple[Newer, StoreTime] | None]:
    """As a claim that finds something newer would answer, and claims nothing."""
    try:
        reading: Reading
        reading, time = yield Read()
    except StoreUnavailable:  # the claim tells what that means
        return None
    record = reading.record
    if record is None or record.version <= newer_than:
        return None
    return Newer(record=record, note=reading.note, now=reading.now), time


def adopt(me: Worker, record: Record, time: StoreTime, *, awaited: bool) -> Steps[int]:
    """Adopt what is newer. What is not, though its number is higher, is passed by: with the next claim above that."""
    if not me.supersedes(record):
        return record.version
    try:
        yield Adopt(record, time, awaited)
    except CorruptRecord as error:
        _unreadable(me, error)
        raise WithoutStore(me.version) from None
    return 0
