"""Rate limits: so many calls in a window by whatever key the vendor counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from linkauth.sandbox.clock import Clock

__all__ = ["RateLimit"]

MINUTE: Final = 60.0
MANY: Final = 10_000
"""Keys from which windows that are over are forgotten."""


@attrs.define
class _Window:
    ends: float
    calls: int = 0


class RateLimit:
    """Calls by key, in windows that begin with their first call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def hit(self, key: str, limit: int | None, ends: float | None = None) -> tuple[bool, dict[str, str]]:
        """Count one call. Whether it is allowed, and the ``X-RateLimit-*`` (and ``Retry-After``) headers to send.

        ``limit``: calls in a window; None: no limit and no headers. ``ends``: when a window that begins now ends, Unix
        seconds; None: in a minute.
        """
        if limit is None:
            return True, {}
        now = self._clock()
        window = self._living(key)
        if window is None:
            window = self._windows[key] = _Window(now + MINUTE if ends is None else ends)
        window.calls += 1
        if len(self._windows) > MANY:
            self._windows = {each: window for each, window in self._windows.items() if now < window.ends}
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.calls)),
            "X-RateLimit-Reset": str(math.ceil(window.ends)),
        }
        if window.calls <= limit:
            return True, headers
        return False, {**headers, "Retry-After": str(max(1, math.ceil(window.ends - now)))}

    def calls(self, key: str) -> int:
        """Calls that were counted in the window that there is."""
        window = self._living(key)
        return 0 if window is None else window.calls

    def _living(self, key: str) -> _Window | None:
        window = self._windows.get(key)
        return None if window is None or self._clock() >= window.ends else window
