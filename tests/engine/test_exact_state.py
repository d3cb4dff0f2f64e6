"""What a worker remembers of a credential, to the second: where a mutant of ``state`` or ``intent`` survived the rest."""

from __future__ import annotations

import math

import attrs
import pytest

from linkauth.engine.state import CredentialState
from linkauth.errors import InvalidClient, InvalidScope, MalformedResponse, NotSent, RateLimited, VendorUnavailable
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.timing import backoff
from tests.engine.test_windows import NOW, Clocks, state, token


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


# -- the note beside a record ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", [None, ""])
def test_what_has_no_refresh_token_is_in_no_doubt(refresh):
    """Nothing can be spent, so there is nothing to recognise."""
    assert digest(None) == ""
    assert digest(attrs.evolve(token(1), refresh_token=refresh)) == ""


def test_any_text_that_json_can_carry_is_a_refresh_token():
    """Half a surrogate pair is no Unicode text, yet a vendor may send it, and the note is written all the same."""
    odd = attrs.evolve(token(1), refresh_token="\ud800")
    assert digest(odd) != digest(attrs.evolve(odd, refresh_token="\ud801")) != ""


def test_a_note_of_nothing_is_nothing():
    """An empty note is what a store that was never told anything has."""
    assert Note().encode() == b""
    assert Note.decode(b"") == Note()


def test_a_failure_is_written_down_as_it_was():
    """What another worker needs to raise it again, and one more failure in the row."""
    noted = Note(doubt="d", since=4.0, failures=2).failing(NotSent("no way"), 9.0)
    assert noted == Note(doubt="d", since=4.0, failures=3, retry_at=9.0, kind="NotSent", description="no way")
    refused = Note().failing(InvalidScope("invalid_scope", "no such", status=400), 9.0)
    assert refused == Note(
        failures=1, retry_at=9.0, kind="InvalidScope", error="invalid_scope", description="no such", status=400
    )


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("rate_limited", "slowly", status=420, retry_after=7.0),
        InvalidClient("invalid_client", "who?", status=401),
        MalformedResponse("half an answer"),
        VendorUnavailable("oops", retry_after=7.0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_is_raised_elsewhere_as_it_was(error):
    """Class, words, status and the time to wait: a worker that was only told raises what the one that saw it did."""
    found = Note.decode(Note().failing(error, 9.0).encode()).failure(7.0)
    assert type(found) is type(error)
    assert (str(found), vars(found)) == (str(error), vars(error))


def test_a_note_is_shown_to_people_as_one_short_line():
    """Whoever can write to the store could write here: no line breaks, no end of words, no status that is none."""
    odd = "a\nb" + "c" * 1000
    found = Note.decode(Note(kind=odd, error=odd, description=odd).encode())
    for words in (found.kind, found.error, found.description):
        assert words.isprintable()
        assert len(words) <= 401  # an ellipsis for what is cut off
    for status, told in ((-1, 0), (100, 100), (999, 999), (1000, 0)):
        assert Note.decode(Note(status=status).encode()).status == told


def test_a_failure_of_a_kind_that_this_version_does_not_know_is_told_in_its_words():
    """A newer linkauth may have classes of its own; what is no error's name is none."""
    for kind in ("TooNew", "annotations", ""):
        found = Note(kind=kind, description="in words").failure(7.0)
        assert (type(found), str(found), found.retry_after) == (VendorUnavailable, "in words", 7.0)


# -- keeping one's distance --------------------------------------------------------------------------------------------


def test_the_distance_doubles_and_jitter_only_shortens_it():
    """From ``first`` on, a minute at most, and never below half of that: the figures in the docs are upper bounds."""
    assert [backoff(failures, 1.0, 0.0) for failures in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff(10_000, 0.25, 0.0) == 60
    assert backoff(2, 0.25, 0.5) == 0.75
    assert backoff(2, 0.25, 1.0) == 0.5
