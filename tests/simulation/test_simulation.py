"""The ten promises of the renewal protocol, over schedules that a seed chooses. See ``tests/simulation/__init__.py``."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation import baseline
from tests.simulation.campaign import campaign, quiet
from tests.simulation.loop import Node
from tests.simulation.plan import SCENARIOS, make
from tests.simulation.world import Simulation, run

FIRST = 1_000_000
"""Seeds of the default suite; the long run has others."""


def check(first: int, schedules: int) -> None:
    result = campaign(first, schedules)
    for outcome in result.failed:
        with quiet():
            story = run(make(outcome.seed), telling=True).story
        pytest.fail(f"{story}\n\nreplay: python -m tests.simulation {outcome.seed}", pytrace=False)
    assert result.done == schedules


def test_the_promises_hold_in_schedules_of_every_kind():
    """Whatever dies, stalls, is cut off, repeated, delayed or cancelled: none of the ten promises is broken."""
    check(FIRST, 400)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_promises_hold_in_twenty_thousand_schedules():
    """As the short run, in fifty times as many schedules."""
    check(0, 20_000)


@pytest.mark.parametrize("kept", baseline.load(), ids=lambda kept: kept.scenario)
def test_fixed_seeds_come_out_no_worse_than_they_did(kept: baseline.Campaign):
    """Each scenario's first seeds break no promise, lose no more sessions and ask no more often than what was kept says."""
    assert baseline.slice_of(kept, 60 if kept.scenario != "keep alive" else 10) == []


def test_every_scenario_has_its_fixed_seeds():
    """A new scenario is run and kept, too."""
    assert {kept.scenario for kept in baseline.load()} == set(SCENARIOS)


def test_a_token_that_its_worker_knows_to_be_dead_is_not_missed():
    """The judge: who has buried a session serves none of its tokens, though no caller was told of it at that time."""
    with quiet():
        assert run(make(720_756_964)).problem == ""


def test_a_session_ended_by_one_who_died_since_is_excused_as_by_one_who_lives():
    """The judge: a worker slept for longer than its lease, and who asked after it died before the vendor acted on that."""
    with quiet():
        outcome = run(make(1291, "mixed"))
    assert (outcome.problem, outcome.lost) == ("", True)


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("waits", [True, False])
def test_what_ends_a_session_is_judged_though_nobody_waits_for_it(stopped: bool, waits: bool):
    """The judge: a spent token sent again is excused if its first sender lost the lease, for whoever waits or is dead."""
    sim = Simulation(attrs.evolve(make(0, "calm"), rotates=True, user=True, window=0.0, revokes=True))
    key, first = sim.keys["default"], Node("w0")
    token = sim.vendor.begin("default", 40.0).gives
    answer, _ = sim.vendor.decide(token, first, 0.0)
    if stopped:
        answer.cut.add("its worker was stopped")
    sim.judge.numbers[key] = 1  # somebody else has been granted the lease
    sim.vendor.decide(token, Node("w1"), 0.0, waited_for=waits)
    sim.judge.durable_at[sim.vendor.latest["default"].access] = 1.0  # the first comes back, too late
    assert not sim.vendor.families["default"].alive
    assert sim.judge.may_be_lost("default") is stopped
    assert ("promise 2" in sim.problem) is not stopped


def test_a_seed_replays_exactly():
    """The same seed gives the same story, step for step."""
    with quiet():
        for seed in (3, 62, 176):
            assert run(make(seed), telling=True) == run(make(seed), telling=True)
