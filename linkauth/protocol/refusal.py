"""What is done where a vendor gives no token: leave a note for the fleet, or write down for all that only the user can help."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from linkauth.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    LinkAuthError,
    MalformedResponse,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.effects import Commit, Confirm, Failed, LeaseLost, MarkDead, Release
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.patience import look, outwait
from linkauth.protocol.timing import backoff

if TYPE_CHECKING:
    from linkauth.protocol.claim import Attempt
    from linkauth.protocol.effects import Steps
    from linkauth.protocol.worker import Worker

__all__ = ["failed", "give_in"]


def give_in(me: Worker, attempt: Attempt, reason: str) -> Steps[Token]:
    """There is no way to another token. The one that is held stays good to its end."""
    if me.unexpired():
        yield Release(attempt.granted.note)
        raise me.reauthorization(reason)
    if attempt.token is not None and attempt.time.now < attempt.token.expires_at:
        reason = f"the API refused the token again and again, and {reason}"
    return (yield from _mark_dead(reason))


def failed(me: Worker, attempt: Attempt, failed: Failed) -> Steps[Token]:
    """The vendor gave no token: leave a note for the fleet, and raise it."""
    error = failed.error
    match error:
        case InvalidGrant() | InvalidToken() if me.vendor.needs_user:
            return (yield from _refused(me, attempt, error))
        case InvalidRequest(unexplained=True) if me.vendor.needs_user and _is_final(me, attempt):
            return (yield from _refused(me, attempt, error))
        case MalformedResponse(salvage=Token() as salvage):
            # Unusable, but it brought a new refresh token: the old one is spent.
            error.salvage = None
            if attempt.token is not None and me.unexpired():  # no reason to interrupt anybody
                salvage = attrs.evolve(
                    attempt.token,
                    refresh_token=salvage.refresh_token,
                    refresh_expires_at=None,
                    endpoint=salvage.endpoint,
                )
            yield Commit(salvage, attempt.next, irreplaceable=True)
        case LinkAuthError():
            yield Release(_failure_note(me, attempt, error, in_doubt=attempt.in_doubt or failed.in_doubt))
        case _:  # an adapter's mistake must not hold the fleet up until the lease ends
            fault = VendorUnavailable(f"the vendor's class failed: {type(error).__name__}")
            yield Release(_failure_note(me, attempt, fault, in_doubt=True))
    raise error


def _is_final(me: Worker, attempt: Attempt) -> bool:
    """Whether an unexplained refusal is taken for the refresh token's end: again and again, and nothing is left to serve.

    Some servers refuse a dead one so (Glewlwyd). Once may be an accident, and while the access token is good nobody is hurt.
    """
    again = attempt.note.kind == InvalidRequest.__name__ and attempt.note.failures >= timing.UNEXPLAINED
    return again and not me.unexpired()


def _refused(me: Worker, attempt: Attempt, refusal: LinkAuthError) -> Steps[Token]:
    """The refresh token is refused: believe it only if nobody has written a newer one meanwhile, here or elsewhere."""
    said = str(refusal)
    if me.suspects():  # where asking spends nothing, who may hold a later login is waited for only now
        yield from outwait(me, attempt.token)
        if me.token == attempt.token and not (yield Confirm()):
            yield Release(attempt.granted.note)
            raise LeaseLost
    looked: int | None = 0
    with suppress(StoreUnavailable):  # then writing it down will hardly succeed, and the next worker will look again
        looked = yield from look(me)
    if looked is None or me.token != attempt.token:
        yield Release()
        raise LeaseLost
    reason = f"the vendor refused the refresh token ({said})"
    if attempt.in_doubt:
        reason += "; the answer to an earlier renewal may have been lost when a worker died or was cut off"
    return (yield from _mark_dead(reason, looked + 1 if looked else 0))


def _mark_dead(reason: str, number: int = 0) -> Steps[Token]:
    later: Token = yield MarkDead(reason, number)
    return later


def _failure_note(me: Worker, attempt: Attempt, error: LinkAuthError, *, in_doubt: bool) -> Note:
    """What the fleet is to know: why it failed, and when somebody may try again."""
    left, now = attempt.note, attempt.time.unix(me.now())
    wait = backoff(left.failures, timing.RENEW_FIRST, me.chance())
    ordered = getattr(error, "retry_after", None)
    if ordered is not None:
        wait = max(wait, min(float(ordered), timing.LONGEST_ORDER))
    if isinstance(error, InvalidClient):  # it holds back whoever would send the same secret (``limits``), nobody else
        wait = 0.0
    doubt = digest(attempt.token) if in_doubt else ""
    since = left.since if attempt.in_doubt else now
    if isinstance(error, VendorUnavailable):
        error.retry_after = wait
    note = Note(doubt=doubt, since=since if doubt else 0.0, failures=left.failures)
    return note.failing(error, now + wait)
