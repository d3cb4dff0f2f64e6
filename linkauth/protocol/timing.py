"""Every number of seconds of the protocol, once, and beside it what the proof needs of it.

What is named by the user (the engine's ``timeout``, a vendor's replay window) is an argument where it is used. The
relations are asserted where the last of their numbers stands: who changes one and breaks a relation cannot import it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["backoff", "replayable"]

# -- a token's life (``freshness``) -------------------------------------------------------------------------------------

AHEAD: Final = 1 / 5
"""Share of a token's lifetime before its end at which renewal begins, unless the engine was told seconds."""
MOST_AHEAD: Final = 300.0
"""The same in seconds, at the most."""
MOST_AHEAD_SHARE: Final = 0.8
"""Share at the most: a lead as long as the token itself would renew without end."""
MARGIN: Final = 1 / 15
"""Share of the lifetime that is kept as a margin: LinkXG's own 60 s for its 900 s."""
MOST_MARGIN: Final = 60.0
"""Seconds of margin at the most."""
MARGIN_OF_AHEAD: Final = 1 / 3
"""Share of the lead: a margin as long as that would leave no time to renew behind, and every caller would wait."""
SPREAD: Final = 1 / 2
"""Share of the time between the earliest ``soft`` and ``hard`` over which workers spread."""

assert MARGIN < AHEAD < MOST_AHEAD_SHARE < 1
# The latest ``soft`` comes before ``hard``: there is always time to renew behind.
assert MARGIN_OF_AHEAD + SPREAD < 1

END_NOTICE: Final = 7 * 86_400.0
"""Seconds before the end of a session that no renewal puts off (``session_end``) from which its user is to be asked."""
END_NOTICE_SHARE: Final = 1 / 5
"""Share of the session's life at the most."""

# -- clocks -------------------------------------------------------------------------------------------------------------

LEAST_JUMP: Final = 1.0
MOST_JUMP: Final = 30.0
"""Seconds by which the wall clock may run ahead of the monotonic one, which stands still while a machine sleeps, before the
store is read again; no more than lie between ``soft`` and ``hard``, and between ``hard`` and ``end``.
"""
COMPARE_CLOCKS: Final = LEAST_JUMP / 2
"""Seconds for which a token in memory is handed out by the wall clock alone, before it is compared with the monotonic one again."""

assert LEAST_JUMP < MOST_JUMP <= MOST_MARGIN

# -- the store ----------------------------------------------------------------------------------------------------------

STORE_CALL: Final = 5.0
"""Seconds that one call to the store, or to escrow, may take at the most; half the engine's ``timeout`` where that is less."""
CLAIM_AGAIN: Final = 0.5
"""Seconds before the next claim where the store could not tell of a change."""
LOOK_AGAIN: Final = 0.25
"""Seconds between two looks for who may come back, where the store has nothing to wait for."""
LONGEST_LOOK: Final = 1.0
"""Seconds that such a look waits at the most; one that took twice as long was cut off from the store."""
OFFER_FIRST: Final = 0.1
OFFER_LONGEST: Final = 0.5
"""Seconds between two offers of what the store has yet to take: short, for others wait ``GRACE`` for it; twice as long at
the most, where its lease is extended in between."""

# -- leases -------------------------------------------------------------------------------------------------------------

LEASE_MORE: Final = 5.0
"""Seconds by which a lease on something good for one use outlasts the engine's time limit for an exchange."""
LEASE_EVERY: Final = 1.0
"""Seconds after which such a lease is extended, and again: so its holder hears soon that it is lost."""
LEASE_CHEAP: Final = 1.5
"""Seconds of a lease where nothing rotates, for a second request is only waste. Extended every third of its time."""
LEASE_PART: Final = 3
"""With less than a third of its time left nothing is sent under a lease: it may end while the vendor is still at work."""
HOLDER_LOOK: Final = 1.0
"""Seconds after which whoever waits for the lease of a process of his own machine looks whether that lives."""
REASSERTION_HEARD: Final = 2.0
"""Seconds for which a lease is left to its last holder, who reasserts it every ``LEASE_EVERY``."""

assert LEASE_PART > 2
# It is left to him for long enough that he asks for it once more.
assert 2 * LEASE_EVERY <= REASSERTION_HEARD
# The holder hears that its lease has ended, or cannot hear, before it does.
assert STORE_CALL <= LEASE_MORE

# -- data that a store lost ---------------------------------------------------------------------------------------------

GRACE: Final = 3.0
"""Seconds that a possible holder of something newer is given before what is uncertain is spent, and from hearing of a loss on."""
LISTEN: Final = 1.0
LISTEN_AGAIN: Final = 1.0
"""Seconds for which the first reading waits for the listening, and after which listening that broke begins again."""
RESUBSCRIBE: Final = 1.5
"""Seconds within which a store that announces listens again, once its server answers."""
YOUNG: Final = 3.0
"""Seconds for which a server counts as just started: whoever begins to listen to it then may have missed a loss."""
LOSS_SPREAD: Final = 0.5
"""Seconds over which workers spread when all of them hear at once that the store was away."""
REPAIR_AT_ONCE: Final = 100
"""Records that are put back at the same time."""
REPAIR_ALONE: Final = 1.0
"""Seconds from hearing of a loss for which who puts back need not say so; and between two notices of his."""
REPAIR_NOTICE: Final = 6.0
"""Seconds for which such a notice holds, should its writer die."""
REPAIR_LONGEST: Final = 30.0
"""Seconds from hearing of a loss after which nobody puts back or waits any more."""
REPAIR_KEPT: Final = 60.0
"""Seconds that the store keeps such a notice."""

# Whoever holds something newer has heard of the loss and offered it before the others' patience with him is over.
assert LISTEN_AGAIN + LOSS_SPREAD + 2 * OFFER_LONGEST < GRACE
# Or he has said that he needs longer.
assert LOSS_SPREAD < REPAIR_ALONE
assert max(LISTEN_AGAIN, RESUBSCRIBE) + REPAIR_ALONE < GRACE
# A notice that is late, since the store was, comes before the one before has lapsed; and none is kept for too short.
assert REPAIR_ALONE + STORE_CALL <= REPAIR_NOTICE < REPAIR_LONGEST < REPAIR_KEPT
# Whoever lost a lease with a request in the air says so while others look.
assert 2 * LEASE_EVERY < GRACE
# Who was cut off while he waited for that notices before it is over.
assert 2 * LONGEST_LOOK < GRACE

# -- the vendor ---------------------------------------------------------------------------------------------------------

TRY_FIRST: Final = 0.25
"""Seconds between the first try and the second within one exchange; it doubles from there."""
LONGEST_BACKOFF: Final = 60.0
LEAST: Final = 0.1
"""Share of the limit that a try must have left."""
LEAST_SINGLE_USE: Final = 0.5
"""The same where what is sent is good for one use: a try that is cut off loses the session."""
ANSWER: Final = 120.0
"""Seconds that an answer is waited for which nobody can get again, whoever asked for it has long been told to come back."""
RENEW_FIRST: Final = 1.0
"""Seconds after the first renewal that failed before the next; doubling from there."""
UNEXPLAINED: Final = 7
"""Failures in a row after which an unexplained refusal is believed to mean the refresh token: over a minute at the least."""
LONGEST_ORDER: Final = 300.0
"""Seconds that a vendor's Retry-After may make the fleet wait."""
LEAST_GAP: Final = 1.0
"""Seconds between two renewals of one token, in the fleet, that its own end asks for: no vendor is asked faster than that."""
MARK_READ: Final = LONGEST_LOOK
"""Seconds in which who waited for a renewal reads the mark that it ended with."""
SECRET_PATIENCE: Final = 5.0
"""Seconds that a worker whose client secret was refused waits for a rotation that is under way."""

assert TRY_FIRST < RENEW_FIRST < LONGEST_BACKOFF < LONGEST_ORDER

# -- a vendor's limits (``limits``) --------------------------------------------------------------------------------------

WINDOW: Final = 8
"""Requests in flight for one client at first; each answer allows one more, a refusal all but one fewer."""
CALM: Final = 60.0
"""Seconds after a refusal before there may be more in flight again, and within which two accounts' refusals are the client's."""
SLOW: Final = 1.0
"""Seconds after which a request is no sign of a limit any more, which is told at once: it holds up nobody. Before the vendor has
taken the client's secret once it may be a sign of a wrong one, for as long as one exchange may take."""
LIMIT_LOOK: Final = 1.0
"""Seconds after which what is known of a client is read again, where the store announces no changes."""
PROBE_LEASE: Final = 3.0
"""Seconds for which others wait for the one who goes first after a refusal, should he not come back."""
RATE_HOLD: Final = (5.0, 60.0)
CLIENT_HOLD: Final = (30.0, 300.0)
"""Seconds for which a client is held back: the first time, doubling up to the second figure. People put a wrong secret right."""
RATE_SLOTS: Final = 32
"""Slots in which a window of the vendor's is counted: what a record holds at the most, and what share of the rate it costs."""
RESERVED_SLOTS: Final = 2
"""Slots in which a request that was counted has to be sent: sent later it would fall into another window."""
SHARE_OF_RATE: Final = 4
"""A worker takes a quarter of what is left of a window at a time, so that those who come later find something."""

assert PROBE_LEASE <= RATE_HOLD[0] <= RATE_HOLD[1] <= CALM
assert CLIENT_HOLD[1] <= LONGEST_ORDER

# -- callers ------------------------------------------------------------------------------------------------------------

CALLER_MORE: Final = 1.0
"""Seconds beyond the engine's time limit that a caller waits for a token."""
FAILED_AGAIN: Final = 0.5
"""Seconds between two looks at a store that was away, or that has yet to hear from the user."""
DOUBT_AGAIN: Final = 2.0
"""Seconds between two looks while the holder of a possible answer is waited for."""
STATE_AGAIN: Final = 1.0
"""Seconds between two tries to take a used state away while the store is away."""
STATE_BUSY: Final = 2.0
"""Seconds for which a state in somebody else's hands is waited for: who writes it under another key is done in no time."""

CLAIMED_MEANWHILE: Final = 100
"""Numbers above that of its claim, under which what the user does is written: more than are given while the vendor is asked, and
soon passed by the clock (milliseconds) that the user's numbers follow."""
USER_WAITS: Final = 2.0
"""Seconds that a login, a pairing or a logout waits for somebody's renewal, whose answer may take long."""
ELSEWHERE: Final = 0.05
"""Seconds between two looks at what is in the air in other threads' loops: they may stop at any moment and tell nobody."""
OUTAGE_OVER: Final = 2.0
"""Seconds without a failure after which an outage of the store is told to be over."""

# Whoever still fails does so again within that time.
assert max(FAILED_AGAIN, OFFER_LONGEST, LISTEN_AGAIN) < OUTAGE_OVER
# A failure that is remembered is looked at again while the caller who met it may still be waiting.
assert max(FAILED_AGAIN, DOUBT_AGAIN, RENEW_FIRST) < GRACE
# Who has to wait for the next renewal is still there when it has been given its whole time.
assert LEAST_GAP <= CALLER_MORE

# -- the vendor's API ---------------------------------------------------------------------------------------------------

REFUSED_FIRST: Final = 1.0
"""Seconds for which a fresh token that the API refused is not replaced; doubling from there."""
REFUSED_UNHEARD: Final = 60.0
"""Seconds after which a token that took a refused one's place counts as accepted, though nobody said so."""
REFUSED_APART: Final = 10.0
"""Seconds within which refusals count as one: a hundred calls at one bad moment of the API's."""
REFUSED_SPAN: Final = 60.0
"""Seconds over which a token that cannot be renewed must be refused to be no good any more."""
REFUSED_LONGEST: Final = 3600.0
"""Seconds without a refusal after which they are counted anew."""

assert REFUSED_APART < REFUSED_SPAN < REFUSED_LONGEST

# -- keep-alive ---------------------------------------------------------------------------------------------------------

ROUND_LEASE: Final = 60.0
"""Seconds after which a worker that died in the middle of a round is taken over from."""
ROUND_PACE: Final = 0.5
"""Seconds between two renewals of a round at one client: two a second are 170,000 a day, and no vendor's limit is near."""
ROUND_SHARE: Final = 1 / 2
"""Share of the rate that a vendor states, where it states one: who needs a token while a round is made finds room."""
ROUND_AGAIN: Final = 2.0
"""Seconds after the first round that the store hindered; doubling from there."""

# -- new keys -----------------------------------------------------------------------------------------------------------

RESEAL_LEASE: Final = STORE_CALL
"""Seconds for which a record is held that is written anew under another key: one call's."""
RESEAL_PATIENCE: Final = 30.0
"""Seconds for which whoever works on such a record is waited for: longer than a renewal takes, as a rule."""


def backoff(failures: int, first: float, chance: float) -> float:
    """Seconds to wait after so many failures in a row: doubling, a minute at most; shorter by up to a half by ``chance`` (0 up to 1)."""
    gap = min(first * 2.0 ** min(failures, 30), LONGEST_BACKOFF)
    return gap * (1.0 - chance / 2)


def replayable(window: float, limit: float) -> float:
    """Seconds of a vendor's replay ``window`` in which a try may begin, so that the vendor acts on it before the end.

    It is given as long as a try must have left of the ``limit``, or half the window where that is less.
    """
    return window - min(limit * LEAST_SINGLE_USE, window / 2)
