"""``python -m tests.mutation``: change protocol and engine in a thousand ways, and see whether a test notices."""

from __future__ import annotations

import argparse
import gc
import os
import resource
import selectors
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from tests.engine import virtual
from tests.mutation.mutants import MODULES, ROOMS, Mutant, apply, mutants
from tests.simulation.campaign import campaign

TESTS = ["tests/engine", "tests/fuzz/test_readers.py", "tests/oauth/test_wire.py"]
# Slow by intent: what they would notice, the others or the simulation do.
TOO_SLOW = "not thousand and not uvloop and not take_no_memory and not eager and not several_event_loops"
QUICK = 0.1
"""Seconds; slower tests are run only on what no quick one comes by."""
SEED = 5_000_000
KILLED, SURVIVED, STUCK = 1, 0, 3
LEFT = Path(__file__).with_name("left.txt")
"""Mutants that are known to survive, each under the reason why it may: a line that begins with ``# ``."""


def named_in(file: Path) -> dict[str, str]:
    """The mutants that ``left.txt``, or what a run has printed, names, and the reason above each."""
    found, reason = {}, ""
    for text in file.read_text().splitlines():
        if text.startswith("# "):
            reason = text[2:]
        elif text:
            found[text.partition("   [")[0]] = reason
    return found


class Run:
    """A pytest plugin: runs every test once to see where it goes, then those that matter on each mutant."""

    def __init__(self, modules: list[str], schedules: int, only: set[str]) -> None:
        self._modules = modules
        self._schedules = schedules
        self._only = only
        self._reasons = named_in(LEFT)
        self._outcomes: Counter[str] = Counter()
        self._left: set[str] = set()
        self.unexplained = 0
        self._reach: dict[tuple[str, int], set[int]] = defaultdict(set)
        """Which tests come by a line of a module; -1 is the simulation."""
        self._took: list[float] = []
        self._killers: Counter[tuple[str, str, int]] = Counter()
        """How often a test noticed a mutant of a function."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = session.items
        self._survey()
        gc.collect()
        gc.freeze()  # children share these objects as long as nobody touches them
        self._sift()
        for module in self._modules:
            self._try_all(module)
        _tell("together", self._outcomes)
        for known in self._reasons.keys() - self._left:
            module = known.partition(" ")[0]
            if module in self._modules or module not in MODULES:
                print(f"{known}   [is in left.txt, and is not left]", flush=True)
        return True

    def _survey(self) -> None:
        """Where each test goes, and how long it takes."""
        watch, at = sys.monitoring, -1

        def line(code, number):
            if Path(code.co_filename).parent in ROOMS:
                self._reach[Path(code.co_filename).stem, number].add(at)
            return watch.DISABLE

        watch.use_tool_id(watch.COVERAGE_ID, "mutation")
        watch.register_callback(watch.COVERAGE_ID, watch.events.LINE, line)
        watch.set_events(watch.COVERAGE_ID, watch.events.LINE)
        campaign(SEED, 100)
        for at, item in enumerate(self._items):  # ``line`` reads it
            watch.restart_events()
            began = time.process_time()
            reports = runtestprotocol(item, log=False, nextitem=None)
            self._took.append(time.process_time() - began)
            if any(report.failed for report in reports):
                self._leave_out(at)
        watch.set_events(watch.COVERAGE_ID, 0)
        watch.free_tool_id(watch.COVERAGE_ID)
        quick = [took for took in self._took if took <= QUICK]
        print(
            f"{len(self._items)} tests, {sum(self._took):.1f} s of one core, {len(quick)} of them quick, {sum(quick):.1f} s",
            flush=True,
        )

    def _sift(self) -> None:
        """Leave out what fails in a fork, too: whatever it says of a mutant is worth nothing."""
        while True:
            good = sorted(set().union(*self._reach.values()) - {-1})
            status, at = self._forked(None, good)
            if status == SURVIVED:
                return
            self._leave_out(at)

    def _leave_out(self, at: int) -> None:
        print("fails without any mutant, and is left out:", self._items[at].nodeid, flush=True)
        for tests in self._reach.values():
            tests.discard(at)

    def _try_all(self, module: str) -> None:
        cpu, outcomes = _cpu(), Counter()
        for mutant in mutants(module):
            if self._only and str(mutant) not in self._only:
                continue
            outcome, by = self._try(mutant)
            outcomes[outcome] += 1
            if outcome == "survived":
                self._left.add(str(mutant))
                if not self._reasons.get(str(mutant)):
                    self.unexplained += 1
                    print(f"{mutant}   [line {mutant.line}, {by}]", flush=True)
        outcomes["seconds"] = round(_cpu() - cpu)
        self._outcomes += outcomes
        _tell(module, outcomes)

    def _try(self, mutant: Mutant) -> tuple[str, str]:
        near = set().union(*(self._reach[mutant.module, line] for line in mutant.lines))
        quick = {at for at in near if at >= 0 and self._took[at] <= QUICK}
        killers, function = self._killers, (mutant.module, mutant.function)
        tests = sorted(quick or near - {-1}, key=lambda at: (-killers[*function, at], self._took[at]))
        status, by = self._forked(mutant, tests)
        if by >= 0 and status != SURVIVED:
            self._killers[mutant.module, mutant.function, by] += 1
            return "killed", self._items[by].nodeid
        if self._schedules and -1 in near:
            status, _ = self._forked(mutant, [])
            if status != SURVIVED:
                return "killed by simulation", ""
        return "survived", f"{len(tests)} tests" + ", simulation" * (-1 in near)

    def _forked(self, mutant: Mutant | None, tests: list[int]) -> tuple[int, int]:
        """What became of ``tests`` (none: the simulation) in a child that runs the mutant, and which test it was."""
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            os.dup2(1, 2)
            status = KILLED  # a module that does not even come up
            try:
                status = self._in_child(mutant, tests, into)
            finally:
                os._exit(status)
        os.close(into)
        told = b""
        while data := os.read(out, 65536):
            told += data
        os.close(out)
        _, status = os.waitpid(child, 0)
        last = int.from_bytes(told[-4:], "big") if told else tests[0] if tests else 0
        return (STUCK if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)), last

    def _in_child(self, mutant: Mutant | None, tests: list[int], into: int) -> int:
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        virtual._Selector.select = _impatient(virtual._Selector.select)
        if mutant is not None:
            apply(mutant)
        for at in tests:
            os.write(into, at.to_bytes(4, "big"))
            _limit(1 + 10 * self._took[at])
            if any(report.failed for report in runtestprotocol(self._items[at], log=False, nextitem=None)):
                return KILLED
        if not tests:
            _limit(10 + self._schedules / 20)
            return KILLED if campaign(SEED, self._schedules).failed else SURVIVED
        return SURVIVED


def _tell(name: str, outcomes: Counter[str]) -> None:
    """A row of the table in the README."""
    killed, simulated, left = (outcomes[outcome] for outcome in ("killed", "killed by simulation", "survived"))
    if tried := killed + simulated + left:
        print(f"| {name} | {tried} | {killed} | {simulated} | {left} | {outcomes['seconds']} |", flush=True)


def _limit(seconds: float) -> None:
    """End this process after so much of its own time, or when it has stood still for very long."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 20 + 20 * seconds)


def _impatient(select):
    def impatient(selector, timeout=None):
        if timeout is not None:
            return select(selector, timeout)
        found = selectors.DefaultSelector.select(selector, 2.0)
        if not found:
            os._exit(STUCK)  # no timer is set, and nothing comes of threads: everybody waits for ever
        return found

    return impatient


def _cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    words = "of linkauth/protocol or linkauth/engine; none: each"
    parser.add_argument("modules", nargs="*", metavar="MODULE", default=list(MODULES), help=words)
    parser.add_argument("--schedules", type=int, default=150, help="of the simulation, for those that no test noticed")
    parser.add_argument("--only", type=Path, help="those named in this file: left.txt, or what a run has printed")
    given = parser.parse_args()
    run = Run(given.modules, given.schedules, set(named_in(given.only)) if given.only else set())
    options = ["-q", "--noconftest", "--capture=no", "-k", TOO_SLOW, "-o", "timeout=0"]
    without = [f"-pno:{name}" for name in ("xdist", "cacheprovider", "sybil")]
    return int(pytest.main([*options, *without, *TESTS], plugins=[run])) or bool(run.unexplained)


if __name__ == "__main__":
    sys.exit(main())
