"""What an app's own function gives, which may be a coroutine function or not."""

from __future__ import annotations

from inspect import isawaitable
from typing import Any

__all__ = ["awaited"]


async def awaited(given: object) -> Any:
    """``given``, or what it comes to: whatever the app's types say, so the caller looks."""
    return await given if isawaitable(given) else given
