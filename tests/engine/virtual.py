"""An event loop whose time passes only when there is nothing else to do, so that a minute's wait costs nothing."""

from __future__ import annotations

import asyncio
import functools
import logging
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

EPOCH = 1_800_000_000.0
"""What the wall shows (Unix seconds) when a virtual loop begins."""


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:  # nobody waits for time to pass: something real is awaited
            return super().select(5.0)
        found = super().select(0)
        if not found and timeout > 0:
            self.loop.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock jumps to the next timer whenever nothing is ready. No threads and no sockets, please."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def monotonic() -> float:
    """The running loop's clock, seconds."""
    return asyncio.get_running_loop().time()


def wall() -> float:
    """Unix seconds that run with the running loop's clock."""
    return EPOCH + monotonic() - 1000.0


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a ``VirtualLoop``. It fails where asyncio finds something to complain about."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        complaints: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("asyncio").addHandler(handler)
        try:
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                runner.run(test(*args, **kwargs))
        finally:
            logging.getLogger("asyncio").removeHandler(handler)
        assert complaints == []

    return run
