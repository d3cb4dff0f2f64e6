"""Reads records that may be lost: at once, and each at most twice a second, however often somebody says that they are.

Whoever may speak on the store's channel can say anything of any key. What is said is a reason to look, and no more.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["GAP", "Throttle"]

log = logging.getLogger("linkauth")

GAP: Final = 0.5
"""Seconds between two looks at one record."""


class Throttle:
    """One event loop's."""

    def __init__(self) -> None:
        self._again: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def call(self, key: str, look: Callable[[], Awaitable[object]], gap: float = GAP) -> None:
        """Have ``look`` called: now, or when ``gap`` seconds have passed since the last one for this ``key`` ended."""
        if key in self._again:
            self._again[key] = True
            return
        self._again[key] = False
        task = asyncio.get_running_loop().create_task(
            self._go(key, look, gap), name="linkauth look", context=contextvars.Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go(self, key: str, look: Callable[[], Awaitable[object]], gap: float) -> None:
        try:
            while True:
                try:
                    await look()
                except Exception as error:  # noqa: BLE001  # a look that ended would not be missed until it mattered
                    log.warning("record %s could not be looked at (%s)", key, type(error).__name__)
                await asyncio.sleep(gap)
                if not self._again[key]:
                    return
                self._again[key] = False
        finally:
            del self._again[key]

    async def aclose(self) -> None:
        """Look no more."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
