"""Sessions that come in wrongly, as in ``faults``."""

from __future__ import annotations

from linkauth.protocol import adoption, renewal, timing
from linkauth.protocol.effects import Commit, Confirm, Forget, Release, Repair, Serve, Sleep
from tests.model.faults import replacing, rewritten
from tests.model.secret_faults import FAULTS

__all__ = ["FAULTS"]


@replacing("a session comes in")
def an_adoption_that_is_not_stored_first():
    """What comes in is renewed, and stored with what that brings."""
    adopt = adoption.adopt

    def unstored(me, brought, *, replace):
        def perform(effect):
            if isinstance(effect, Commit):
                yield Serve(effect.token, effect.lineage)
                return effect.token
            return (yield effect)

        return rewritten(adopt(me, brought, replace=replace), perform)

    return adoption, "adopt", unstored


@replacing("one comes in, and one is here")
def an_adoption_over_what_lives():
    """What comes in takes the place of whatever is here."""
    return adoption, "_fault", lambda me, token, record, replace: None


@replacing("one takes the place of another")
def an_adoption_under_the_number_of_its_claim():
    """Whoever claimed when its lease had ended writes over it."""
    return timing, "CLAIMED_MEANWHILE", 0


@replacing("what comes in is dead")
def a_refused_adoption_that_leaves_its_mark():
    """Where nothing was before, the store goes on saying that the user has to log in."""

    def withdraw(me, adopted):
        return
        yield

    return adoption, "withdraw", withdraw


@replacing("it is dead, and the user logs in")
def a_refused_adoption_takes_what_came_since():
    """What is withdrawn is whatever stands there by then."""

    def withdraw(me, adopted):
        override = yield from adoption.claim(me)
        yield Forget("", override.number, None)
        yield Release()

    return adoption, "withdraw", withdraw


@replacing("it does, and the store comes back older")
def what_was_lost_is_put_back_when_the_lease_is_given_back():
    """Who has not heard of the loss is granted a number above it meanwhile."""

    def give_back(me, attempt):
        yield Confirm()
        yield Release(attempt.granted.note)
        if me.lacks(attempt.granted.record):
            yield Repair()

    return renewal, "give_back", give_back


@replacing("a session comes in, stalls, and its lease ends")
def what_is_withdrawn_is_all_below_its_claim():
    """An answer that came late, and since the look, is deleted as well."""

    def withdraw(me, adopted):
        yield Sleep(timing.MARK_READ)
        override = yield from adoption.claim(me)
        if me.token is None and me.lineage.session == adopted.session:
            yield Forget("", override.number, None)
        yield Release()

    return adoption, "withdraw", withdraw
