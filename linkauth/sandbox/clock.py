"""The sandbox's clock: real time, which a test may put forward instead of sleeping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """Unix time in seconds. ``source``: where it comes from; ``advance`` puts it forward from then on."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self.ahead = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return self._source() + self.ahead

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once: tokens expire, rate limits start anew."""
        self.ahead += seconds
