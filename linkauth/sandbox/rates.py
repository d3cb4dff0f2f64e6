"""Rate limits: so many calls a minute by whatever key the vendor counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from linkauth.sandbox.clock import Clock

__all__ = ["RateLimit"]

WINDOW: Final = 60.0
MANY: Final = 10_000
"""Keys from which windows that are over are forgotten."""


class RateLimit:
    """Calls by key in windows of a minute, each beginning with its first call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def hit(self, key: str, limit: int | None) -> tuple[bool, dict[str, str]]:
        """Count one call. Whether it is allowed, and the ``X-RateLimit-*`` (and ``Retry-After``) headers to send.

        ``limit``: calls a minute; None: no limit and no headers.
        """
        if limit is None:
            return True, {}
        now = self._clock()
        begun, calls = self._windows.get(key, (now, 0))
        if now >= begun + WINDOW:
            begun, calls = now, 0
        self._windows[key] = (begun, calls + 1)
        if len(self._windows) > MANY:
            self._windows = {each: window for each, window in self._windows.items() if now < window[0] + WINDOW}
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - calls - 1)),
            "X-RateLimit-Reset": str(math.ceil(begun + WINDOW)),
        }
        if calls < limit:
            return True, headers
        return False, {**headers, "Retry-After": str(max(1, math.ceil(begun + WINDOW - now)))}
