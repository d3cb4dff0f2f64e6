"""What a run found, as it is kept: ``results/results.json``, with the machine and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import cattrs

from benchmarks import peers
from benchmarks.measure import Found, Spread  # noqa: TC001  # cattrs reads it at run time
from benchmarks.ours import LINKAUTH

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results"
WORSE = 1.25
"""So many times what it was is worse, where the rounds do not overlap."""


@attrs.frozen
class Kept:
    """A bench and what its subjects came to."""

    what: str
    limit: str | None
    rounds: int
    subjects: dict[str, Found]

    def ratios(self) -> dict[str, Spread]:
        """By subject; empty where there is no limit."""
        return {name: found.ratio for name, found in self.subjects.items() if found.ratio}


@attrs.frozen
class Run:
    """When it ended, and on what. ``load``: of the machine's last minute before it and after it, on so many ``cores``."""

    taken: str
    commit: str
    machine: str
    cores: int
    load: tuple[float, float]
    versions: dict[str, str]


@attrs.frozen
class Result(Run):
    """What ``python -m benchmarks`` found."""

    absent: list[str]
    scale: float
    benches: dict[str, Kept]


def ended(before: float) -> dict[str, Any]:
    """The fields of a ``Run`` that ends now; ``before``: the load when it began."""
    return {
        "taken": now(),
        "commit": commit(),
        "machine": processor(),
        "cores": os.cpu_count() or 1,
        "load": (before, load()),
        "versions": versions(),
    }


def now() -> str:
    """UTC, to the minute."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def commit() -> str:
    """The last one that changed what is measured; empty outside a clone."""
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%h", "--", "linkauth", "stores"],
        cwd=RESULTS.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip()


def processor() -> str:
    """The system, the machine's kind and, where Linux tells it, the processor's name."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return ", ".join([f"{platform.system()} {platform.machine()}", *names[:1]])


def versions() -> dict[str, str]:
    found = {name: version(name) for name in ["linkauth", "aiohttp", "redis", *peers.PACKAGES]}
    return {"Python": platform.python_version(), **found}


def load() -> float:
    return round(os.getloadavg()[0], 1)


def written(found: Any) -> dict[str, Any]:
    """As JSON has it, numbers to four digits."""
    return _short(cattrs.unstructure(found))


def _short(value: Any) -> Any:
    match value:
        case dict():
            return {key: _short(each) for key, each in value.items()}
        case list() | tuple():
            return [_short(each) for each in value]
        case float():
            return float(f"{value:.4g}")
    return value


def read(data: dict[str, Any]) -> Result:
    return cattrs.structure(data, Result)


def worse(new: Result, old: Result) -> Iterator[str]:
    """What linkauth does ``WORSE`` than it did: a bench's ratio or, where there is no limit, its first figure.

    Not by the medians: three quarters of the rounds must lie above what three quarters of them lay below.
    """
    for name, kept in new.benches.items():
        for subject, found in kept.subjects.items():
            before = old.benches[name].subjects.get(subject) if name in old.benches else None
            if before is None or not subject.startswith(LINKAUTH):
                continue
            here, there = (each.ratio or next(iter(each.figures.values())) for each in (found, before))
            if here.low > WORSE * there.high:
                yield f"{name}, {subject}: {here.median:.3g}, and {there.median:.3g} on {old.taken}"
