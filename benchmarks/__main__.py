"""``python -m benchmarks [--rounds N]``: a table of ratios, and the machine in a line."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from benchmarks import middleware, serving, stampede

if TYPE_CHECKING:
    from benchmarks.measure import Row

PARTS = [serving.run, middleware.run, stampede.run]


async def measure(rounds: int) -> list[Row]:
    return [row for part in PARTS for row in await part(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="each side is run so often, in turn (default 15)")
    rows = asyncio.run(measure(parser.parse_args().rounds))
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:<{width}}  {row.figure:>14}  {row.note}")
    load = os.getloadavg()[0]
    print(
        f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {load:.1f}, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, aiohttp {version('aiohttp')}"
    )


if __name__ == "__main__":
    main()
