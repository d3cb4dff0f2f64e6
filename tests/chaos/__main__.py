"""``python -m tests.chaos --minutes 60 --seed 1 --report chaos.json``: exit status 0 when nothing was lost without excuse."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign


async def main() -> int:
    """Run a campaign and write its report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    faulthandler.register(signal.SIGUSR1)
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        async with Campaign(
            Path(folder), given.seed, hosts=given.workers, accounts=given.accounts, aloud=True
        ) as campaign:
            report = await campaign.run(given.minutes * 60)
    text = json.dumps(report, indent=1)
    if given.report:
        given.report.write_text(text)
        del report["story"]
        text = json.dumps(report, indent=1)
    print(text)
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
