"""Replacing a client's secret, once for all workers. The steps, in the order in which they are taken:

1. **Claim** the lease on the client's record, after a look. Whoever finds another worker at it waits, and shares the secret that it
   brings; so does who finds, as it claims, that another has come since that look.
2. **Look** what stands, under the lease and with a token in hand: others may have put back what the store had lost.
3. **Ask** the vendor, which kills the old secret at once. A lost answer took the new one with it: while the token lives,
   asking again is the one way to another.
4. **Commit** before anybody is told. What the store does not take is used by this process, and offered on.

An answer in which no secret is recognised is kept beside the record: a human reads it, and has the secret in it adopted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.errors import (
    ConfigurationError,
    MalformedResponse,
    NoAnswer,
    StoreError,
    StoreUnavailable,
    UnsupportedGrant,
    VendorUnavailable,
)
from linkauth.oauth.token import Secret
from linkauth.protocol.claim import acquire
from linkauth.protocol.effects import Claim, Effect, Exchange, Failed, LeaseLost, Read, Release, Sleep, Suspicion
from linkauth.store import Busy, Granted

if TYPE_CHECKING:
    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Steps
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.worker import Worker
    from linkauth.store import Claim as Claimed
    from linkauth.store import Reading

__all__ = ["Authorize", "CommitSecret", "DropAnswer", "KeepAnswer", "Newest", "adopt", "rotate"]


@attrs.frozen
class Newest(Effect):
    """Know the newest secret: what an earlier process left in escrow, then what the store has. Raises ``StoreError``.

    -> the time of what is asked for from now on in the order of secrets: the store's clock, Unix seconds, and no sooner than that
    of the one that is known.
    """


@attrs.frozen
class Authorize(Effect):
    """-> the token in whose name the secret is replaced. Raises what renewing it raises."""


@attrs.frozen
class CommitSecret(Effect):
    """Write under the lease's number, or above what is older. -> whether it stands in the store; else a later one does.

    What is ``irreplaceable`` is used by this process from now on, and kept and offered on if the store does not take it.
    """

    secret: Secret
    irreplaceable: bool
    at: float = 0.0
    """When it was asked for, as ``Newest`` said; 0: now."""


@attrs.frozen
class KeepAnswer(Effect):
    """Put a vendor's answer where an operator finds it, and offer it on until the store has it. -> where it is, in words."""

    answer: Secret


@attrs.frozen
class DropAnswer(Effect):
    """Let go of such an answer: what it may hold is dead by now."""


def rotate(me: Worker) -> Steps[None]:
    """Replace the client's secret at the vendor with the token that ``Authorize`` brings when it is this one's turn.

    Raises the vendor's refusal, ``VendorUnavailable``, ``MalformedResponse`` (``raw``: the answer; it is in the store,
    too), ``StoreUnavailable`` before anything was sent, and after it where the store would not take the secret.
    """
    while True:
        number = yield from _claim(me)
        if number is None:
            return
        started = me.now()
        try:
            commit = yield from _ask(me, number)
        except LeaseLost:  # this process was stopped for longer than its lease
            yield Release()
            continue
        except Exception:  # whatever it is: nobody is to wait for this lease's end
            yield Release()
            raise
        yield from _store(commit)
        me.tell("secret rotated", duration=me.now() - started)
        return


def adopt(me: Worker, secret: Secret) -> Steps[None]:
    """Make ``secret`` the client's newest: every worker on this store goes on with it. A kept answer is let go of.

    Raises ``UnsupportedGrant`` for a vendor whose secrets the store does not keep, ``ConfigurationError`` for what can be
    none, ``VendorUnavailable`` while a worker rotates, ``StoreError``.
    """
    if not me.vendor.rotates_secret:
        raise UnsupportedGrant(f"{me.vendor.name} does not rotate client secrets")
    if not secret.reveal().strip() or not secret.reveal().isprintable():
        raise ConfigurationError("a secret is printable, and not empty")
    found: tuple[Reading, StoreTime] = yield Read()
    record = found[0].record
    answer: tuple[Claimed, StoreTime] = yield Claim(record.version if record else 0)
    if not isinstance(claim := answer[0], Granted):
        wait = claim.remaining if isinstance(claim, Busy) else None
        raise VendorUnavailable("another worker is rotating this client's secret", retry_after=wait)
    stored: bool = yield CommitSecret(secret, irreplaceable=False)
    if not stored:
        raise VendorUnavailable("another worker has rotated this client's secret meanwhile")
    yield DropAnswer()


def _claim(me: Worker) -> Steps[int | None]:
    """The number of the lease; None: another worker has replaced the secret since this one looked, and it is known."""
    yield Newest()
    claim, _ = yield from acquire(me.now, me.version, until=me.now() + 2 * me.ttl)
    if isinstance(claim, Busy):
        raise VendorUnavailable("another worker has been rotating this client's secret for too long")
    if isinstance(claim, Granted):
        return claim.number
    yield Newest()
    return None


def _ask(me: Worker, number: int) -> Steps[CommitSecret]:
    """What is to be written of the secret that the vendor gives.

    Raises ``LeaseLost`` where a secret stands above what would be written under ``number``: another rotation's, while
    this process was stopped and no clock told; or one put back into a store that lost its data, and gave low numbers again.
    """
    token: Token = yield Authorize()
    while me.suspects() and (left := (yield Suspicion())):
        yield Sleep(left)
        token = yield Authorize()  # the other may have ended meanwhile
    at: float = yield Newest()
    if me.version >= number:
        raise LeaseLost
    outcome: Secret | Failed = yield Exchange(lambda vendor: vendor.rotate_secret(token))
    if isinstance(outcome, Secret):
        return CommitSecret(outcome, irreplaceable=True, at=at)
    error = outcome.error
    if isinstance(error, MalformedResponse) and isinstance(error.raw, Secret):
        kept: str = yield KeepAnswer(error.raw)
        me.report(f"no secret was recognised in the answer to a rotation; {kept}")
    if isinstance(error, NoAnswer):
        me.report("no answer to a rotation came, the old secret may be dead: rotate again at once")
    raise error


def _store(commit: CommitSecret) -> Steps[None]:
    """Have the store take the secret, unless a later rotation's stands there: that is the one that lives."""
    try:
        stored: bool = yield commit
    except StoreError as error:
        fault = str(error)
    else:
        if stored:
            yield DropAnswer()
        return
    message = "the vendor has rotated the secret and the store has not taken it yet; this process offers it on"
    raise StoreUnavailable(f"{message}: {fault}")
