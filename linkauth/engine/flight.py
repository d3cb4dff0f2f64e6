"""One call in the air, everybody waits.

A flight is nobody's who waits for it: cancelling any or all of them changes nothing for anybody else. It ends with an
outcome, value or error, so there is nothing left to retrieve.

Nor is it the loop's. ``asyncio.run`` ends by cancelling every task that ``asyncio.all_tasks`` shows, and so does the usual
recipe for stopping a program; then it waits for them. So a flight shows a *guard* there, which takes the cancellations
and ends when the flight has landed, and the *work* is taken out of that list (``asyncio._unregister_task``, documented
under "Extending asyncio"). What is ``irreplaceable``, for its answer cannot be had again, is called off only while it is
``idle``; the rest at once.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from linkauth.errors import LinkAuthError
from linkauth.protocol import timing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["Flight", "Flights", "called_off", "out_of_sight"]

T = TypeVar("T")

_current: ContextVar[Flight[Any] | None] = ContextVar("linkauth_flight", default=None)


def out_of_sight(work: Coroutine[Any, Any, T], name: str, context: Context | None = None) -> asyncio.Task[T]:
    """A task that whoever cancels all tasks does not find. Somebody who is found must wait for it."""
    task = asyncio.get_running_loop().create_task(work, name=name, context=context)
    asyncio._unregister_task(task)  # noqa: SLF001  # documented for those who make tasks of their own
    return task


def called_off() -> bool:
    """In a handler of ``CancelledError``: whether this task itself was cancelled, and not only what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Flight(Generic[T]):
    """The work, its guard (``task``) and the outcome."""

    __slots__ = (
        "_below",
        "_context",
        "_cut",
        "_over",
        "_waiting",
        "_work",
        "began",
        "callers",
        "coming_down",
        "idle",
        "irreplaceable",
        "loop",
        "task",
        "waited_since",
    )

    def __init__(self, work: Coroutine[Any, Any, T], name: str, *, irreplaceable: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        """By its loop's clock, seconds."""
        self.callers = 0
        """How many have waited for it, as far as whoever lets them says so."""
        self.waited_since = self.began
        """When the first of them came."""
        self.irreplaceable = irreplaceable
        self.idle = False
        self.coming_down = False
        """Its loop, or the engine, is about to end: nothing is waited for that can be done another time."""
        self._cut = False
        self._over = False
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._below: set[asyncio.Task[None]] = set()
        self._work: asyncio.Task[tuple[T | None, Exception | None]] | None = None
        above = _current.get()
        # Contexts of their own: the first caller's context variables are not everybody's.
        self._context = Context()
        self.task = self.loop.create_task(self._guard(work, name), name=name, context=self._context)
        # Cancelled before its first step a task runs nothing of its coroutine: then nothing was begun.
        self.task.add_done_callback(lambda _: self._land() if self._work is None else None)
        self.task.add_done_callback(lambda _: work.close())
        if above is not None:
            self.coming_down = above.coming_down
            above._below.add(self.task)  # noqa: SLF001  # its own kind
            self.task.add_done_callback(above._below.discard)  # noqa: SLF001

    @property
    def landed(self) -> bool:
        """Whether there is an outcome, or can be none any more because the loop was closed under it."""
        return self._over or self.loop.is_closed()

    async def join(self, timeout: float | None = None, late: Callable[[], Exception] = TimeoutError) -> T:
        """Wait for the outcome, at most ``timeout`` seconds, or raise ``late()``. Being cancelled here harms nobody."""
        if not self._over:
            # A future of one's own, a timer, and no copy of the caller's context: ten thousand may wait.
            waiter: asyncio.Future[None] = self.loop.create_future()
            self._waiting[waiter] = None
            timer = None if timeout is None else self.loop.call_later(timeout, _wake, waiter, context=self._context)
            try:
                await waiter
            finally:
                self._waiting.pop(waiter, None)
                if timer is not None:
                    timer.cancel()
            if not self._over:
                raise late()
        return self.result()

    def result(self) -> T:
        """The outcome of a landed flight; errors come as fresh copies, one for each who asks."""
        if self._work is None or not self._work.done() or self._work.cancelled():
            raise LinkAuthError("called off: the engine or its event loop was closed")
        value, error = self._work.result()
        if error is None:
            return value  # type: ignore[return-value]  # _outcome returns one or the other
        raise error.again() if isinstance(error, LinkAuthError) else error

    def error(self) -> str:
        """The class of the error that a landed flight ended with; empty: it brought what it was to bring."""
        try:
            self.result()
        except Exception as error:  # noqa: BLE001  # whatever it is
            return type(error).__name__
        return ""

    def come_down(self, *, at_once: bool = False) -> None:
        """End as soon as nothing is lost by it. ``at_once``: what is not irreplaceable ends now."""
        self.coming_down = True
        cut = (
            at_once and not self.irreplaceable and not self._cut
        )  # once: what it does to end well is not cut off in turn
        self._cut = self._cut or at_once
        if self._work is not None and (self.idle or cut):
            self._work.cancel()

    async def _guard(self, work: Coroutine[Any, Any, T], name: str) -> None:
        context = Context()
        context.run(_current.set, self)
        self._work = out_of_sight(_outcome(work), f"{name}, at work", context)
        self._work.add_done_callback(lambda _: self._land())
        cancelled = False
        while waiting := self._unfinished(self._work):
            try:
                await asyncio.wait(waiting)
            except asyncio.CancelledError:
                cancelled = True
                self.come_down(at_once=True)
        if cancelled:
            raise asyncio.CancelledError

    def _unfinished(self, work: asyncio.Task[Any]) -> set[asyncio.Task[Any]]:
        """What whoever waits for the guard must wait for: where everything ends, what the work itself began too."""
        if not work.done():
            return {work}
        return set(self._below) if self.coming_down else set()

    def _land(self) -> None:
        self._over = True  # by the work's end, or by the guard's where there was no work
        for waiter in self._waiting:
            _wake(waiter)
        self._waiting.clear()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _outcome(work: Coroutine[Any, Any, T]) -> tuple[T | None, Exception | None]:
    try:
        return await work, None
    except Exception as error:  # noqa: BLE001  # whatever it is, every waiter is told
        # Without its traceback: frames hold tokens, and a thousand waiters would each add theirs.
        return None, error.with_traceback(None)


class Flights:
    """All that an engine has in the air, so that closing can wait for it."""

    __slots__ = ("_flights", "closing")

    def __init__(self) -> None:
        self._flights: set[Flight[Any]] = set()
        self.closing = False
        """Nothing takes off any more on anybody's behalf."""

    @property
    def ending(self) -> bool:
        """Whether the engine is closing, or the flight that asks is to come down as soon as it may."""
        flight = _current.get()
        return self.closing or (flight is not None and flight.coming_down)

    def start(self, work: Coroutine[Any, Any, T], name: str, *, irreplaceable: bool = False) -> Flight[T]:
        """Take off. ``irreplaceable``: what comes of it cannot be had again, so it is not called off but while ``idle``."""
        flight = Flight(work, name, irreplaceable=irreplaceable)
        self._flights.add(flight)
        flight.task.add_done_callback(lambda _: self._flights.discard(flight))
        return flight

    @contextmanager
    def idle(self) -> Generator[None]:
        """While this lasts the flight only waits for another worker: nothing is lost by calling it off."""
        flight = _current.get()
        if flight is None:
            yield
            return
        flight.idle = True
        if self.ending:
            flight.come_down()
        try:
            yield
        finally:
            flight.idle = False

    def come_down(self) -> None:
        """Call off who only waits in this loop; everything else may end well (``landed``)."""
        for flight in self._here():
            flight.come_down()

    async def landed(self) -> None:
        """Return when everything that this loop has in the air has landed, what takes off meanwhile included.

        And what cannot be had again and is in the air in loops that run in other threads.
        """
        while tasks := {flight.task for flight in self._here() if not flight.task.done()}:
            await asyncio.wait(tasks)
        while self._has_to_land_elsewhere():  # noqa: ASYNC110  # another thread's loop may stop, and then tells nobody
            await asyncio.sleep(timing.ELSEWHERE)

    def _here(self) -> list[Flight[Any]]:
        loop = asyncio.get_running_loop()
        return [flight for flight in tuple(self._flights) if flight.loop is loop]

    def _has_to_land_elsewhere(self) -> bool:
        loop = asyncio.get_running_loop()
        others = [flight for flight in tuple(self._flights) if flight.loop is not loop and flight.loop.is_running()]
        return any(flight.irreplaceable and not flight.idle and not flight.landed for flight in others)
