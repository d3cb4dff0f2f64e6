"""Wrong protocols, each a rewriter of what the steps want, of what they know, or of what they rest on. The model must find every one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import attrs

from linkauth.errors import ReauthorizationRequired
from linkauth.oauth.token import Token
from linkauth.protocol import renewal, session, timing
from linkauth.protocol.effects import Claim, Commit, Effect, Exchange, Failed, MarkDead, Read, Release, Serve
from linkauth.protocol.intent import Note
from linkauth.protocol.renewal import renew
from linkauth.store import Busy, Granted, Reading
from linkauth_stores.slot import Slot
from tests.model.beginning import steps
from tests.model.effects import Step
from tests.model.point import Program
from tests.model.worker import Fake

__all__ = ["FAULTS", "Fault", "planted", "replacing", "rewritten"]


@attrs.frozen
class Fault:
    name: str
    what: str
    program: Program
    case: str
    """Where it shows."""
    replaced: Callable[[], AbstractContextManager[Any]]
    """What else is wrong while the program runs."""


FAULTS: list[Fault] = []


def planted(
    case: str, replaced: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> Callable[[Program], Program]:
    """Add a fault, which shows in ``case``: the function's name is its name, its docstring says what is wrong."""

    def add(program: Program) -> Program:
        name, what = program.__name__.replace("_", " "), (program.__doc__ or "").strip()
        FAULTS.append(Fault(name, what, program, case, replaced))
        return program

    return add


def replacing(case: str) -> Any:
    """A fault in a number, a function or the store: what is named is replaced."""

    def add(where: Callable[[], tuple[Any, str, Any]]) -> Any:
        def program(me: Fake, *told: Any) -> Generator[Any, Any, Token]:
            return steps(me, *told)

        program.__name__, program.__doc__ = where.__name__, where.__doc__
        planted(case, lambda: patch.object(*where()))(program)
        return where

    return add


def rewritten(
    steps: Generator[Any, Any, Token], perform: Callable[[Effect], Generator[Any, Any, Any]]
) -> Generator[Any, Any, Token]:
    """``steps``, with ``perform`` between them and the world: it yields what is really done, and returns or raises what comes of it."""
    try:
        effect = next(steps)
        while True:
            try:
                answer = yield from perform(effect)
            except Exception as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(answer)
    except StopIteration as end:
        token: Token = end.value
        return token


# -- what the steps want -----------------------------------------------------------------------------------------------------


@planted("three workers, nothing goes wrong")
def handed_out_before_it_is_committed(me, *told):
    """The token is served, and then stored."""

    def perform(effect):
        if isinstance(effect, Commit):
            yield Serve(effect.token, effect.lineage)
        return (yield effect)

    return rewritten(renew(me, *told), perform)


@planted("the late answer comes at last")
def no_look_after_a_refusal(me, *told):
    """``invalid_grant`` is believed though somebody may have written a newer token meanwhile."""
    asked = False

    def perform(effect):
        nonlocal asked
        if asked and isinstance(effect, Read):
            return Reading(record=None, now=me.now()), None
        answer = yield effect
        asked = isinstance(effect, Exchange)
        return answer

    return rewritten(renew(me, *told), perform)


@planted("a good token")
def no_doubt_is_left(me, *told):
    """A worker that had no answer gives the lease back as if it had not sent."""

    def perform(effect):
        if isinstance(effect, Release) and isinstance(effect.note, Note):
            effect = Release(attrs.evolve(effect.note, doubt="", since=0.0))
        return (yield effect)

    return rewritten(renew(me, *told), perform)


@planted("a good token")
def claimed_without_a_note(me, *told):
    """Nothing says that a refresh token may have been spent."""

    def perform(effect):
        return (yield attrs.evolve(effect, note=b"") if isinstance(effect, Claim) else effect)

    return rewritten(renew(me, *told), perform)


@planted("three workers, a good token")
def a_release_clears_the_note(me, *told):
    """Whoever gives the lease back without having sent forgets what he found."""

    def perform(effect):
        return (yield Release() if isinstance(effect, Release) and isinstance(effect.note, bytes) else effect)

    return rewritten(renew(me, *told), perform)


@planted("one of three comes late")
def the_dead_are_not_written_down(me, *told):
    """Every worker asks the vendor for itself about a dead refresh token."""

    def perform(effect):
        if isinstance(effect, MarkDead):
            yield Release()
            raise ReauthorizationRequired("only the user can help")
        return (yield effect)

    return rewritten(renew(me, *told), perform)


@planted("three workers, a good token")
def sent_again_without_an_answer(me, *told):
    """No answer, from a vendor that answers nothing twice: sent again at once."""

    def perform(effect):
        answer = yield effect
        return (yield effect) if isinstance(answer, Failed) and answer.in_doubt else answer

    return rewritten(renew(me, *told), perform)


# -- what they know ----------------------------------------------------------------------------------------------------------


@planted("three workers, nothing goes wrong")
def a_newer_record_is_not_adopted(me, *told):
    """What others have written is passed by."""
    me.supersedes = lambda record: False
    return renew(me, *told)


@planted("a good token")
def doubt_is_not_seen(me, *told):
    """A note in doubt is not read: its token is spent though the access token is still good."""
    me.note = lambda found: attrs.evolve(Note.decode(found), doubt="")
    return renew(me, *told)


@planted("expired")
def distance_is_kept_by_each_alone(me, *told):
    """What the fleet agreed on about a failing vendor is not read."""
    me.note = lambda found: attrs.evolve(Note.decode(found), retry_at=0.0)
    return renew(me, *told)


@planted("the store comes back older")
def nothing_is_suspected(me, *told):
    """Nobody is waited for who may put back what the store lost."""
    me.suspects = lambda: False
    return renew(me, *told)


# -- what they rest on ---------------------------------------------------------------------------------------------------------


@replacing("the store comes back older")
def no_grace():
    """Who may hold something newer is given no time."""
    return timing, "GRACE", 0.0


@replacing("a good token")
def doubt_is_not_waited_out():
    """A token in doubt is spent at once."""
    return renewal, "pause", lambda me, attempt: 0.0


@replacing("expired")
def nobody_is_given_time():
    """Before a token in doubt is spent nobody looks."""

    def give_time(me, attempt, seconds):
        return
        yield

    return renewal, "give_time", give_time


@replacing("the refresh token stays")
def the_fence_is_ignored():
    """The store takes whatever comes last."""
    commit = Slot.commit

    def late(self, number, value, ttl, now):
        return commit(self, max(number, self.version + 1), value, ttl, now)

    return Slot, "commit", late


@replacing("three workers, nothing goes wrong")
def the_lease_is_ignored():
    """Busy is taken for granted."""
    claim = Slot.claim

    def granted(self, owner, ttl, newer_than, note, now):
        slot, found = claim(self, owner, ttl, newer_than, note, now)
        if isinstance(found, Busy):
            found = Granted(record=found.record, note=b"", now=now, number=self.last + 1)
        return slot, found

    return Slot, "claim", granted


@replacing("the store takes nothing of a worker")
def the_lease_of_an_unsaved_answer_ends():
    """An answer that the store does not take is offered on, and its lease let end."""
    return Step, "extend_kept", lambda step: None


# -- what the user does ----------------------------------------------------------------------------------------------------------


@replacing("a login")
def a_login_under_the_number_of_its_claim():
    """Whoever claimed when its lease had ended writes over it."""
    return timing, "CLAIMED_MEANWHILE", 0


@replacing("a logout")
def a_logout_under_the_number_of_its_claim():
    """Likewise."""
    return timing, "CLAIMED_MEANWHILE", 0


@contextmanager
def _counting():
    with patch.object(session, "int", lambda _: 0, create=True), patch.object(timing, "CLAIMED_MEANWHILE", 1):
        yield


@planted("a login, and the store comes back older", _counting)
def a_login_counts_as_the_store_does(me, *told):
    """Its number is above what is known, not above the clock: a store that lost its data takes what is late of the session before."""
    return renew(me, *told)
