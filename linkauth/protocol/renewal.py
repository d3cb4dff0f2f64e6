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
from typing import TYPE_CHECKING

from linkauth.errors import LinkAuthError, ReauthorizationRequired, StoreError, VendorUnavailable
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.claim import Attempt, WithoutStore, adopt, ask_for_lease, wait
from linkauth.protocol.effects import (
    AcquirePermit,
    Adopt,
    Commit,
    Exchange,
    Failed,
    LeaseLost,
    Read,
    Release,
    ReleasePermit,
    Serve,
    Settle,
    Sleep,
    Suspicion,
)
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.patience import give_back, give_time, outwait, pause
from linkauth.protocol.refusal import failed, give_in
from linkauth.protocol.session_end import hopeless
from linkauth.store import Busy, Granted

if TYPE_CHECKING:
    from linkauth.protocol.effects import Steps
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.lineage import Lineage
    from linkauth.protocol.worker import Worker
    from linkauth.store import Reading
    from linkauth.vendors.vendor import Vendor

__all__ = ["renew"]


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
    yield AcquirePermit()  # a claim that found something has given the permit back
    return (yield from _alone(me, held))


def _renew(me: Worker, known: int, called: float) -> Steps[Token]:
    # Whoever has the lease may be waiting for an answer that is the session.
    started, passed = me.now(), 0
    limit = started + 2 * (me.timeout + me.ttl) + (timing.ANSWER if me.vendor.rotation.rotates else 0.0)
    # What the store did not have at a look since the call was in the air then, whatever the times say: they are known within a
    # round trip only.
    seen: int | None = None
    waited = False
    while me.now() < limit:
        held = me.version  # one look: another thread's loop may bring a token at any moment
        called = called if seen in {None, held} else -math.inf
        if held != known and _is_new(me, started, called):
            return me.current()  # adopted, or by a login or another loop's renewal
        if me.token is None and me.vendor.needs_user:
            seen = yield from _found(me)
            if _is_new(me, started, called):
                return me.current()
            continue
        token = me.token
        if (yield from _outwait(me, token)):
            seen, waited = held, True
            continue
        claim, time = yield from ask_for_lease(me, token, held, passed)
        if isinstance(claim, Busy):
            yield from wait(min(claim.remaining, limit - me.now()), max(me.version, passed), claim)
            seen, waited = held, True
        elif isinstance(claim, Granted):
            attempt = Attempt(token, me.version, me.lineage_over(claim.record), claim, time, me.note(claim.note))
            if (fresh := (yield from _attempt(me, attempt, called))) is not None:
                return fresh
            seen, waited = held, True
        else:
            passed = yield from adopt(me, claim.record, time, awaited=waited)
            seen = claim.record.version if seen is None else seen
            if me.token == token:  # it was only written anew, under another key
                known = seen = me.version
    raise VendorUnavailable("another worker has been renewing for too long")


def _is_new(me: Worker, started: float, called: float) -> bool:
    """Whether the token that is held will do for who asked at ``called``, and whose steps ``started`` then."""
    if me.verdict() is not Verdict.WAIT:
        return me.new_until >= called
    # Over by its own times; but it came just now, and lives so short that who waited for the next would be late for that, too.
    token = me.token
    fleeting = token is not None and 0 <= token.expires_at - token.issued_at < timing.LEAST_GAP
    return fleeting and me.new_until >= max(started, called)


def _outwait(me: Worker, token: Token | None) -> Steps[bool]:
    """Claim nothing that is spent while others may put back what the store has lost. -> whether something came of that."""
    if me.vendor.rotation.rotates and me.suspects():
        yield from outwait(me, token)
    return me.token != token


def _attempt(me: Worker, attempt: Attempt, called: float) -> Steps[Token | None]:
    """What the attempt brings; None: the lease is not ours any more, and there is nothing to go on with."""
    rotates = me.vendor.rotation.rotates
    if (rotates and me.suspects()) or ((rotates or me.vendor.needs_user) and me.lacks(attempt.granted.record)):
        yield from give_back(me, attempt)
        return None
    try:
        return (yield from _under_lease(me, attempt))
    except LeaseLost:
        adopted = me.token != attempt.token and me.verdict() is not Verdict.WAIT and me.new_until >= called
        return me.current() if adopted else None


def _under_lease(me: Worker, attempt: Attempt) -> Steps[Token]:
    """What the holder of the lease does: look, exchange, commit. Raises ``LeaseLost`` where somebody else was faster."""
    record, left, now = attempt.granted.record, attempt.note, attempt.time.now
    if record is not None and me.supersedes(record):
        yield Adopt(record, attempt.time)
    # Another token was adopted while the lease was asked for: it may be fresh, and the note does not name it.
    if me.token != attempt.token:
        yield Release(attempt.granted.note)
        raise LeaseLost
    # Further off than anybody writes: the store's clock was set back, or somebody else wrote it.
    if now < left.retry_at <= now + timing.LONGEST_ORDER + timing.LEAST_JUMP:
        yield Release(attempt.granted.note)
        raise left.failure(left.retry_at - now)
    if reason := hopeless(me.vendor, attempt.token, me.store_now()):
        return (yield from give_in(me, attempt, reason))
    try:
        if seconds := pause(me, attempt):
            yield ReleasePermit()
            yield from give_time(me, attempt, seconds)
            yield AcquirePermit()
        started = me.now()
        outcome: Token | Failed = yield _exchange(me, attempt.token)
    except LinkAuthError:  # nothing was sent
        yield Release(attempt.granted.note)
        raise
    if isinstance(outcome, Token):
        try:
            stored: Token = yield Commit(outcome, attempt.next, irreplaceable=me.vendor.rotation.rotates)
        except StoreError:  # it can be had again
            return (yield from _serve(me, outcome, attempt.token, attempt.lineage, started))
        me.tell("renewed", duration=me.now() - started)
        me.check_scope(outcome, _asked_for(me.vendor, attempt.token))
        return stored
    return (yield from failed(me, attempt, outcome))


def _exchange(me: Worker, token: Token | None) -> Exchange:
    """What is asked of the vendor: a slow one's answer is waited for where the session hangs on it."""
    rotates = me.vendor.rotation.rotates
    patience = timing.ANSWER if rotates else 0.0
    return Exchange(lambda vendor: vendor.renew(token), single_use=rotates, idempotent=not rotates, answer=patience)


# -- without a lease ---------------------------------------------------------------------------------------------------


def _found(me: Worker) -> Steps[int]:
    """Without a token, and none to be had but from the user: adopt what somebody has brought. The version in the store."""
    left: float = (yield Suspicion()) if me.suspects() else 0.0
    answer: tuple[Reading, StoreTime] = yield Read()
    record, time = answer[0].record, answer[1]
    stands = 0 if record is None else record.version
    if me.token is not None:  # a login, or a look, has brought one while this one read
        if record is not None:
            me.observe(record, time)
        return stands
    try:
        if record is None or not me.supersedes(record):
            raise me.reauthorization("nobody has logged in or paired yet")
        yield Adopt(record, time)
    except ReauthorizationRequired:
        if not left and not me.suspects():  # which this very look may have brought about
            raise
        # Who holds a session that came later is about to put it back.
        yield Sleep(min(left or timing.LOOK_AGAIN, timing.LOOK_AGAIN))
    return stands


def _alone(me: Worker, known: int) -> Steps[Token]:
    """With the store away, for this process alone: the vendor does not rotate, so this is only waste.

    Unless a login or a look that reached the store has brought another version than ``known`` meanwhile.
    """
    if me.version != known and me.verdict() is not Verdict.WAIT:
        return me.current()
    started, token, lineage = me.now(), me.token, me.lineage
    outcome: Token | Failed = yield _exchange(me, token)
    if isinstance(outcome, Failed):
        raise outcome.error
    return (yield from _serve(me, outcome, token, lineage, started))


def _serve(me: Worker, fresh: Token, token: Token | None, lineage: Lineage, started: float) -> Steps[Token]:
    """Serve ``fresh`` in the place of ``token``, whose ``lineage`` that is, in this process alone."""
    if me.token != token and me.vendor.needs_user:  # the user has logged in or out meanwhile
        return me.current()
    yield Serve(fresh, lineage.alone(token))
    me.tell("renewed", "for this process alone", me.now() - started)
    me.check_scope(fresh, _asked_for(me.vendor, token))
    return fresh


def _asked_for(vendor: Vendor, token: Token | None) -> str:
    """The scope that the renewal of ``token`` asks for: what the user had granted, or what the registration says."""
    scope: str = token.scope if vendor.needs_user and token is not None else getattr(vendor, "scope", "")
    return scope
