"""How often an engine was entered and not left: it may be entered several times at once, from several loops and threads, and again later."""

from __future__ import annotations

import asyncio
import os

__all__ = ["Entries"]


class Entries:
    """Counts entries, for each event loop of this process.

    No lock: each loop changes its own count, and a loop that was closed in the middle is inside no more.
    """

    def __init__(self) -> None:
        self._inside: dict[asyncio.AbstractEventLoop, int] = {}
        self._pid = os.getpid()

    def enter(self) -> None:
        """One more is inside, in the running loop."""
        if self._pid != os.getpid():  # a forked child: those inside are its parent's
            self._inside, self._pid = {}, os.getpid()
        loop = asyncio.get_running_loop()
        self._inside[loop] = self._inside.get(loop, 0) + 1

    def leave(self) -> None:
        """One less. To leave more often than one has entered does no harm."""
        loop = asyncio.get_running_loop()
        left = self._inside.get(loop, 0) - 1
        if left > 0:
            self._inside[loop] = left
        else:
            self._inside.pop(loop, None)

    def clear(self) -> None:
        """Nobody is inside any more."""
        self._inside.clear()

    def here(self) -> bool:
        """Whether anybody is inside in the running loop."""
        return asyncio.get_running_loop() in self._inside

    def anywhere(self) -> bool:
        """Whether anybody is inside in any loop."""
        return any(not loop.is_closed() for loop in list(self._inside))  # other threads' come and go meanwhile
