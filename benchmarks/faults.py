"""What goes wrong: the caller that renews is cancelled; the token endpoint is down. Counted in calls, and in who is served."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import by_hand, peers
from benchmarks.measure import Bench
from benchmarks.ours import LINKAUTH, linkauth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from benchmarks.by_hand import Holder
    from benchmarks.measure import Figures, Scene, Turn

CALLERS = 100
DELAY = 0.1
"""Seconds that the token endpoint takes."""


async def _cancelled(holder: Holder, scene: Scene) -> Figures:
    await scene.server.behave(delay=DELAY)
    async with holder(scene.server) as ask:
        first = asyncio.ensure_future(ask())  # noqa: TID251  # kept, and an Ask may be any awaitable
        others = [asyncio.ensure_future(ask()) for _ in range(scene.some(CALLERS - 1))]  # noqa: TID251  # as above
        await scene.server.asked()
        first.cancel()
        ended = await asyncio.gather(*others, return_exceptions=True)
    failed = sum(isinstance(end, BaseException) for end in ended)
    return {"callers that failed": failed, "requests": (await scene.server.counts())["requests"]}


async def _down(holder: Holder, scene: Scene) -> Figures:
    await scene.server.behave(status=503, delay=DELAY / 10)
    logging.disable()  # some tell each failure with its traceback
    begun = time.monotonic()
    async with holder(scene.server) as ask:
        await asyncio.gather(*(ask() for _ in range(scene.some(2 * CALLERS))), return_exceptions=True)
    took = time.monotonic() - begun
    logging.disable(logging.NOTSET)
    return {"requests": (await scene.server.counts())["requests"], "s until all know": took}


@asynccontextmanager
async def _opened(fault: Callable[[Holder, Scene], Figures], scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    subjects = {**by_hand.HOLDERS, LINKAUTH: linkauth, **peers.HOLDERS}
    yield {name: partial(fault, holder, scene) for name, holder in subjects.items() if name != by_hand.BARE}


CANCELLED = Bench(
    "cancelled",
    f"{CALLERS} callers and no token; the first is cancelled while it waits for the vendor",
    partial(_opened, _cancelled),
    rounds=5,
    warms_up=False,
)
DOWN = Bench(
    "down",
    f"{2 * CALLERS} callers and no token, and the token endpoint answers 503",
    partial(_opened, _down),
    rounds=3,
    warms_up=False,
)
