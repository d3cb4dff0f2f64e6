"""Planted faults are caught: a simulation that lets a wrong engine or store through proves nothing."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.simulation.faults import FAULTS, HARMLESS, Planted, hunt

RARE = 2000
"""Schedules: what may take more to show itself is looked for on demand."""


def _told(fault: Planted) -> Any:
    return pytest.param(fault, id=fault.name, marks=[pytest.mark.long] if fault.within > RARE else [])


@pytest.mark.parametrize("fault", [_told(fault) for fault in FAULTS])
def test_a_planted_fault_is_caught(fault: Planted):
    """Each wrong engine and store breaks a promise within the number of schedules that it states."""
    tried, caught = hunt(fault)
    assert caught is not None, f"{fault.what} was not caught in {tried} schedules"


@pytest.mark.long
@pytest.mark.parametrize("fault", HARMLESS, ids=lambda fault: fault.name)
def test_a_second_guard_holds(fault: Planted):
    """What is wrong in one place, and guarded in another as well, breaks no promise."""
    _, caught = hunt(fault)
    assert caught is None, f"{fault.what} {caught.problem}"


def test_there_are_at_least_twenty():
    """The list does not shrink unnoticed."""
    assert len({fault.name for fault in FAULTS}) >= 20


def test_without_a_fault_nothing_is_caught():
    """What catches the faults are the faults, not the schedules: the right engine passes the same ones."""
    for fault in {(fault.scenario, fault.bias): fault for fault in FAULTS}.values():
        _, caught = hunt(attrs.evolve(fault, plant=lambda: iter(()), within=min(fault.within, 8)))
        assert caught is None, f"{fault.name}, seed {caught.seed}: {caught.problem}"
