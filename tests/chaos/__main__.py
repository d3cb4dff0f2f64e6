"""``python -m tests.chaos --minutes 60 --seed 1 --report chaos.json``: exit status 0 when nothing was lost without excuse.

``--evidence FILE`` keeps what was seen; ``--judge FILE`` judges that again, and tells the story of each case.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.evidence import Evidence
from tests.chaos.judge import Judge
from tests.chaos.planted import FAULTS


async def keep(evidence: Evidence, path: Path | None) -> None:
    """Write down what is known so far, once a minute, for who cannot wait."""
    while path is not None:
        await asyncio.sleep(60)
        evidence.dump(path)


async def run(given: argparse.Namespace) -> int:
    """Run a campaign and write its report."""
    faulthandler.register(signal.SIGUSR1)
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        async with Campaign(
            Path(folder),
            given.seed,
            store=given.store,
            hosts=given.hosts,
            accounts=given.accounts,
            planted=given.planted,
            only=given.only,
            aloud=True,
        ) as campaign:
            keeping = asyncio.create_task(keep(campaign.evidence, given.evidence))
            report = await campaign.run(given.minutes * 60)
            keeping.cancel()
    if given.evidence:
        campaign.evidence.dump(given.evidence)
    text = json.dumps(report, indent=1)
    if given.report:
        given.report.write_text(text)
    print(text)
    return 1 if report["failures"] else 0


def judge(given: argparse.Namespace) -> int:
    """Judge kept evidence."""
    evidence = Evidence.load(given.judge)
    judging = Judge(evidence)
    cases = list(judging.cases())
    for case in cases:
        if not case.verdict or given.stories:
            print("\n".join(judging.story(case)), end="\n\n")
    for words, count in Counter(f"{case.what}: {case.verdict or case.why_not}" for case in cases).items():
        print(count, words)
    return int(not all(case.verdict for case in cases))


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--store", choices=["redis", "file"], default="redis")
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--planted", choices=sorted(FAULTS), default="", help="work with this fault")
    parser.add_argument("--only", default="", help="a pattern of the disturbances to choose from")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--evidence", type=Path)
    parser.add_argument("--judge", type=Path, help="judge the evidence in this file instead")
    parser.add_argument("--stories", action="store_true", help="with --judge: tell every case, not only the unexcused")
    given = parser.parse_args()
    return judge(given) if given.judge else asyncio.run(run(given))


if __name__ == "__main__":
    sys.exit(main())
