"""How the simulation came out before: ``python -m tests.simulation.baseline`` runs it all again and tells what is worse.

``baseline.json`` has, for each scenario, a range of seeds and what became of them: which lost a session where that is
excused, and how often a vendor was asked. A change to the engine draws other numbers for the same seed, so single seeds
say little; many together must break no promise, lose no more sessions and ask no more often. ``--write`` keeps what is found.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tests.simulation.campaign import Result, campaign, crews
from tests.simulation.plan import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEPT", "Campaign", "load", "worse"]

KEPT = Path(__file__).with_suffix(".json")
CHANCE = 3.0
"""Standard deviations by which a count may differ for no reason but the numbers that were drawn."""
ASKED_MORE = 0.03
"""Share by which the vendors may be asked more often, likewise."""
FEWER = {"keep alive": 300}
"""Schedules of scenarios that take long."""
MORE = {"mixed": 4000, "store lost": 3000}


@attrs.frozen(kw_only=True)
class Campaign:
    """What became of the seeds ``first`` up to ``first + schedules`` of a scenario."""

    scenario: str
    first: int
    schedules: int
    excused: int
    """How many lost a session where that is excused."""
    exchanges: int
    """How often a vendor was asked, in all of them together."""


def load() -> list[Campaign]:
    """What was kept."""
    return [Campaign(**each) for each in json.loads(KEPT.read_text())]


def worse(before: Campaign, now: Result) -> list[str]:
    """In which ways ``now`` is worse than ``before``, in words. ``now`` may be of fewer seeds."""
    share = now.done / before.schedules
    faults = [f"seed {outcome.seed}: {outcome.problem}" for outcome in now.failed]
    excused = before.excused * share
    if now.lost > excused + CHANCE * math.sqrt(excused + 1):
        faults.append(f"{now.lost} lost a session in {now.done} schedules, before it were {excused:.0f}")
    asked, most = now.tally["exchanges"], before.exchanges * share
    if asked > most * (1 + ASKED_MORE) + CHANCE * math.sqrt(most):
        faults.append(f"the vendor was asked {asked} times in {now.done} schedules, before it was {most:.0f} times")
    return faults


def run(names: list[str], jobs: int, heard: Callable[[Campaign, Result], None]) -> None:
    kept = {each.scenario: each for each in load()} if KEPT.exists() else {}
    for name in names:
        schedules = FEWER.get(name, MORE.get(name, 2000))
        result = crews(0, schedules, name, jobs=jobs, keep_going=True)
        found = Campaign(
            scenario=name, first=0, schedules=result.done, excused=result.lost, exchanges=result.tally["exchanges"]
        )
        heard(kept.get(name, found), result)


def slice_of(before: Campaign, schedules: int) -> list[str]:
    """As ``worse``, for the first ``schedules`` seeds only."""
    return worse(before, campaign(before.first, schedules, before.scenario, keep_going=True))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.baseline", description=__doc__)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--write", action="store_true", help="keep what is found, unless a promise is broken")
    given = parser.parse_args()
    found: list[Campaign] = []
    faults: list[str] = []

    def heard(before: Campaign, now: Result) -> None:
        now_worse = worse(before, now)
        faults.extend(now_worse)
        asked = now.tally["exchanges"]
        print(
            f"{before.scenario:18} {now.done:6} schedules, {len(now.failed)} broken, {now.lost} excused (before: "
            f"{before.excused}), {asked} exchanges (before: {before.exchanges}), {now.done / max(now.cpu, 1e-9):.0f}/s",
            *now_worse,
            sep="\n    ",
            flush=True,
        )
        found.append(attrs.evolve(before, schedules=now.done, excused=now.lost, exchanges=asked))

    run([given.scenario] if given.scenario else list(SCENARIOS), given.jobs, heard)
    if given.write and not given.scenario and not any("seed" in fault for fault in faults):
        KEPT.write_text("[\n" + ",\n".join(f"  {json.dumps(attrs.asdict(each))}" for each in found) + "\n]\n")
        return 0
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
