"""Many schedules: in this process, or in forked ones that come and go.

A schedule leaves behind what its dead workers were in the middle of, in cycles that only the garbage collector undoes,
at an eighth of the whole cost. A process that ends after a few hundred schedules needs none of that, and memory stays
bounded however many there are.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import attrs

from tests.simulation.plan import make
from tests.simulation.world import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

__all__ = ["Result", "campaign", "crews", "quiet"]

SWEEP = 50
"""Schedules between two garbage collections, in a process that goes on afterwards."""
CHUNK = 500
"""Schedules that a forked process runs before it ends, never collecting garbage: some 50 MB."""

WARM = 50
"""Schedules that are run before the first fork, and not counted."""


@attrs.define
class Result:
    """What became of a campaign."""

    done: int = 0
    lost: int = 0
    tally: Counter[str] = attrs.field(factory=Counter)
    """What happened in all of them together."""
    failed: list[Outcome] = attrs.field(factory=list)
    cpu: float = 0.0
    """Seconds of one core."""

    def add(self, outcome: Outcome) -> None:
        self.done += 1
        self.lost += outcome.lost
        self.tally.update(outcome.tally)
        if outcome.problem:
            self.failed.append(outcome)

    def join(self, other: Result) -> None:
        self.done += other.done
        self.lost += other.lost
        self.tally.update(other.tally)
        self.failed += other.failed
        self.cpu += other.cpu


def campaign(
    first: int, schedules: int, scenario: str | None = None, *, keep_going: bool = False, sweep: bool = True
) -> Result:
    """Run ``schedules`` seeds from ``first`` on; stop at the first that breaks a promise, unless ``keep_going``."""
    result, began = Result(), time.process_time()
    with quiet():
        for seed in range(first, first + schedules):
            result.add(run(make(seed, scenario)))
            if result.failed and not keep_going:
                break
            if sweep and result.done % SWEEP == 0:
                gc.collect()
        result.cpu = time.process_time() - began
        if not sweep:
            gc.freeze()  # or leaving ``quiet`` would collect it all
    return result


def crews(
    first: int,
    schedules: int,
    scenario: str | None = None,
    *,
    jobs: int,
    keep_going: bool = False,
    progress: Callable[[Result], None] = lambda _: None,
) -> Result:
    """As ``campaign``, in ``jobs`` processes at a time, each of ``CHUNK`` schedules; ``progress`` hears of each."""
    campaign(first, min(schedules, WARM), scenario, keep_going=True)  # what is made at its first use, the crews inherit
    result = Result()
    chunks = iter(range(first, first + schedules, CHUNK))
    running: dict[Connection, ForkProcess] = {}
    fork = multiprocessing.get_context("fork")
    while True:
        while len(running) < jobs and (keep_going or not result.failed):
            seed = next(chunks, None)
            if seed is None:
                break
            count = min(CHUNK, first + schedules - seed)
            mine, theirs = fork.Pipe(duplex=False)
            process = fork.Process(target=_chunk, args=(theirs, seed, count, scenario, keep_going))
            process.start()
            theirs.close()
            running[mine] = process
        if not running:
            return result
        for ready in wait(list(running)):
            assert not isinstance(ready, int)
            result.join(ready.recv())  # type: ignore[union-attr]  # EOFError: a process was killed, and so is this run
            running.pop(ready).join()  # type: ignore[arg-type]
            progress(result)


def _chunk(pipe: Connection, first: int, count: int, scenario: str | None, keep_going: bool) -> None:
    pipe.send(campaign(first, count, scenario, keep_going=keep_going, sweep=False))
    pipe.close()


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
