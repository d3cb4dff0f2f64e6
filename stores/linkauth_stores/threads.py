"""The threads of a file store: a few for what needs no lock, and one for each lock.

A process that is stopped while it holds a lock makes others wait for it. Whoever waits has that lock's thread, and none that
anybody else needs.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOOKING", "Threads"]

T = TypeVar("T")

LOOKING = 4
"""How many threads there are for what needs no lock."""


class Threads:
    """Begun when they are needed, in each process for itself: a forked child has none of its parent's."""

    def __init__(self) -> None:
        self._pools: dict[tuple[int, str], ThreadPoolExecutor] = {}

    def begin(self, lock: str, step: Callable[..., T], *arguments: Any) -> Future[T]:
        """Run ``step``: in the thread of ``lock``, after all that was begun there before; empty: where no lock is needed."""
        mine = os.getpid(), lock
        while True:
            pool = self._pools.get(mine)
            if pool is None:  # several loops may ask at once
                pool = self._pools.setdefault(mine, ThreadPoolExecutor(1 if lock else LOOKING, "linkauth-file"))
            try:
                return pool.submit(step, *arguments)
            except RuntimeError:
                if self._pools.get(mine) is pool:  # the interpreter ends; else another loop has closed it just now
                    raise

    async def aclose(self) -> None:
        """Wait for what runs in this process's threads, and end them."""
        me = os.getpid()
        for mine in [mine for mine in self._pools if mine[0] == me]:
            pool = self._pools.pop(mine, None)
            if pool is not None:
                await asyncio.to_thread(pool.shutdown)
