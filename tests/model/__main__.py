"""``python -m tests.model``: what was explored of each case, and what was found."""

from __future__ import annotations

import argparse
import sys
import time

import attrs

from tests.model.cases import CASES, LONG
from tests.model.explore import explore


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--more", type=int, default=0, help="faults that may happen beyond those of the case")
    parser.add_argument("--most", type=int, default=3_000_000, help="states of one case")
    parser.add_argument("--long", action="store_true", help="the long cases, too")
    parser.add_argument("words", nargs="*", help="parts of the names of cases; all")
    given = parser.parse_args()
    faults = 0
    for case in CASES + LONG if given.long else CASES:
        if given.words and not any(word in case.name for word in given.words):
            continue
        began = time.process_time()
        found = explore(attrs.evolve(case, together=case.together + given.more), most=given.most)
        unfinished = "" if found.finished else ", not finished"
        print(f"{case.name}{unfinished}, {time.process_time() - began:.1f} s: {found}", flush=True)
        faults += bool(found.bad)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
