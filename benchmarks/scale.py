"""``python -m benchmarks.scale``: a million credentials in one Redis, measured; and fleets beyond this machine, simulated.

What is measured is loaded in the store's own format: one record that linkauth wrote, under so many keys. Figures are beside
``PING`` of the same moment, for the machine does other things too. It takes some minutes and 1 GB of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import attrs
import cattrs

from benchmarks import result as results
from benchmarks import sizing
from benchmarks.fleet import Costs, Fleet, Outcome, simulated
from benchmarks.full import Size, measured
from benchmarks.server import Server as Vendor
from benchmarks.spent import costs

SIZES = (1_000, 100_000, 1_000_000)
KEPT = results.RESULTS / "scale.json"
PAGE = Path(__file__).parent.parent / "docs" / "operations" / "sizing.md"
FLEETS = [
    Fleet(10, 10_000, 3600),
    Fleet(100, 100_000, 900),
    Fleet(100, 1_000_000, 3600),
    Fleet(1_000, 100_000, 3600),
    Fleet(1_000, 1_000_000, 3600),
    Fleet(1_000, 1_000_000, 900),
    Fleet(10_000, 100_000, 3600),
    Fleet(10_000, 1_000_000, 3600),
    Fleet(1_000, 1_000_000, 900, nodes=6),
    Fleet(10_000, 1_000_000, 3600, nodes=6),
]


@attrs.frozen
class Scaled(results.Run):
    """What a run found."""

    sizes: list[Size]
    costs: Costs
    fleets: list[Outcome]


def read(data: dict[str, Any]) -> Scaled:
    return cattrs.structure(data, Scaled)


async def scaled(sizes: tuple[int, ...] = SIZES, chances: int = 2_000) -> Scaled:
    """Everything. The server is this run's own."""
    from tests.servers import Server

    load = results.load()
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.to_thread(Server(Path(folder)).start)
        try:
            found, loaded = [], 0
            for size in sizes:
                found.append(await measured(server, size, loaded, chances))
                print(found[-1], flush=True)
                loaded = size
            async with Vendor() as endpoint:
                spent = await costs(server, endpoint, found[-1].each, chances)
            print(spent, flush=True)
        finally:
            await asyncio.to_thread(server.stop)
    kept = cattrs.structure(results.written(spent), Costs)  # the page's figures follow from one another
    return Scaled(**results.ended(load), sizes=found, costs=spent, fleets=[simulated(fleet, kept) for fleet in FLEETS])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="credentials in the Redis, fewest first")
    parser.add_argument("--chances", type=int, default=2_000, help="how often a command is tried (2000)")
    parser.add_argument("--save", nargs="?", type=Path, const=KEPT, metavar="FILE", help="keep what was found")
    given = parser.parse_args()
    found = asyncio.run(scaled(tuple(given.sizes), given.chances))
    print(*sizing.tables(found), sep="\n")
    if given.save:
        given.save.write_text(json.dumps(results.written(found), indent=1) + "\n")
        if given.save == KEPT:
            PAGE.write_text(sizing.into_page(PAGE.read_text(), read(json.loads(KEPT.read_text()))))


if __name__ == "__main__":
    main()
