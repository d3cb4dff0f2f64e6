"""The ten promises of the renewal protocol, over schedules that a seed chooses. See ``tests/simulation/__init__.py``."""

from __future__ import annotations

import pytest

from tests.simulation.campaign import campaign, quiet
from tests.simulation.plan import make
from tests.simulation.world import run

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


def test_a_seed_replays_exactly():
    """The same seed gives the same story, step for step."""
    with quiet():
        for seed in (3, 62, 176):
            assert run(make(seed), telling=True) == run(make(seed), telling=True)
