"""What a renewal does to the requests beside it: tokens that live for 2 s, and 50 loops that call an API without a pause."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Bench
from benchmarks.middleware import AIOHTTP_OAUTH2_CLIENT, STATIC, sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp import ClientSession

    from benchmarks.measure import Figures, Scene, Turn

CALLERS = 50
LIFETIME = 2.0
DELAY = 0.05
"""Seconds that the token endpoint takes."""
SECONDS = 4.0
"""How long a turn takes: two lifetimes."""


async def _requests(session: ClientSession, scene: Scene) -> Figures:
    await scene.server.behave(lifetime=LIFETIME, delay=DELAY)
    took: list[float] = []
    refused = 0
    end = time.monotonic() + SECONDS * max(scene.scale, 0.55)  # a token's end must lie within

    async def caller() -> None:
        nonlocal refused
        while (begun := time.monotonic()) < end:
            async with session.get(f"{scene.server.root}/api") as answer:
                refused += answer.status == 401
                await answer.read()
            took.append(time.monotonic() - begun)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    took.sort()
    figures = {"ms at the 99th percentile": took[len(took) * 99 // 100], "ms at worst": took[-1]}
    return {name: 1e3 * seconds for name, seconds in figures.items()} | {"refused": refused}


@asynccontextmanager
async def _opened(scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    await scene.server.behave(
        lifetime=3600
    )  # the static header's never ends; what the others got is renewed in its turn
    async with AsyncExitStack() as stack:
        found = await sessions(stack, scene)
        # aiohttp-oauth2-client takes no token that has less than 30 s to live, and would ask for one with each request.
        yield {
            name: partial(_requests, session, scene) for name, session in found.items() if name != AIOHTTP_OAUTH2_CLIENT
        }


ROLLOVER = Bench(
    "rollover",
    f"{CALLERS} loops call an API while tokens live for {LIFETIME:.0f} s: how long a request takes",
    _opened,
    STATIC,
    rounds=5,
    warms_up=False,
)
