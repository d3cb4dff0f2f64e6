"""The state machines are seen to catch planted faults: a machine that lets a wrong flow through proves nothing."""

from __future__ import annotations

import os

import attrs
import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.authorizations import Authorizations
from tests.fuzz.faults import FAULTS, Planted, caught

QUICK = {"state_not_checked", "account_mixed_up", "vendor_mixed_up", "verifier_not_sent", "refusal_overlooked"}
"""A second in all, and proof of both machines; the others are for ``-m long``."""


@pytest.mark.leaks
@pytest.mark.parametrize(
    "fault",
    [pytest.param(each, id=each.name, marks=[] if each.name in QUICK else [pytest.mark.long]) for each in FAULTS],
)
def test_a_planted_fault_is_caught(fault: Planted):
    """Each wrong flow breaks what its machine asserts, within the number of examples that it states."""
    assert caught(fault) is not None, f"{fault.what} was not caught in {fault.within} examples"


@pytest.mark.long
@pytest.mark.leaks  # a callback's parameters are all masked, the error code that is told among them
def test_without_a_fault_nothing_is_caught():
    """What catches the faults are the faults: as many examples of the right code pass as the rarest of them needed."""
    for fault in {fault.machine: fault for fault in FAULTS}.values():
        assert caught(attrs.evolve(fault, plant=lambda: iter(()), within=400)) is None


TestAuthorizations = pytest.mark.leaks(Authorizations.TestCase)  # as above
TestAuthorizations.__doc__ = (
    "Whatever callbacks come in whatever order: a token comes to who began, once, and nothing strays."
)
TestAuthorizations.settings = settings(
    max_examples=15 * int(os.environ.get("LINKAUTH_FUZZ", "1")),
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
