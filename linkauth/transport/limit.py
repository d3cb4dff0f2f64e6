"""How long one exchange may take, and from when that is counted."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Limit"]

LAST_LOOK: Final = 0.1
"""Seconds at the end of the limit, counted only while this process runs.

A process that was stopped, or starved, wakes past its limit with the answer perhaps in its socket's buffer; and an answer
that brings a new refresh token is lost with the session.
"""


class Limit:
    """Half of ``seconds`` for a connection, the wait for a free one included; then ``seconds`` for the answer.

    What is not sent within the half is not sent at all: whoever asks looks right before it whether he still may.
    """

    def __init__(self, seconds: float) -> None:
        self.connect = seconds / 2
        self.queued = False
        """It waits until one of the connections to its origin is free."""
        self.sent = False
        self.reused = False
        """The connection had carried an exchange before."""
        self.stale = False
        """It was closed from the other side before an answer came: that may have been for idleness, before it was used again."""
        self._answer = seconds

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Raises ``TimeoutError`` where either is over."""
        self._by = asyncio.get_running_loop().time() + self.connect
        async with asyncio.timeout(None) as self._timeout:
            self._wait(self.connect)
            try:
                yield
            finally:
                self._timer.cancel()

    def sending(self) -> None:
        """The headers are about to be handed to the connection: from here on the vendor may act on them."""
        if self._timeout.expired() or asyncio.get_running_loop().time() > self._by:
            raise TimeoutError
        self.sent = True
        self._timer.cancel()
        self._timeout.reschedule(None)
        self._wait(self._answer)

    def _wait(self, seconds: float) -> None:
        """As ``asyncio.timeout``, and look once more where the limit passed while nothing ran."""
        loop = asyncio.get_running_loop()
        look = min(LAST_LOOK, seconds / 2)
        self._timer = loop.call_later(seconds - look, lambda: self._timeout.reschedule(loop.time() + look))
