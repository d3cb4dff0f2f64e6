"""Renews many credentials, several at a time, and no faster than their vendors let a client ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from linkauth.protocol.keys import limit_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Coroutine

    from linkauth.engine.clock import Clock
    from linkauth.vendors.vendor import Vendor

__all__ = ["AT_ONCE", "Pace", "each"]

T = TypeVar("T")

AT_ONCE: Final = 8
"""As many as a client's limiter lets go at first (``timing.WINDOW``)."""


class Pace:
    """Turns at each client's token endpoint: ``share`` of what its vendor states, or one in ``otherwise`` seconds."""

    def __init__(self, clock: Clock, share: float, otherwise: float) -> None:
        self._clock = clock
        self._share = share
        self._otherwise = otherwise
        self._next: dict[str, float] = {}

    async def turn(self, vendor: Vendor) -> None:
        """Wait for the next one."""
        gap = self._otherwise
        if vendor.token_rate is not None:
            requests, seconds = vendor.token_rate
            gap = seconds / requests / self._share
        key, now = limit_key(vendor), self._clock.monotonic()
        mine = max(self._next.get(key, now), now)
        self._next[key] = mine + gap
        await asyncio.sleep(mine - now)


async def each(of: AsyncIterable[T], work: Callable[[T], Coroutine[Any, Any, None]]) -> None:
    """Do ``work`` on all that ``of`` yields, several at a time. What one raises ends the others, and is raised."""
    running: set[asyncio.Task[None]] = set()
    try:
        async for one in of:
            if len(running) >= AT_ONCE:
                running = await _one_fewer(running)
            running.add(asyncio.create_task(work(one)))
        while running:
            running = await _one_fewer(running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _one_fewer(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, left = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return left
