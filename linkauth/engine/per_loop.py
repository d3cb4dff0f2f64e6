"""What each event loop of an engine has for itself, for whoever waits there is woken there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PerLoop"]

T = TypeVar("T")


class PerLoop:
    """One object for each key in each event loop; let go of with the loop."""

    __slots__ = ("_loops",)

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, object]] = WeakKeyDictionary()

    def get(self, key: str, kind: type[T], make: Callable[[], T]) -> T:
        """The running loop's object of ``kind`` under ``key``, which ``make`` makes where there is none."""
        objects = self._loops.setdefault(asyncio.get_running_loop(), {})
        found = objects.get(key)
        if not isinstance(found, kind):
            found = objects[key] = make()
        return found
