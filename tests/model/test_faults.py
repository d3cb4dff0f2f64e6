"""The model finds what is wrong: planted faults, and the shortest schedule of each can be read."""

from __future__ import annotations

import pytest

from tests.model.adoption_faults import FAULTS
from tests.model.cases import CASES, LONG
from tests.model.explore import explore

NAMED = {case.name: case for case in CASES + LONG}


LATE = {case.name for case in LONG}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=[pytest.mark.long] if fault.case in LATE else [], id=fault.name) for fault in FAULTS],
)
def test_every_planted_fault_is_found(fault):
    """Each wrong protocol breaks a promise in the case that it names."""
    with fault.replaced():
        found = explore(NAMED[fault.case], fault.program, most=40_000)
    assert found.bad.startswith("promise "), f"{fault.what} was not found in {found.states} states"


def test_a_schedule_can_be_read():
    """What is printed of a fault is the shortest way to it, a line for each step, with its moment."""
    fault = next(fault for fault in FAULTS if fault.name == "claimed without a note")
    found = explore(NAMED[fault.case], fault.program)
    assert str(found).splitlines() == [
        "promise 2: B spends r0, which is in doubt, while a0 is good",
        "     20.00  A claims, newer than 1",
        "     20.00  A asks the vendor",
        "     20.00  the vendor answers A: a1 r1",
        "     20.00  THE STORE ENDS THE LEASE",
        "     20.00  B claims, newer than 1",
        "     20.00  B asks the vendor",
    ]
