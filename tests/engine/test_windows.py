"""When a token is served, renewed behind and waited for, by a store's clock that may go wrong."""

from __future__ import annotations

import pytest

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


def test_a_store_whose_clock_was_set_back_makes_no_token_good_for_longer():
    """An hour back, and a token of 3 s is read: it is served for 3 s from then on, and renewed behind at once."""
    read = StoreTime(NOW - 3600, before=10.0, after=10.0)
    found = windows(token(3), read, None, 0.5)
    assert (found.end, found.hard) == (13.0, pytest.approx(12.8))
    assert found.judge(10.0) is Verdict.SERVE_AND_RENEW
    assert found.judge(12.9) is Verdict.WAIT


def test_reading_again_makes_a_token_no_younger():
    """A token that was first seen 2 s ago is good for one more, whatever the store's clock says by now."""
    again = StoreTime(NOW - 3600, before=12.0, after=12.0)
    assert windows(token(3), again, None, 0.0, first_seen=10.0).end == 13.0


@pytest.mark.parametrize(("back", "soft"), [(0.9, 720), (1.1, 0)])
def test_a_second_is_no_sign_of_a_clock_that_was_set_back(back, soft):
    """Two servers of a store may differ by a little: not every failover makes the whole fleet renew."""
    found = windows(token(900, NOW + back), StoreTime(NOW, 0.0, 0.0), None, 0.0)
    assert (found.soft, found.end) == (soft, 900)


def test_what_cannot_be_renewed_is_served_to_its_end_though_it_seems_to_come_from_the_future():
    """With no lead there is nothing to be done about it."""
    assert windows(token(900, NOW + 3600), StoreTime(NOW, 0.0, 0.0), 0.0, 0.5).soft == 900
