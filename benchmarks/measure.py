"""A bench, and how it is run: its subjects in turn, in another order each round, and what is compared is within a round.

Whatever else the machine does is then done to all. A ratio is taken of two figures of one round; of the ratios, as of the
figures, the median is told and the quartiles, between which half of the rounds lie.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from statistics import median, quantiles
from types import FunctionType
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from benchmarks.server import Server

ROUNDS = 15
"""How often each subject of a bench is run, unless a run asks for another number."""

Figures = Mapping[str, float]
"""What one subject's turn came to, by name and unit, such as ``{"µs of processor time": 0.3}``. The first is compared."""

Turn = Callable[[], Awaitable[Figures]]
"""One subject's part of one round."""


@attrs.frozen
class Scene:
    """What a bench gets: the server, and how much is to be done."""

    server: Server
    scale: float

    def some(self, count: int) -> int:
        """So many, or the part of them that this run asks for."""
        return max(1, int(count * self.scale))


@attrs.frozen
class Bench:
    """``what``: a sentence. ``limit``: the subject that is 1.0; None: there is none, and figures are told alone.

    ``rounds``: of ``ROUNDS``, where one takes long.
    """

    name: str
    what: str
    open: Callable[[Scene], AbstractAsyncContextManager[Mapping[str, Turn]]]
    limit: str | None = None
    rounds: int = ROUNDS
    warms_up: bool = True

    def of(self, rounds: int) -> int:
        """How many of a run's ``rounds`` it takes part in."""
        return max(1, self.rounds * rounds // ROUNDS)


@attrs.frozen
class Spread:
    """Half of the rounds lie between ``low`` and ``high``."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        return cls(low, median(values), high)


@attrs.frozen
class Found:
    """What one subject came to. ``ratio``: of its first figure to the limit's, within rounds; None where there is no limit."""

    figures: Mapping[str, Spread]
    ratio: Spread | None


def summed(rounds: list[Mapping[str, Figures]], limit: str | None) -> dict[str, Found]:
    """Rounds, each of figures by subject, as one ``Found`` for each subject."""
    found = {}
    for subject, figures in rounds[0].items():
        first = next(iter(figures))
        ratios = [turn[subject][first] / turn[limit][first] for turn in rounds] if limit in rounds[0] else []
        spreads = {name: Spread.of([turn[subject][name] for turn in rounds]) for name in figures}
        found[subject] = Found(spreads, Spread.of(ratios) if ratios else None)
    return found


async def run(bench: Bench, scene: Scene, rounds: int, seed: int = 1) -> dict[str, Found]:
    """All subjects of ``bench``, ``rounds`` times, after once to warm up."""
    order = random.Random(seed)
    taken: list[Mapping[str, Figures]] = []
    warm = 1 if bench.warms_up else 0
    async with bench.open(scene) as turns:
        for number in range(bench.of(rounds) + warm):
            names = list(turns)
            order.shuffle(names)
            figures = {}
            for name in names:
                gc.collect()  # so that nobody pays for what the one before has left
                figures[name] = await turns[name]()
            if number >= warm:
                taken.append({name: figures[name] for name in turns})
    return summed(taken, bench.limit)


def own(function: FunctionType) -> FunctionType:
    """A copy of ``function`` for one subject alone: the interpreter specialises code for those that it sees first (PEP 659)."""
    code, names = function.__code__.replace(), function.__globals__
    return FunctionType(code, names, function.__name__)


async def processor_time(calls: int, work: Callable[[int], Awaitable[None]]) -> Figures:
    """Of this process, for each of ``calls``."""
    begun = time.process_time()
    await work(calls)
    return {"µs of processor time": 1e6 * (time.process_time() - begun) / calls}


def stay_on(core: int) -> None:
    """Keep this process to one core, counted from the end where negative: clients on the first, the server on the last."""
    with contextlib.suppress(AttributeError, OSError):  # not every system has it, and not every container allows it
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
