"""Three clocks, and what is noticed when one of them jumps."""

from __future__ import annotations

import random
from typing import Any

import pytest

from linkauth.engine.clock import Clock
from linkauth.engine.world import World
from linkauth.protocol.freshness import Epoch

NOW = 1_800_000_000.0


class Clocks:
    """A monotonic clock, a wall clock beside it, and a store's."""

    def __init__(self) -> None:
        self.monotonic, self.wall, self.store = 50.0, NOW, NOW

    def pass_(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds
        self.store += seconds

    def sleep(self, seconds: float) -> None:
        """The machine sleeps, and its monotonic clock with it."""
        self.wall += seconds
        self.store += seconds

    def clock(self) -> Clock:
        unused: Any = None
        return Clock(
            World(
                send=unused,
                monotonic=lambda: self.monotonic,
                wall=lambda: self.wall,
                random=random.Random(1),
                entropy=unused,
            )
        )

    def look(self, clock: Clock, lasting: float = 0.0) -> Any:
        """The store is asked, and answers after ``lasting`` seconds."""
        before = clock.glance()
        self.pass_(lasting)
        return clock.read(before, self.store)


def test_time_that_passes_evenly_is_no_jump():
    """All clocks run on together, however slow the store is: one epoch."""
    clocks = Clocks()
    clock = clocks.clock()
    for lasting in (0.0, 5.0, 0.1):
        assert clocks.look(clock, lasting).epoch == Epoch(0, 0)
        clocks.pass_(3600)
    assert clock.epoch == Epoch(0, 0)


@pytest.mark.parametrize("seconds", [0.6, 3600, -0.6, -3600])
def test_a_wall_clock_that_jumped_begins_an_epoch_once(seconds):
    """Forward the machine may have slept, back a clock that was set may hide that: each counts once."""
    clocks = Clocks()
    clock = clocks.clock()
    assert clock.epoch.host == 0
    clocks.wall += seconds
    assert (clock.epoch.host, clock.epoch.host) == (1, 1)
    clocks.pass_(60)
    assert clock.epoch.host == 1


def test_within_an_epoch_little_is_missed():
    """Less than half a second either way from its beginning begins no new one: so no value in it has missed more than one."""
    clocks = Clocks()
    clock = clocks.clock()
    assert clock.epoch.host == 0
    clocks.wall -= 0.49
    now = clock.glance()
    clocks.wall += 0.98
    assert clock.epoch == now.epoch
    assert clock.missed(now.ahead, now.epoch.host) == pytest.approx(0.98)
    clocks.wall -= 0.98
    assert clock.missed(now.ahead, now.epoch.host) == pytest.approx(0.0)
    clocks.sleep(100)
    assert clock.missed(now.ahead, now.epoch.host) == 0.0, "for that there is the store"


def test_a_look_belongs_to_the_epoch_in_which_it_was_begun():
    """The machine sleeps while the store answers: what that look says of times is not believed."""
    clocks = Clocks()
    clock = clocks.clock()
    before = clock.glance()
    clocks.sleep(60)
    assert clock.read(before, clocks.store).epoch.host != clock.epoch.host
    assert clocks.look(clock).epoch == clock.epoch == Epoch(1, 0)


@pytest.mark.parametrize("seconds", [1.1, 3600, -1.1, -3600])
def test_a_stores_clock_that_jumped_begins_an_epoch_of_its_own(seconds):
    """The look that notices it is of the new one; nothing is said of this host's clocks."""
    clocks = Clocks()
    clock = clocks.clock()
    clocks.look(clock)
    clocks.pass_(10)
    clocks.store += seconds
    assert clocks.look(clock).epoch == clock.epoch == Epoch(0, 1)
    assert clocks.look(clock).epoch == Epoch(0, 1)


@pytest.mark.parametrize("seconds", [0.9, -0.9])
def test_a_second_and_the_round_trips_are_no_jump_of_the_stores(seconds):
    """The store reads its clock somewhere between question and answer, and two of its servers differ a little."""
    clocks = Clocks()
    clock = clocks.clock()
    clocks.look(clock)
    clocks.store += seconds
    assert clocks.look(clock, lasting=3.0).epoch == Epoch(0, 0)


def test_two_looks_that_cross_are_no_jump():
    """The one that began first is answered last."""
    clocks = Clocks()
    clock = clocks.clock()
    first = clock.glance()
    told = clocks.store
    clocks.pass_(4)
    clocks.look(clock)
    assert clock.read(first, told).epoch == Epoch(0, 0)


def test_a_sleep_is_not_taken_for_a_jump_of_the_stores():
    """After it the store's clock is far from where the monotonic one expects it: there the wall clock has told already."""
    clocks = Clocks()
    clock = clocks.clock()
    clocks.look(clock)
    clocks.sleep(600)
    assert clocks.look(clock).epoch == Epoch(1, 0)


def test_the_stores_clock_runs_on_between_two_looks():
    """By the monotonic clock from the last look on; before the first there is this host's wall clock only."""
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall += 7
    assert clock.store_now() == NOW + 7
    assert clock.here().monotonic(NOW + 8) == 51.0
    clocks.look(clock)
    clocks.pass_(30)
    assert clock.store_now() == NOW + 30
