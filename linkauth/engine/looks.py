"""Looks at records that may be lost: at once, and at each at most twice a second, however often it is said.

Whoever may speak on the store's channel can say anything of any key. What is said is a reason to look, and no more.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.watch import Followed

__all__ = ["GAP", "Looks"]

log = logging.getLogger("linkauth")

GAP: Final = 0.5
"""Seconds between two looks at one record."""


class Looks:
    """One event loop's."""

    def __init__(self, look: Callable[[Followed], Awaitable[None]]) -> None:
        self._look = look
        self._again: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, held: Followed) -> None:
        """Have it looked at: now, or when half a second has passed since the last time."""
        if held.key in self._again:
            self._again[held.key] = True
            return
        self._again[held.key] = False
        work = self._go(held)
        task = asyncio.get_running_loop().create_task(work, name="linkauth look", context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go(self, held: Followed) -> None:
        try:
            while True:
                try:
                    await self._look(held)
                except Exception as error:  # noqa: BLE001  # a look that ended would not be missed until it mattered
                    log.warning("record %s could not be looked at (%s)", held.key, type(error).__name__)
                await asyncio.sleep(GAP)
                if not self._again[held.key]:
                    return
                self._again[held.key] = False
        finally:
            del self._again[held.key]

    async def aclose(self) -> None:
        """Look no more."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
