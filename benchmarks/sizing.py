"""The tables of ``docs/operations/sizing.md``, from what ``python -m benchmarks.scale`` found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.fleet import most_workers
from benchmarks.report import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.scale import Scaled

MARKS = ("<!-- sizes: python -m benchmarks.scale --save -->", "<!-- end of sizes -->")
"""Between these the page holds what ``tables`` says."""


def tables(found: Scaled) -> Iterator[str]:
    """Markdown."""
    busy = f"load {found.load[0]} before and {found.load[1]} after"
    yield (
        f"Measured {found.taken} on {found.cores} cores beside other work ({busy}), Python {found.versions['Python']}, "
        f"redis-py {found.versions['redis']}, linkauth as of commit {found.commit}."
    )
    yield ""
    yield "### One Redis, and more and more in it"
    yield ""
    yield "| credentials | bytes each | `PING` | read | claim | elapsed, claim : `PING`, of half / of 99 in 100 | a key of `keys()` | a record of `statuses()` | of a keep-alive round |"
    yield f"|{'---:|' * 9}"
    for size in found.sizes:
        spent = [f"{number(each)} µs" for each in (size.ping, size.read, size.claim)]
        took = f"{number(size.median)} / {number(size.slow)}"
        walks = [f"{number(each)} µs" for each in (size.keys, size.statuses, size.keep_alive)]
        yield f"| {' | '.join([f'{size.credentials:,}', number(size.each), *spent, took, *walks])} |"
    yield ""
    yield "### What it costs a core"
    yield ""
    yield "| | µs of processor time |"
    yield "|---|---:|"
    for words, cost in {
        "a claim, in the Redis": found.costs.claim,
        "a commit, in the Redis": found.costs.commit,
        "an announcement, in the Redis, for each worker that listens": found.costs.deliver,
        "an announcement, in each worker": found.costs.hear,
        "a renewal, in the worker that makes it": found.costs.renew,
        "a worker that starts, in the Redis": found.costs.start,
    }.items():
        yield f"| {words} | {number(cost)} |"
    yield ""
    yield "### Fleets, simulated"
    yield ""
    yield "| workers | credentials | a token lives | nodes | renewals a second | announcements a second | the Redis's core | a claim waits, half / 99 of 100 | each worker's core, by hearing | workers that the core bears | above its bound |"
    yield f"|{'---:|' * 10}---|"
    for one in found.fleets:
        fleet = one.fleet
        cells = [
            f"{fleet.workers:,}",
            f"{fleet.credentials:,}",
            f"{fleet.lifetime / 60:g} min",
            f"{fleet.nodes}",
            number(one.renewals),
            number(one.messages),
            f"{number(100 * one.busy)} %",
            "never ends" if one.busy >= 1 else f"{_short(one.waits[0])} / {_short(one.waits[1])}",
            f"{number(100 * one.hearing)} %",
            f"{most_workers(fleet, found.costs):,}",
            "; ".join(one.gives_out),
        ]
        yield f"| {' | '.join(cells)} |"


def into_page(page: str, found: Scaled) -> str:
    """``page`` with the tables between its marks."""
    between = "\n".join([MARKS[0], *tables(found), MARKS[1]])
    return re.sub(f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", lambda _: between, page, flags=re.DOTALL)


def _short(micros: float) -> str:
    return f"{number(micros)} µs" if micros < 1000 else f"{number(micros / 1000)} ms"
