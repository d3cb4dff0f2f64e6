"""Wrong rotations of a client's secret, as in ``faults``."""

from __future__ import annotations

from functools import partial

from linkauth.oauth.token import Secret
from linkauth.protocol import client_secret
from linkauth.protocol.claim import acquire
from linkauth.protocol.client_secret import CommitSecret, KeepAnswer, Newest, rotate
from linkauth.protocol.effects import Exchange
from tests.model.faults import FAULTS, planted, replacing, rewritten

__all__ = ["FAULTS"]


@replacing("a client's secret")
def who_waited_rotates_once_more():
    """What another has rotated meanwhile is passed by."""
    return client_secret, "acquire", partial(acquire, passing=True)


@planted("a client's secret")
def nothing_is_looked_at_before_the_claim(me, *told):
    """A secret of long ago, of which this worker has not heard, is taken for one that somebody rotated just now."""
    looked = False

    def perform(effect):
        nonlocal looked
        if isinstance(effect, Newest) and not looked:
            looked = True
            return me.now()
        return (yield effect)

    return rewritten(rotate(me), perform)


@planted("a client's secret")
def a_new_secret_is_not_stored(me, *told):
    """Whoever rotates is told so, and goes on with it alone."""

    def perform(effect):
        return True if isinstance(effect, CommitSecret) else (yield effect)

    return rewritten(rotate(me), perform)


@planted("a client's secret, and a vendor that takes 8 s")
def an_answer_that_nobody_understands_is_thrown_away(me, *told):
    """The new secret is in it, and the old one is dead."""

    def perform(effect):
        return "nowhere" if isinstance(effect, KeepAnswer) else (yield effect)

    return rewritten(rotate(me), perform)


@planted("a client's secret")
def asked_once_more_without_a_lease(me, *told):
    """The answer is thrown away and asked for again."""

    def perform(effect):
        answer = yield effect
        if isinstance(effect, Exchange) and isinstance(answer, Secret):
            answer = yield CommitSecret(answer, irreplaceable=True, at=me.now())
            answer = yield effect
        return answer

    return rewritten(rotate(me), perform)
