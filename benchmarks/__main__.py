"""``python -m benchmarks``: what linkauth costs, beside its peers and beside the least that there can be."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import faults, hit, imports, memory, middleware, peers, processes, report, rollover, storm
from benchmarks import result as results
from benchmarks.measure import ROUNDS, Scene, run, stay_on
from benchmarks.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Bench

BENCHES = {
    bench.name: bench
    for bench in [
        hit.HIT,
        hit.PEEK,
        middleware.ONE,
        middleware.MANY,
        storm.STORM,
        processes.FILES,
        processes.REDIS,
        rollover.ROLLOVER,
        faults.CANCELLED,
        faults.DOWN,
        memory.MEMORY,
        imports.IMPORTS,
    ]
}
README = Path(__file__).parent.parent / "README.md"


async def measured(benches: Sequence[Bench], rounds: int, scale: float) -> results.Result:
    """Each bench in turn; its table is printed as soon as it is there."""
    load = results.load()
    stay_on(0)
    kept: dict[str, results.Kept] = {}
    async with Server() as server:
        for bench in benches:
            found = await run(bench, Scene(server, scale), rounds)
            if not found:
                print(f"\n{bench.what}: not measured, for what it wants is not here", flush=True)
                continue
            kept[bench.name] = results.Kept(bench.what, bench.limit, bench.of(rounds), found)
            print(f"\n{bench.name}: {bench.what}\n", *report.table(kept[bench.name]), sep="\n", flush=True)
    return results.Result(**results.ended(load), absent=peers.ABSENT, scale=scale, benches=kept)


def save(result: results.Result, folder: Path) -> None:
    """JSON, Markdown and, where there is a matplotlib, pictures; the README's figures too if these are the committed ones."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results.written(result), indent=1, ensure_ascii=False) + "\n")
    result = results.read(json.loads((folder / "results.json").read_text()))  # the figures as they are kept
    (folder / "results.md").write_text(report.page(result))
    if folder == results.RESULTS:
        README.write_text(report.into_readme(README.read_text(), result))
    try:
        from benchmarks.plots import draw

        draw(result, folder)
    except ImportError:
        print("no matplotlib: no pictures")


def check(result: results.Result) -> int:
    """How many benches are worse than the committed ones; each is said."""
    committed = results.read(json.loads((results.RESULTS / "results.json").read_text()))
    worse = list(results.worse(result, committed))
    print("\nworse than it was:" if worse else "\nnothing is worse than it was", *worse, sep="\n  ")
    return len(worse)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=BENCHES, default=list(BENCHES), metavar="NAME", help=", ".join(BENCHES)
    )
    parser.add_argument("--quick", action="store_true", help="under a minute: 2 rounds, a twentieth of the work")
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}; what takes long gets fewer in proportion")
    parser.add_argument("--scale", type=float, help="so much of the work (1)")
    parser.add_argument(
        "--save", nargs="?", type=Path, const=results.RESULTS, metavar="FOLDER", help="keep what was found"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail where linkauth is worse than in the committed results"
    )
    given = parser.parse_args()
    rounds = given.rounds or (2 if given.quick else ROUNDS)
    scale = given.scale or (0.05 if given.quick else 1.0)
    result = asyncio.run(measured([BENCHES[name] for name in given.only], rounds, scale))
    print(f"\n{report.machine(result)}")
    if result.absent:
        print(f"not installed: {', '.join(result.absent)}; pip install -e '.[bench]'")
    if given.save:
        save(result, given.save.resolve())
    if given.check and check(result):
        sys.exit(1)


if __name__ == "__main__":
    main()
