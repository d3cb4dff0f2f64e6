"""One call in the air, everybody waits.

A flight is a task of the engine, never of a caller. Callers wait for it without owning it: cancelling any or all of
them changes nothing for anybody else. It ends with an outcome, value or error, so there is nothing left to retrieve.
"""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from linkauth.errors import LinkAuthError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

__all__ = ["Flight", "Flights"]

T = TypeVar("T")


class Flight(Generic[T]):
    """A task and its outcome."""

    __slots__ = ("loop", "task")

    def __init__(self, work: Coroutine[Any, Any, T], name: str) -> None:
        self.loop = asyncio.get_running_loop()
        # A context of its own: the first caller's context variables are not everybody's.
        self.task = self.loop.create_task(_outcome(work), name=name, context=contextvars.Context())

    @property
    def landed(self) -> bool:
        """Whether there is an outcome, or can be none any more because the loop was closed under it."""
        return self.task.done() or self.loop.is_closed()

    async def join(self, timeout: float | None = None) -> T:
        """Wait for the outcome, at most ``timeout`` seconds (``TimeoutError``). Being cancelled here harms nobody."""
        done, _ = await asyncio.wait({self.task}, timeout=timeout)  # unlike ``await task`` it never cancels the task
        if not done:
            raise TimeoutError
        return self.result()

    def result(self) -> T:
        """The outcome of a landed flight; errors come as fresh copies, one for each who asks."""
        if self.task.cancelled():
            raise LinkAuthError("called off: the engine or its event loop was closed")
        value, error = self.task.result()
        if error is None:
            return value  # type: ignore[return-value]  # _outcome returns one or the other
        raise error.again() if isinstance(error, LinkAuthError) else error


async def _outcome(work: Coroutine[Any, Any, T]) -> tuple[T | None, Exception | None]:
    try:
        return await work, None
    except Exception as error:  # noqa: BLE001  # whatever it is, every waiter is told
        # Without its traceback: frames hold tokens, and a thousand waiters would each add theirs.
        return None, error.with_traceback(None)


class Flights:
    """All that an engine has in the air, so that closing can wait for it."""

    __slots__ = ("_flights", "_idle", "closing")

    def __init__(self) -> None:
        self._flights: set[Flight[Any]] = set()
        self._idle: set[asyncio.Task[Any]] = set()
        self.closing = False
        """Nothing takes off any more on anybody's behalf; what is in the air comes down as soon as it may."""

    def start(self, work: Coroutine[Any, Any, T], name: str) -> Flight[T]:
        """Take off."""
        flight = Flight(work, name)
        self._flights.add(flight)
        flight.task.add_done_callback(lambda _: self._flights.discard(flight))
        return flight

    @contextmanager
    def idle(self) -> Generator[None]:
        """While this lasts the flight only waits for another worker: nothing is lost by calling it off."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a flight is a task
        self._idle.add(task)
        try:
            yield
        finally:
            self._idle.discard(task)

    def close(self) -> None:
        """Call off who only waits; everything else may end well (``landed``)."""
        self.closing = True
        for task in self._idle:
            if task.get_loop() is asyncio.get_running_loop():
                task.cancel()

    async def landed(self) -> None:
        """Return when everything that this loop has in the air has landed, what takes off meanwhile included."""
        loop = asyncio.get_running_loop()
        while tasks := {
            flight.task for flight in tuple(self._flights) if flight.loop is loop and not flight.task.done()
        }:
            await asyncio.wait(tasks)
