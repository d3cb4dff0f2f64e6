"""Every order of the steps of two and three workers, every place for a fault: no promise is broken, nothing is lost that may not be."""

from __future__ import annotations

import attrs
import pytest

from linkauth.protocol import effects
from tests.model.cases import CASES, LONG
from tests.model.effects import PERFORM
from tests.model.explore import explore
from tests.model.losses import DIED, NOBODY_HELD, STORE_LOST, TAKEN_OVER, UNHEARD, Fate, why_lost


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_schedule_keeps_the_promises(case):
    """The real steps break nothing, from one beginning, with every order and every place for the case's faults."""
    found = explore(case)
    assert found.finished
    assert not found.bad, str(found)


@pytest.mark.long
@pytest.mark.parametrize("case", LONG, ids=lambda case: case.name)
def test_longer_schedules_keep_the_promises(case):
    """The same with more renewals and more faults, as far as half a million states go."""
    found = explore(case, most=500_000)
    assert not found.bad, str(found)


def test_every_effect_is_known():
    """An effect that the steps learn to yield is written down in the model, too."""
    assert set(PERFORM) == set(effects.Effect.__subclasses__())


def test_an_unknown_effect_is_told():
    """Steps that yield what the model does not know fail, and the error says where it is to be written."""

    @attrs.frozen
    class Whistle:
        pass

    def steps(me, *told):
        yield Whistle()

    with pytest.raises(NotImplementedError, match=r"Whistle.*tests/model/effects.py"):
        explore(CASES[0], steps)


def test_what_excuses_a_loss():
    """One thing each, and only before the store had the answer; once it had, only that nobody held what it lost."""
    assert why_lost(Fate()) == ""
    assert why_lost(Fate(died=True)) == DIED
    assert why_lost(Fate(unheard=True)) == UNHEARD
    assert why_lost(Fate(taken_over=True)) == TAKEN_OVER
    assert why_lost(Fate(store_lost=True)) == STORE_LOST
    assert why_lost(Fate(wiped=True)) == NOBODY_HELD
    assert why_lost(Fate(wiped=True, held=True)) == ""
    assert why_lost(Fate(durable=True, died=True, unheard=True, taken_over=True)) == ""
