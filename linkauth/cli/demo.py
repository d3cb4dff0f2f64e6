"""The demo: 200 tasks in 4 processes that share a LinkXG token through a store, beside 200 that do not.

Each side has a LinkXG of its own on loopback, so that counts and rate limits do not mix; both run at the same time.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import attrs

from linkauth.cli.crew import Broken, Crew
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from rich.console import Console
    from rich.table import Table

    from linkauth.cli.crew import Member

__all__ = ["run"]

WORKERS: Final = 4
TASKS: Final = 50
LIFETIME: Final = 3.0
"""Seconds that a token lives here: LinkXG's 900 would show nothing in a quarter of a minute."""
EARLIEST: Final = 2 / 3
"""Share of a token's lifetime before which nothing is renewed: four fifths, less the round trips of a busy machine."""
STEP: Final = 0.25
"""Seconds between two looks."""
PATIENCE: Final = 60.0
"""Seconds beyond the agreed time, starting included, after which a worker that has not ended is given up."""
BAR: Final = 20


@attrs.define
class Side:
    """What one side has done so far."""

    title: str
    number: int
    """Its place in what the vendors' process tells."""
    workers: list[Member] = attrs.field(factory=list["Member"])
    vendors: Member | None = None

    def told(self, name: str) -> list[Any]:
        """What each worker that has said anything said last."""
        return [worker.told[name] for worker in self.workers if worker.told]

    def total(self, name: str) -> int:
        """A figure, over all workers."""
        return sum(self.told(name))

    def seen(self, name: str) -> int:
        """A figure that its vendor counts."""
        return self.vendors.told[self.number].get(name, 0) if self.vendors and self.vendors.told else 0

    @property
    def error(self) -> str:
        """The words of some error; empty: there was none."""
        return next((str(words) for words in self.told("error") if words), "")

    @property
    def took(self) -> float:
        """Seconds from the first worker's beginning to the last one's word: on a slow machine they end late."""
        return max(self.told("now"), default=0.0) - min(self.told("begun"), default=0.0)

    @property
    def most(self) -> int:
        """The tokens that it may have taken in this time."""
        return 1 + int(self.took / (LIFETIME * EARLIEST))


async def run(chosen: argparse.Namespace) -> int:
    """Show it. Exit status 0 only if the shared side had no error and fetched no more tokens than it should."""
    try:
        from rich.console import Console  # noqa: PLC0415  # an extra
    except ImportError:
        raise ConfigurationError("the demo draws with rich: pip install 'linkauth[cli]'") from None
    console, seconds = Console(), chosen.seconds
    console.print(
        f"Two times {WORKERS} processes of {TASKS} tasks call LinkXG's sandbox for {seconds:g} s.\n"
        f"A token lives {LIFETIME:g} s, and LinkXG gives a client 60 tokens a minute.\n"
    )
    shared, alone = Side("one shared store", 0), Side("every task for itself", 1)
    try:
        async with _started(shared, alone, seconds) as vendors:
            await _watch(console, shared, alone, seconds)
            await vendors.end()  # with its last word
            for worker in (*shared.workers, *alone.workers):
                worker.check()
    except Broken as broken:
        console.print(f"\nThe demo broke off: {broken}", markup=False)
        return 1
    return _judge(console, shared, alone)


@asynccontextmanager
async def _started(shared: Side, alone: Side, seconds: float) -> AsyncGenerator[Member]:
    with tempfile.TemporaryDirectory(prefix="linkauth-demo-") as folder:
        async with Crew() as crew:
            vendors = await crew.start("the vendors", {"part": "vendors", "lifetime": LIFETIME})
            order = {"seconds": seconds, "tasks": TASKS, "store": _store(folder)}
            places = await vendors.first()
            for side, part in ((shared, "shared"), (alone, "alone")):
                side.vendors = vendors
                for number in range(WORKERS):
                    given = {"part": part, **order, **places[side.number]}
                    side.workers.append(await crew.start(f"worker {number + 1}, {side.title},", given))
            yield vendors


def _store(folder: str) -> str:
    return f"file:{folder}/store"


async def _watch(console: Console, shared: Side, alone: Side, seconds: float) -> None:
    """Draw what is going on until all workers have ended. Raises ``Broken`` where one does not."""
    from rich.live import Live  # noqa: PLC0415  # an extra

    clock = asyncio.get_running_loop().time
    begun = clock()
    running = {worker.listening for worker in (*shared.workers, *alone.workers)}
    with Live(console=console, auto_refresh=False) as live:
        while running:
            _, running = await asyncio.wait(running, timeout=STEP)
            live.update(_table(shared, alone, seconds), refresh=True)
            if clock() - begun > seconds + PATIENCE:
                raise Broken(f"{len(running)} workers have not ended in time")


def _judge(console: Console, shared: Side, alone: Side) -> int:
    """Say in a sentence how it went; the exit status."""
    fetched, errors = shared.seen("tokens"), shared.total("errors")
    console.print(
        f"\n{WORKERS * TASKS} tasks in {WORKERS} processes shared {fetched} tokens, one after the other "
        f"(at most {shared.most} were to be expected), with {errors} errors."
    )
    for side, words in ((shared, "An error of the shared side"), (alone, "An error of those who share nothing")):
        if side.error:
            console.print(f"{words}: {side.error}", markup=False)
    return 0 if not errors and 0 < fetched <= shared.most else 1


def _table(shared: Side, alone: Side, seconds: float) -> Table:
    from rich.table import Table  # noqa: PLC0415  # an extra

    passed = min(shared.took, seconds)
    done = int(BAR * passed / seconds)
    table = Table(title=f"{'█' * done}{'░' * (BAR - done)} {passed:4.0f} of {seconds:g} s", title_justify="left")
    table.add_column("")
    both = (shared, alone)
    for side in both:
        table.add_column(side.title, justify="right")
    rows = {
        "requests": [side.total("requests") for side in both],
        "tokens fetched": [side.seen("tokens") for side in both],
        "token requests refused (429)": [side.seen("refused") for side in both],
        "requests that waited for a token": [side.total("waited") for side in both],
        "errors": [side.total("errors") for side in both],
    }
    for name, figures in rows.items():
        table.add_row(name, *(f"{figure:,}" for figure in figures))
    return table
