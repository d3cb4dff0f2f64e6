"""The renewal of one credential by one worker, among any number of others. The steps, in the order in which they are taken:

1. **Claim** the lease, but not while the store may have lost data that somebody is about to put back. A newer record: adopt
   it, done. Busy: wait for its change or its lease's end, claim again.
2. **Look at what was found.** A vendor that failed is left alone until the time that the fleet agreed on. A note *in
   doubt* says that somebody set out to spend this very refresh token and never came back: while the access token is
   good nobody is hurt by waiting; after that, or should it lapse sooner itself, it is tried once all the same, for without
   it the session is dead anyway. Who may hold something newer is given time.
3. **Exchange.** The claim carried our own note in doubt, so it stands before the request goes out, and it was the
   probe that the store can be written. No claim, no spending.
4. **Commit, then hand out.** A refusal is believed only if nobody has written anything later.

A vendor that does not rotate needs none of the care: a second exchange is only waste. With the store away, such a
credential is fetched for this process alone. So it is where no user is needed, and the record cannot be read.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from linkauth.errors import (
    CorruptRecord,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    LinkAuthError,
    MalformedResponse,
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.effects import (
    Adopt,
    Ask,
    Claim,
    Commit,
    Confirm,
    Enter,
    Failed,
    LeaseLost,
    Leave,
    Read,
    Release,
    Repair,
    Revoke,
    Serve,
    Settle,
    Sleep,
    Suspicion,
    Wait,
)
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.patience import Turn, give_back, give_time, look, outwait, pause
from linkauth.protocol.timing import backoff
from linkauth.store import Busy, Granted, Newer

if TYPE_CHECKING:
    from linkauth.protocol.effects import Steps, Worker
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import Claim as Claimed
    from linkauth.store import Reading, Record
    from linkauth.vendors.vendor import Vendor

__all__ = ["hopeless", "renew"]


class WithoutStore(LinkAuthError):
    """The store is away, or its record cannot be read, and this vendor needs neither. Never leaves these steps."""

    def __init__(self, held: int = 0) -> None:
        super().__init__()
        self.held = held
        """The version that was held when that was found out."""


def renew(me: Worker, known: int, called: float = -math.inf) -> Steps[Token]:
    """A token of another version than ``known``, the one that was held when it was asked for.

    ``called``: the moment (monotonic) of a call for a new one. What was sent for before it does not count, unless it was in the
    air then. Nothing is read first: it would only be older than what the claim tells.

    Raises ``ReauthorizationRequired``, the vendor's refusal, ``VendorUnavailable``, ``MalformedResponse``, or
    ``StoreError`` (only where the vendor rotates, or only the store can have a token).
    """
    if (yield Settle()) and me.verdict() is Verdict.SERVE:
        return me.current()
    try:
        return (yield from _renew(me, known, called))
    except WithoutStore as found:
        held = found.held
    yield Enter()  # a claim that found something has given the leave back
    return (yield from _alone(me, held))


def _renew(me: Worker, known: int, called: float) -> Steps[Token]:
    # Whoever has the lease may be waiting for an answer that is the session.
    begun, passed = me.now(), 0
    limit = begun + 2 * (me.timeout + me.ttl) + (timing.ANSWER if me.vendor.rotation.rotates else 0.0)
    met: int | None = None
    while me.now() < limit:
        held = me.version  # one look: another thread's loop may bring a token at any moment
        called = called if met in {None, held} else -math.inf  # what came while somebody was waited for was in the air
        if held != known and _is_new(me, begun, called):
            return me.current()  # adopted, or by a login or another loop's renewal
        if me.token is None and me.vendor.needs_user:
            if (yield from _found(me)) and _is_new(me, begun, called):
                return me.current()
            continue
        token = me.token
        if (yield from _outwait(me, token)):
            met = held
            continue
        claim, time = yield from _claim(me, token, held, passed)
        if isinstance(claim, Busy):
            yield from _wait(min(claim.remaining, limit - me.now()), max(me.version, passed))
            met = held
        elif isinstance(claim, Granted):
            turn = Turn(token, me.version, me.lineage, claim, time, me.note(claim.note))
            if (fresh := (yield from _take_turn(me, turn, called))) is not None:
                return fresh
            met = held
        else:
            passed = yield from _adopt(me, claim.record, time, awaited=met is not None)
            if me.token == token:  # it was only written anew, under another key
                known, met = me.version, None if met is None else me.version
    raise VendorUnavailable("another worker has been renewing for too long")


def _is_new(me: Worker, begun: float, called: float) -> bool:
    """Whether the token that is held will do for who asked at ``called``, and whose steps have ``begun`` then."""
    if me.verdict() is not Verdict.WAIT:
        return me.new_until >= called
    # Over by its own words; but it came just now, and lives so short that who waited for the next would be late for that, too.
    token = me.token
    fleeting = token is not None and token.expires_at - token.issued_at < timing.LEAST_GAP
    return fleeting and me.new_until >= max(begun, called)


def _early(me: Worker) -> float:
    """Seconds until a token whose end is near, or past, may be renewed: it was only just, by this worker or another."""
    if me.token is None or me.verdict() is Verdict.SERVE:  # it is not its end that asks
        return 0.0
    left = me.token.issued_at + timing.LEAST_GAP - me.store_now()
    return max(left, 0.0) if left <= timing.LEAST_GAP else 0.0  # else a clock was set back


def _outwait(me: Worker, token: Token | None) -> Steps[bool]:
    """Claim nothing that is spent while others may put back what the store has lost. -> whether something came of that."""
    if me.vendor.rotation.rotates and me.suspects():
        yield from outwait(me, token)
    return me.token != token


def _claim(me: Worker, token: Token | None, held: int, passed: int) -> Steps[tuple[Claimed, StoreTime]]:
    """Ask for the lease, and leave word of what is about to be spent.

    Not before there is leave to ask the vendor; who has to wait for that looks first whether somebody has renewed it.
    """
    if early := _early(me):
        yield Sleep(early)
    newer_than = max(held, passed)
    if me.crowded() and (newer := (yield from _look(newer_than))) is not None:
        return newer
    yield Enter()
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


def _adopt(me: Worker, record: Record, time: StoreTime, *, awaited: bool) -> Steps[int]:
    """Adopt what is newer. What is not, though its number is higher, is passed by: with the next claim above that."""
    if not me.supersedes(record):
        return record.version
    try:
        yield Adopt(record, time, awaited)
    except CorruptRecord as error:
        _unreadable(me, error)
        raise WithoutStore(me.version) from None
    return 0


def _wait(seconds: float, newer_than: int) -> Steps[None]:
    """For whoever has the lease, or for a record above ``newer_than``: what was passed by is there already."""
    try:
        yield Wait(seconds, newer_than)
    except StoreUnavailable:  # the next claim tells what that means for this vendor
        yield Sleep(min(seconds, timing.CLAIM_AGAIN))


def _take_turn(me: Worker, turn: Turn, called: float) -> Steps[Token | None]:
    """What leading brings; None: the lease is not ours any more, and there is nothing to go on with."""
    if me.vendor.rotation.rotates and (me.suspects() or me.lacks(turn.granted.record)):
        yield from give_back(me, turn)
        return None
    try:
        return (yield from _lead(me, turn))
    except LeaseLost:
        adopted = me.token != turn.token and me.verdict() is not Verdict.WAIT and me.new_until >= called
        return me.current() if adopted else None


def _lead(me: Worker, turn: Turn) -> Steps[Token]:
    """What the holder of the lease does. Raises ``LeaseLost`` where somebody else was faster."""
    record, left, now = turn.granted.record, turn.note, turn.time.now
    if record is not None and me.supersedes(record):
        yield Adopt(record, turn.time)
    # Another token was adopted while the lease was asked for: it may be fresh, and the note does not name it.
    if me.token != turn.token:
        yield Release(turn.granted.note)
        raise LeaseLost
    # Further off than anybody writes: the store's clock was set back, or somebody else wrote it.
    if now < left.retry_at <= now + 2 * timing.LONGEST_ORDER:
        yield Release(turn.granted.note)
        raise left.failure(left.retry_at - now)
    if reason := hopeless(me.vendor, turn.token, me.store_now()):
        return (yield from _give_in(me, turn, reason))
    try:
        if seconds := pause(me, turn):
            yield Leave()
            yield from give_time(me, turn, seconds)
            yield Enter()
        begun = me.now()
        outcome: Token | Failed = yield _asking(me, turn.token)
    except LinkAuthError:  # nothing was sent
        yield Release(turn.granted.note)
        raise
    if isinstance(outcome, Token):
        stored: Token = yield Commit(outcome, turn.next, irreplaceable=me.vendor.rotation.rotates)
        me.tell("renewed", duration=me.now() - begun)
        me.granted(outcome, _asked_for(me.vendor, turn.token))
        return stored
    return (yield from _failed(me, turn, outcome))


def _asking(me: Worker, token: Token | None) -> Ask:
    """What is asked of the vendor: a slow one's answer is waited for where the session hangs on it."""
    rotates = me.vendor.rotation.rotates
    return Ask(lambda vendor: vendor.renew(token), single_use=rotates, answer=timing.ANSWER if rotates else 0.0)


def _give_in(me: Worker, turn: Turn, reason: str) -> Steps[Token]:
    """There is no way to another token. The one that is held stays good to its end."""
    if me.unexpired():
        yield Release(turn.granted.note)
        raise me.lost(reason)
    if turn.token is not None and turn.time.now < turn.token.expires_at:
        reason = f"the API refused the token again and again, and {reason}"
    return (yield from _revoke(reason))


def _failed(me: Worker, turn: Turn, failed: Failed) -> Steps[Token]:
    """The vendor gave no token: leave word for the fleet, and raise it."""
    error = failed.error
    match error:
        case InvalidGrant() | InvalidToken() if me.vendor.needs_user:
            return (yield from _refused(me, turn, error))
        case InvalidRequest(unexplained=True) if me.vendor.needs_user and _is_final(me, turn):
            return (yield from _refused(me, turn, error))
        case MalformedResponse(salvage=Token() as salvage):
            # Unusable, but it brought a new refresh token: the old one is spent.
            error.salvage = None
            if turn.token is not None and me.unexpired():  # no reason to interrupt anybody
                salvage = attrs.evolve(
                    turn.token,
                    refresh_token=salvage.refresh_token,
                    refresh_expires_at=None,
                    endpoint=salvage.endpoint,
                )
            yield Commit(salvage, turn.next, irreplaceable=True)
        case LinkAuthError():
            yield Release(_word(me, turn, error, in_doubt=turn.in_doubt or failed.in_doubt))
        case _:  # an adapter's mistake must not hold the fleet up until the lease ends
            fault = VendorUnavailable(f"the adapter failed: {type(error).__name__}")
            yield Release(_word(me, turn, fault, in_doubt=True))
    raise error


def _is_final(me: Worker, turn: Turn) -> bool:
    """Whether a refusal without a word is taken for the refresh token's end: again and again, and nothing is left to serve.

    Some servers refuse a dead one so (Glewlwyd). Once may be an accident, and while the access token is good nobody is hurt.
    """
    again = turn.note.kind == InvalidRequest.__name__ and turn.note.failures >= timing.UNEXPLAINED
    return again and not me.unexpired()


def _refused(me: Worker, turn: Turn, refusal: LinkAuthError) -> Steps[Token]:
    """The refresh token is refused: believe it only if nobody has written a newer one meanwhile, here or elsewhere."""
    words = str(refusal)
    # Where asking spent nothing, who may hold a later login is waited for only now.
    if me.lacks(turn.granted.record):
        yield Repair()
    if me.suspects():
        yield from outwait(me, turn.token)
        if me.token == turn.token and not (yield Confirm()):
            yield Release(turn.granted.note)
            raise LeaseLost
    looked: int | None = 0
    with suppress(StoreUnavailable):  # then writing it down will hardly succeed, and the next worker will look again
        looked = yield from look(me)
    if looked is None or me.token != turn.token:
        yield Release()
        raise LeaseLost
    reason = f"the vendor refused the refresh token ({words})"
    if turn.in_doubt:
        reason += "; the answer to an earlier renewal may have been lost when a worker died or was cut off"
    return (yield from _revoke(reason, looked + 1 if looked else 0))


def _revoke(reason: str, number: int = 0) -> Steps[Token]:
    """Only the user can help, unless somebody has written a later token since the last look, before ``number``."""
    later: Token = yield Revoke(reason, number)
    return later


def _word(me: Worker, turn: Turn, error: LinkAuthError, *, in_doubt: bool) -> Note:
    """What the fleet is to know: why it failed, and when somebody may try again."""
    left, now = turn.note, turn.time.unix(me.now())
    wait = backoff(left.failures, timing.RENEW_FIRST, me.chance())
    ordered = getattr(error, "retry_after", None)
    if ordered is not None:
        wait = max(wait, min(float(ordered), timing.LONGEST_ORDER))
    if isinstance(error, InvalidClient):  # it holds back whoever would send the same secret (``limits``), nobody else
        wait = 0.0
    doubt = digest(turn.token) if in_doubt else ""
    since = left.since if turn.in_doubt else now
    if isinstance(error, VendorUnavailable):
        error.retry_after = wait
    note = Note(doubt=doubt, since=since if doubt else 0.0, failures=left.failures)
    return note.failing(error, now + wait)


# -- without a lease ---------------------------------------------------------------------------------------------------


def _found(me: Worker) -> Steps[bool]:
    """Without a token, and none to be had but from the user: whether somebody has brought one meanwhile."""
    left: float = (yield Suspicion()) if me.suspects() else 0.0
    answer: tuple[Reading, StoreTime] = yield Read()
    record, time = answer[0].record, answer[1]
    if me.token is not None:  # a login, or a look, has brought one while this one read
        if record is not None:
            me.observe(record, time)
        return me.verdict() is not Verdict.WAIT
    try:
        if record is None or not me.supersedes(record):
            raise me.lost("nobody has logged in or paired yet")
        yield Adopt(record, time)
    except ReauthorizationRequired:
        if not left and not me.suspects():  # which this very look may have brought about
            raise
        # Who holds a session that came later is about to put it back.
        yield Sleep(min(left or timing.LOOK_AGAIN, timing.LOOK_AGAIN))
        return False
    return me.verdict() is not Verdict.WAIT


def _alone(me: Worker, known: int) -> Steps[Token]:
    """With the store away, for this process alone: the vendor does not rotate, so this is only waste.

    Unless a login or a look that reached the store has brought another version than ``known`` meanwhile.
    """
    if me.version != known and me.verdict() is not Verdict.WAIT:
        return me.current()
    known, begun, token, lineage = me.version, me.now(), me.token, me.lineage
    outcome: Token | Failed = yield _asking(me, token)
    if isinstance(outcome, Failed):
        raise outcome.error
    if me.version != known and me.vendor.needs_user:  # the user has logged in or out meanwhile
        return me.current()
    yield Serve(outcome, lineage.renewed(token))
    me.tell("renewed", "for this process alone", me.now() - begun)
    me.granted(outcome, _asked_for(me.vendor, token))
    return outcome


def _asked_for(vendor: Vendor, token: Token | None) -> str:
    """The scope that the renewal of ``token`` asks for: what the user had granted, or what the registration says."""
    scope: str = token.scope if vendor.needs_user and token is not None else getattr(vendor, "scope", "")
    return scope


def hopeless(vendor: Vendor, token: Token | None, now: float) -> str:
    """Why there is no way to another token than from the user; empty: there is one. ``now``: the store's clock."""
    if not vendor.needs_user:
        return ""
    if token is None or not token.refresh_token:
        return "there is no refresh token"
    lapses = token.refresh_expires_at
    return "the refresh token has lapsed" if lapses is not None and lapses <= now else ""
