"""The demo: 200 tasks in 4 processes that share a LinkXG token through a store, beside 200 that do not.

Each side has a LinkXG of its own on loopback, so that counts and rate limits do not mix; both run at the same time.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import attrs

from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from asyncio.subprocess import Process
    from collections.abc import Mapping

    from rich.table import Table

__all__ = ["run"]

WORKERS: Final = 4
TASKS: Final = 50
LIFETIME: Final = 3.0
"""Seconds that a token lives here: LinkXG's 900 would show nothing in a quarter of a minute."""
EARLIEST: Final = 0.8
"""Share of a token's lifetime before which nothing is renewed."""
STEP: Final = 0.25
"""Seconds between two looks."""
PATIENCE: Final = 30.0
"""Seconds beyond the agreed time after which a process that has not ended is ended."""


@attrs.define
class Side:
    """What one side has done so far."""

    title: str
    workers: dict[int, dict[str, Any]] = attrs.field(factory=dict[int, dict[str, Any]])
    """What each worker told last."""
    vendor: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """What its vendor told last."""
    first: float = 0.0
    """When its first token was seen, by the loop's clock."""

    def total(self, name: str) -> int:
        """A figure, over all workers."""
        return sum(told[name] for told in self.workers.values())

    @property
    def error(self) -> str:
        """The words of some error; empty: there was none."""
        return next((told["error"] for told in self.workers.values() if told["error"]), "")


async def run(chosen: argparse.Namespace) -> int:
    """Show it. Exit status 0 only if the shared side had no error and fetched no more tokens than it should."""
    try:
        from rich.console import Console  # noqa: PLC0415  # an extra
        from rich.live import Live  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError("the demo draws with rich: pip install 'linkauth[cli]'") from None
    seconds: float = chosen.seconds
    shared, alone = Side("one shared store"), Side("every task for itself")
    console = Console()
    console.print(
        f"Two times {WORKERS} processes of {TASKS} tasks call LinkXG's sandbox for {seconds:g} s.\n"
        f"A token lives {LIFETIME:g} s, and LinkXG gives a client 60 tokens a minute.\n"
    )
    with tempfile.TemporaryDirectory(prefix="linkauth-demo-") as folder:
        async with AsyncExitStack() as stack:
            vendors = await _start(stack, {"part": "vendors", "lifetime": LIFETIME})
            places = json.loads(await _line(vendors))
            order = {"seconds": seconds, "tasks": TASKS, "store": f"file:{folder}/store"}
            workers: list[asyncio.Task[None]] = []
            for side, part, place in ((shared, "shared", places[0]), (alone, "alone", places[1])):
                for number in range(WORKERS):
                    process = await _start(stack, {"part": part, **order, **place})
                    workers.append(asyncio.create_task(_follow(process, side.workers, number)))
            counting = asyncio.create_task(_count(vendors, shared, alone))
            begun = asyncio.get_running_loop().time()
            with Live(console=console, auto_refresh=False) as live:
                running = set(workers)
                while running:
                    _, running = await asyncio.wait(running, timeout=STEP)
                    passed = asyncio.get_running_loop().time() - begun
                    live.update(_table(shared, alone, min(passed, seconds), seconds), refresh=True)
                    if passed > seconds + PATIENCE:
                        break
            took = asyncio.get_running_loop().time() - shared.first + STEP
            await asyncio.sleep(2 * STEP)  # the vendors' last word
            counting.cancel()
            await asyncio.wait({counting, *workers}, timeout=1)
    fetched = int(shared.vendor["tokens"])
    # By the time that it really took: on a slow machine workers begin late, and so end late.
    most = math.ceil(took / (LIFETIME * EARLIEST)) + 1
    well = not shared.total("errors") and len(shared.workers) == WORKERS and 0 < fetched <= most
    console.print(
        f"\n\n{WORKERS * TASKS} tasks in {WORKERS} processes shared {fetched} tokens, one after the other "
        f"(at most {most} were to be expected), with {shared.total('errors')} errors."
    )
    if shared.error:
        console.print(f"An error of the shared side: {shared.error}", markup=False)
    if alone.error:
        console.print(f"Without sharing, {alone.total('errors')} calls failed: {alone.error}", markup=False)
    return 0 if well else 1


def _table(shared: Side, alone: Side, passed: float, seconds: float) -> Table:
    from rich.table import Table  # noqa: PLC0415

    done = int(20 * passed / seconds)
    table = Table(title=f"{'█' * done}{'░' * (20 - done)} {passed:4.0f} of {seconds:g} s", title_justify="left")
    table.add_column("")
    for side in (shared, alone):
        table.add_column(side.title, justify="right")
    both = (shared, alone)
    rows = {
        "requests": [side.total("requests") for side in both],
        "tokens fetched": [side.vendor.get("tokens", 0) for side in both],
        "token requests refused (429)": [side.vendor.get("refused", 0) for side in both],
        "requests that waited for a token": [side.total("waited") for side in both],
        "errors": [side.total("errors") for side in both],
    }
    for name, figures in rows.items():
        table.add_row(name, *(f"{figure:,}" for figure in figures))
    return table


async def _start(stack: AsyncExitStack, order: Mapping[str, Any]) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "linkauth.cli.parts", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    stack.push_async_callback(_end, process)
    assert process.stdin is not None  # noqa: S101  # a pipe was asked for
    process.stdin.write(json.dumps(order).encode() + b"\n")
    await process.stdin.drain()
    return process


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _line(process: Process) -> bytes:
    assert process.stdout is not None  # noqa: S101
    return await process.stdout.readline()


async def _follow(process: Process, told: dict[int, dict[str, Any]], number: int) -> None:
    while line := await _line(process):
        told[number] = json.loads(line)


async def _count(vendors: Process, *sides: Side) -> None:
    while line := await _line(vendors):
        for side, told in zip(sides, json.loads(line), strict=True):
            side.vendor = told
            if told["tokens"] and not side.first:
                side.first = asyncio.get_running_loop().time()
