"""When a token is served, renewed behind and waited for, and what a worker remembers of it, by clocks that go wrong."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from linkauth.engine.state import CredentialState
from linkauth.engine.world import World
from linkauth.errors import NotSent
from linkauth.oauth.token import Token
from linkauth.protocol.freshness import StoreTime, Verdict, windows

NOW = 1_800_000_000.0


def token(lifetime: float, issued_at: float = NOW) -> Token:
    return Token(access_token="a", issued_at=issued_at, expires_at=issued_at + lifetime)


def placed(lifetime: float, refresh_ahead: float | None = None, spread: float = 0.0) -> tuple[float, float, float]:
    """``soft``, ``hard`` and ``end`` in seconds from the moment at which the token was asked for."""
    found = windows(token(lifetime), StoreTime(NOW, 0.0, 0.0), refresh_ahead, spread)
    return tuple(round(moment, 6) for moment in (found.soft, found.hard, found.end))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("lifetime", "soft", "hard"),
    [
        (900, 720, 840),
        (3600, 3300, 3540),
        (300, 240, 280),
        (2, 1.6, 2 - 2 / 15),
        (0.5, 0.4, 7 / 15),
        (86400, 86100, 86340),
    ],
)
def test_renewal_begins_a_fifth_before_the_end(lifetime, soft, hard):
    """A fifth of the lifetime ahead, at most 300 s; the margin is a fifteenth, at most 60 s."""
    assert placed(lifetime) == (soft, round(hard, 6), lifetime)


def test_workers_spread_over_the_first_half_of_the_window():
    """``soft`` is spread at random over half of the time to ``hard``, so that not every worker begins at once."""
    assert placed(900, spread=0.0)[0] == 720
    assert placed(900, spread=0.5)[0] == 750
    assert placed(900, spread=0.999999)[0] == pytest.approx(780, abs=0.01)


def test_the_margin_is_a_fifteenth_whatever_the_lead():
    """A long lead makes no long margin: a token is served until a fifteenth of its life, 60 s at most, is left."""
    assert placed(300, 240) == (60, 280, 300)
    assert placed(1800, 1200) == (600, 1740, 1800)


@pytest.mark.parametrize(("ahead", "soft"), [(300, 600), (60, 840), (30, 870), (5, 895), (1000, 180), (720, 180)])
def test_refresh_ahead_is_when_renewal_begins(ahead, soft):
    """``refresh_ahead`` is honoured below the default's margin too, and capped where it would renew without end."""
    assert placed(900, ahead)[0] == pytest.approx(soft)


@pytest.mark.parametrize("ahead", [None, 1, 5, 30, 60, 300, 5000])
@pytest.mark.parametrize("lifetime", [2, 60, 300, 900, 86400])
def test_there_is_always_time_to_renew_behind(lifetime, ahead):
    """Whatever is asked for, ``soft`` lies before ``hard`` for every worker: nobody has to wait for a renewal."""
    soft, hard, end = placed(lifetime, ahead, spread=0.999999)
    assert 0 < soft < hard < end


def test_zero_ahead_renews_when_it_ends():
    """``refresh_ahead=0`` is taken at its word: the token serves to its end."""
    assert placed(900, 0) == (900, 900, 900)


@pytest.mark.parametrize("lifetime", [0, -5])
def test_a_token_that_is_over_is_waited_for(lifetime):
    """A lifetime of nothing, or less, makes no window in which anything is served."""
    found = windows(token(lifetime), StoreTime(NOW, 0.0, 0.0), None, 0.5)
    assert found.judge(0.0) is Verdict.WAIT


def test_verdicts_at_their_borders():
    """Serve before ``soft``, renew behind before ``hard``, wait from then on."""
    found = windows(token(900), StoreTime(NOW, 0.0, 0.0), None, 0.0)
    moments = (found.soft - 0.001, found.soft, found.hard - 0.001, found.hard, found.end + 1)
    verdicts = [found.judge(moment).name for moment in moments]
    assert verdicts == ["SERVE", "SERVE_AND_RENEW", "SERVE_AND_RENEW", "WAIT", "WAIT"]


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_only_the_stores_clock_counts(hours):
    """With the store's clock an hour off either way a token lives exactly as long as it lives."""
    store_now = NOW + hours * 3600
    found = windows(token(900, issued_at=store_now - 100), StoreTime(store_now, 5.0, 5.0), None, 0.0)
    assert found.end == pytest.approx(5.0 + 800)


def test_a_slow_store_errs_to_the_early_side():
    """The clock was read somewhere in a round trip of 3 s: windows count from its start, sending from its end."""
    time = StoreTime(NOW, before=10.0, after=13.0)
    assert time.monotonic(NOW + 100) == 110.0
    assert time.unix(13.0) == NOW


class Clocks:
    """A monotonic clock, and a wall clock beside it."""

    def __init__(self) -> None:
        self.monotonic, self.wall = 50.0, NOW

    def pass_(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds

    def world(self) -> World:
        unused: Any = None
        return World(
            send=unused,
            monotonic=lambda: self.monotonic,
            wall=lambda: self.wall,
            random=random.Random(1),
            entropy=unused,
        )


def state(clocks: Clocks, lifetime: float = 900) -> CredentialState:
    held = CredentialState(clocks.world(), None)
    held.take(token(lifetime), 1, StoreTime(NOW, clocks.monotonic, clocks.monotonic))
    return held


def test_time_that_passes_evenly_is_no_jump():
    """Both clocks run on together: nothing is suspected, before ``soft`` and after."""
    clocks = Clocks()
    held = state(clocks)
    for _ in range(20):
        clocks.pass_(60)
        assert not held.jumped()
    assert not held.unexpired()


def test_a_suspended_machine_is_noticed_where_the_hit_path_looks():
    """Only the wall clock went on: past ``wall_limit`` the fast path is left, and it is known to be a jump."""
    clocks = Clocks()
    held = state(clocks)
    clocks.wall += 1000
    assert clocks.monotonic < held.soft
    assert clocks.wall >= held.wall_limit
    assert held.jumped()


def test_a_wall_clock_put_back_changes_nothing():
    """A wall clock that was put back an hour is no reason to renew, nor to serve longer."""
    clocks = Clocks()
    held = state(clocks)
    end = held.windows.end
    clocks.wall -= 3600
    assert not held.jumped()
    assert clocks.wall < held.wall_limit
    held.believe_wall()
    assert held.windows.end == end


def test_what_the_wall_says_has_passed_counts_when_there_is_no_store():
    """With nobody to ask after a jump, the time that the wall clock saw is taken off, once."""
    clocks = Clocks()
    held = state(clocks)
    clocks.wall += 800
    held.believe_wall()
    assert held.windows.end == pytest.approx(50 + 100)
    assert not held.jumped()
    held.believe_wall()
    assert held.windows.end == pytest.approx(50 + 100)


def test_a_look_at_the_store_settles_a_jump():
    """After a jump of the wall alone, the store's clock says that nothing has passed: the windows stay."""
    clocks = Clocks()
    held = state(clocks)
    clocks.wall += 3600
    held.anchor(StoreTime(NOW, 50.0, 50.0))
    assert held.windows.end == pytest.approx(950)
    assert not held.jumped()


def test_a_burial_leaves_nothing_to_serve():
    """After ``bury`` there is no token, no window and a reason."""
    held = state(Clocks())
    held.mark_dead("logged out", 7)
    assert (held.token, held.judge(), held.unexpired(), held.dead) == (None, Verdict.WAIT, False, "logged out")
    assert held.soft == -math.inf
    held.anchor(StoreTime(NOW, 50.0, 50.0))  # a look at the store that was under way
    assert (held.judge(), held.jumped()) == (Verdict.WAIT, False)


def test_a_token_is_the_stores_unless_said_otherwise():
    """``stored`` is what decides later whether a store that lost it gets it back."""
    held = state(Clocks())
    assert held.stored is True
    held.take(token(900), 2, StoreTime(NOW, 50.0, 50.0), stored=False)
    assert held.stored is False


def test_sleep_between_the_look_and_the_taking_is_noticed():
    """The store's clock was read, then the machine slept: the clocks are compared as they were at the look."""
    clocks = Clocks()
    look = StoreTime(NOW, 50.0, 50.0, ahead=NOW - 50.0)
    clocks.wall += 1000
    held = CredentialState(clocks.world(), None)
    held.take(token(900), 1, look)
    assert held.jumped()


def test_a_short_sleep_is_no_part_of_a_tokens_end():
    """Too short to be looked into, yet a token is not good for longer by it; a clock that was set back changes nothing."""
    clocks = Clocks()
    held = state(clocks, 60)
    clocks.wall += 1.0
    assert not held.jumped()
    clocks.pass_(held.windows.end - 50.0 - 1.01)
    assert held.unexpired()
    clocks.pass_(0.02)
    assert not held.unexpired()
    for step in (-3600, 7200):  # which a look at the store, and not this, has to tell from a sleep
        clocks.wall += step
        assert held.unexpired()


@pytest.mark.parametrize("lifetime", [900, 300, 15, 2])
def test_a_jump_is_what_could_carry_a_token_past_its_margin(lifetime):
    """As long as ``soft`` to ``hard`` or the margin behind it; at least a second and at most half a minute."""
    clocks = Clocks()
    held = state(clocks, lifetime)
    placed = held.windows
    tolerated = min(max(min(placed.hard - placed.soft, placed.end - placed.hard), 1.0), 30.0)
    clocks.wall += tolerated - 0.01
    assert not held.jumped()
    clocks.wall += 0.02
    assert held.jumped()


def test_the_hit_path_is_left_for_a_jump_alone():
    """Up to ``soft`` the wall clock, however it wavers within the tolerance, keeps nobody from the token in memory."""
    clocks = Clocks()
    held = state(clocks)
    clocks.pass_(held.soft - clocks.monotonic)
    assert clocks.wall + 29.9 < held.wall_limit <= clocks.wall + 30.1


def test_a_part_of_a_second_that_the_wall_saw_counts_too():
    """With nobody to ask, whatever has passed is taken off."""
    clocks = Clocks()
    held = state(clocks)
    clocks.wall += 0.5
    held.believe_wall()
    assert held.windows.end == pytest.approx(949.5)


def test_at_its_end_a_token_is_over():
    """Not a moment after it: an expiry is the first moment at which a token is no good (RFC 6749 §5.1)."""
    clocks = Clocks()
    held = state(clocks)
    clocks.pass_(900)
    assert clocks.monotonic == held.windows.end
    assert not held.unexpired()


def test_each_failure_counts_and_a_token_forgets_them():
    """Of two failures the last is told, until its time and no longer; whatever brings a token clears the score."""
    clocks = Clocks()
    held = CredentialState(clocks.world(), None)
    assert (held.failures, held.failure, held.retry_at) == (0, None, -math.inf)
    first, second = NotSent("first"), NotSent("second")
    held.failed(first, 3.0)
    held.failed(second, 7.0)
    assert (held.failures, held.failure, held.retry_at) == (2, second, 57.0)
    held.take(token(900), 1, StoreTime(NOW, 50.0, 50.0))
    assert (held.failures, held.failure, held.retry_at) == (0, None, -math.inf)
