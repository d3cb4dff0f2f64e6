"""10,000 tasks of one process ask at once, and there is no token."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import by_hand, peers
from benchmarks.measure import Bench
from benchmarks.ours import LINKAUTH, linkauth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from benchmarks.by_hand import Holder
    from benchmarks.measure import Figures, Scene, Turn

TASKS = 10_000
DELAY = 0.1
"""Seconds that the token endpoint takes, so that all tasks are there before it answers."""


class Pulse:
    """How long the loop stood still: the longest time that a task that wants its turn each millisecond had to wait."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def beat(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.monotonic() - begun - 0.001)


async def _storm(holder: Holder, scene: Scene) -> Figures:
    await scene.server.behave(delay=DELAY)
    pulse = Pulse()
    async with holder(scene.server) as ask:
        beating = asyncio.create_task(pulse.beat())
        await asyncio.sleep(0)
        begun = time.process_time()
        await asyncio.gather(*(ask() for _ in range(scene.some(TASKS))))
        took = time.process_time() - begun
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
    return {
        "ms of processor time": 1e3 * took,
        "requests": (await scene.server.counts())["requests"],
        "ms that the loop stood still": 1e3 * pulse.longest,
    }


@asynccontextmanager
async def _opened(scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    # Left out: who fetches a token for each task, and would measure the machine's sockets.
    each = {by_hand.BARE, by_hand.LOCK_CHECK, "azure-identity"}
    subjects = {**by_hand.HOLDERS, LINKAUTH: linkauth, **peers.HOLDERS}
    yield {name: partial(_storm, holder, scene) for name, holder in subjects.items() if name not in each}


STORM = Bench("storm", f"{TASKS:,} tasks ask at once and there is no token", _opened, by_hand.CHECK_LOCK_CHECK)
