"""Many schedules in a row."""

from __future__ import annotations

import gc
import logging
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from tests.simulation.plan import make
from tests.simulation.world import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Result", "campaign", "quiet"]

SWEEP = 50
"""Schedules between two garbage collections: what dead workers were in the middle of is thrown away there."""


@attrs.define
class Result:
    """What became of a campaign."""

    done: int = 0
    steps: int = 0
    lost: int = 0
    failed: list[Outcome] = attrs.field(factory=list)


def campaign(first: int, schedules: int, scenario: str | None = None, *, keep_going: bool = False) -> Result:
    """Run ``schedules`` seeds from ``first`` on; stop at the first that breaks a promise, unless ``keep_going``."""
    result = Result()
    with quiet():
        for seed in range(first, first + schedules):
            outcome = run(make(seed, scenario))
            result.done += 1
            result.steps += outcome.steps
            result.lost += outcome.lost
            if outcome.problem:
                result.failed.append(outcome)
                if not keep_going:
                    break
            if result.done % SWEEP == 0:
                gc.collect()
    return result


@contextmanager
def quiet() -> Iterator[None]:
    """Killed workers' coroutines are thrown away at the end, wherever they were, without a word of it."""
    collects, hook = gc.isenabled(), sys.unraisablehook
    gc.disable()
    gc.freeze()  # so that a collection looks at what schedules leave behind, and not at every module
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # "coroutine … was never awaited"
            yield
            gc.collect()
    finally:
        sys.unraisablehook = hook
        gc.unfreeze()
        logging.disable(logging.NOTSET)
        if collects:
            gc.enable()
