"""``python -m tests.simulation SEED`` tells a schedule; ``--schedules N --seed S`` runs many and tells the first that fails."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.campaign import campaign, quiet
from tests.simulation.plan import SCENARIOS, make
from tests.simulation.world import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("replay", nargs="?", type=int, metavar="SEED", help="tell the story of this seed")
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--keep-going", action="store_true", help="count what fails instead of stopping")
    given = parser.parse_args()
    if given.replay is not None:
        with quiet():
            outcome = run(make(given.replay, given.scenario), telling=True)
        print(outcome.story)
        print(
            "FAILED" if outcome.problem else "well",
            f"after {outcome.steps} steps",
            "(session lost, excused)" * outcome.lost,
        )
        return 1 if outcome.problem else 0
    began, began_cpu = time.perf_counter(), time.process_time()
    result = campaign(given.seed, given.schedules, given.scenario, keep_going=given.keep_going)
    took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    print(
        f"{result.done} schedules in {took:.1f} s, {cpu:.1f} s of one core ({result.done / cpu:.0f}/s), {result.steps / max(result.done, 1):.0f} steps each; "
        f"{result.lost} lost a session where that is excused; {len(result.failed)} broke a promise"
    )
    if not result.failed:
        return 0
    for scenario, count in Counter(outcome.scenario for outcome in result.failed).most_common():
        print(f"  {count:6} {scenario}")
    for outcome in result.failed[:15]:
        print(f"  seed {outcome.seed} ({outcome.scenario}): {outcome.problem}")
    first = min(result.failed, key=lambda outcome: outcome.steps)
    with quiet():
        print("", run(make(first.seed, given.scenario), telling=True).story, sep="\n")
    print(
        f"\nreplay: python -m tests.simulation {first.seed}"
        + (f" --scenario '{given.scenario}'" if given.scenario else "")
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
