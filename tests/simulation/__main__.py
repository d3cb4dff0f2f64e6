"""``python -m tests.simulation SEED`` tells a schedule; ``--schedules N --seed S`` runs many and tells the first that fails."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter

from tests.simulation.campaign import Result, crews, quiet
from tests.simulation.plan import SCENARIOS, make
from tests.simulation.world import run

EVERY = 60.0
"""Seconds between two words of progress."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("replay", nargs="?", type=int, metavar="SEED", help="tell the story of this seed")
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (default: one a core)"
    )
    parser.add_argument("--scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--keep-going", action="store_true", help="count what fails instead of stopping")
    given = parser.parse_args()
    if given.replay is not None:
        return tell(given.replay, given.scenario)
    began = told = time.perf_counter()
    shown = 0

    def progress(result: Result) -> None:
        nonlocal told, shown
        for outcome in result.failed[shown:]:  # at once: a long run may be stopped before its end
            print(f"  seed {outcome.seed} ({outcome.scenario}): {outcome.problem}", flush=True)
        shown = len(result.failed)
        if time.perf_counter() > told + EVERY:
            told = time.perf_counter()
            print(words(result, given.seed, told - began), flush=True)

    result = crews(
        given.seed, given.schedules, given.scenario, jobs=given.jobs, keep_going=given.keep_going, progress=progress
    )
    print(words(result, given.seed, time.perf_counter() - began))
    many = max(result.done, 1) / 1000
    print("in a thousand:", ", ".join(f"{count / many:.0f} {name}" for name, count in sorted(result.tally.items())))
    return failures(result, given.scenario) if result.failed else 0


def words(result: Result, seed: int, took: float) -> str:
    return (
        f"{result.done} schedules (seeds from {seed}) in {took:.1f} s, {result.done / max(result.cpu, 1e-9):.0f}/s of one "
        f"core; {result.lost} lost a session where that is excused; {len(result.failed)} broke a promise"
    )


def failures(result: Result, scenario: str | None) -> int:
    """Count what failed, and tell the story of the shortest."""
    for name, count in Counter(outcome.scenario for outcome in result.failed).most_common():
        print(f"  {count:6} {name}")
    first = min(result.failed, key=lambda outcome: outcome.steps)
    tell(first.seed, scenario)
    print(f"\nreplay: python -m tests.simulation {first.seed}" + (f" --scenario '{scenario}'" if scenario else ""))
    return 1


def tell(seed: int, scenario: str | None) -> int:
    """Tell the story of a seed."""
    with quiet():
        outcome = run(make(seed, scenario), telling=True)
    print(outcome.story)
    print(
        "FAILED" if outcome.problem else "well",
        f"after {outcome.steps} steps",
        "(session lost, excused)" * outcome.lost,
    )
    return 1 if outcome.problem else 0


if __name__ == "__main__":
    sys.exit(main())
