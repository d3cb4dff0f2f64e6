"""An event loop in which time is a number and a seed decides who runs next.

Each **node** (a worker's process, the store, the vendor, the director) has its own queue, first in first out as in
asyncio; among the nodes that have something to do the seed chooses. When nobody has, time jumps to the next timer. A
context variable says to which node a callback belongs, so a node can be killed (nothing of it runs again) or frozen
(nothing of it runs until it thaws) between any two steps.

It implements the few methods that asyncio's tasks, futures, ``sleep``, ``wait`` and ``timeout`` use, and leans on no
private field of asyncio.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context, ContextVar, copy_context
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from random import Random

WHO: ContextVar[Node] = ContextVar("WHO")


class Stuck(Exception):
    """Nothing is left to run, or it runs without end."""


class Handle:
    """A callback that waits for its turn."""

    __slots__ = ("_when", "args", "callback", "context", "dropped", "node")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, node: Node, when: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.node = node
        self.dropped = False
        self._when = when

    def cancel(self) -> None:
        self.dropped = True

    def cancelled(self) -> bool:
        return self.dropped

    def when(self) -> float:
        return self._when


class Node:
    """Something that runs by itself and can fail by itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.queue: deque[Handle] = deque()
        self.fuse: tuple[int, Callable[[], None]] | None = None
        """In so many steps of this node: do that."""
        self.context = Context()
        self.context.run(WHO.set, self)

    def __repr__(self) -> str:
        return self.name


def _who(context: Context) -> Node:
    """Whose a callback is: what is called in a context of no one's own is whose it is who asks for it."""
    return context.get(WHO) or WHO.get()


class SimLoop(asyncio.AbstractEventLoop):
    """See the module."""

    def __init__(self, rng: Random, limit: int) -> None:
        self.rng = rng
        self.now = 0.0
        self.steps = 0
        self._limit = limit
        self.finished = False
        self.complaints: list[str] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self._active: list[Node] = []
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0

    # -- what asyncio asks for ---------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        if context is None:
            context = copy_context()
        node = _who(context)
        handle = Handle(callback, args, context, node, 0.0)
        if node.alive and not self.finished:
            queue = node.queue
            if not queue and not node.frozen:
                self._active.append(node)
            queue.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        if context is None:
            context = copy_context()
        handle = Handle(callback, args, context, _who(context), when)
        self._count += 1
        if not self.finished:
            heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None, **_: Any) -> asyncio.Task[Any]:
        if context is not None and WHO not in context:  # the engine's flights start with an empty one
            context.run(WHO.set, WHO.get())
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks.append(task)  # so that the garbage collector does nothing in the middle of a schedule
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.finished

    def is_closed(self) -> bool:
        return self.finished

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.finished:
            self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    # -- nodes -------------------------------------------------------------------------------------------------------

    def spawn(self, node: Node, coro: Coroutine[Any, Any, Any], name: str = "") -> asyncio.Task[Any]:
        """Start a task on ``node``."""
        return self.create_task(coro, name=name or node.name, context=node.context.copy())

    def post(self, node: Node, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Have ``callback`` run on ``node`` in ``delay`` seconds."""
        when = self.now + delay
        self._count += 1
        if not self.finished:
            heappush(self._timers, (when, self._count, Handle(callback, args, node.context, node, when)))

    def kill(self, node: Node) -> None:
        """Nothing of ``node`` runs again."""
        node.alive = False
        node.queue.clear()
        if node in self._active:
            self._active.remove(node)

    def freeze(self, node: Node) -> None:
        """Nothing of ``node`` runs until it thaws; what is due meanwhile waits."""
        node.frozen = True
        if node in self._active:
            self._active.remove(node)

    def thaw(self, node: Node) -> None:
        node.frozen = False
        if node.alive and node.queue and node not in self._active:
            self._active.append(node)

    def postpone(self, node: Node, seconds: float) -> None:
        """All timers of ``node`` go off later: its machine slept, and its monotonic clock with it."""
        self._timers = [
            (when + seconds if handle.node is node else when, count, handle) for when, count, handle in self._timers
        ]
        heapify(self._timers)

    # -- running -----------------------------------------------------------------------------------------------------

    def run(self, main: asyncio.Future[Any]) -> None:
        """Run until ``main`` is done."""
        active, random, limit = self._active, self.rng.random, self._limit
        before = asyncio._get_running_loop()  # exported by asyncio for loops such as this one
        asyncio._set_running_loop(self)
        try:
            while not main.done():
                if active:
                    node = active[0] if len(active) == 1 else active[int(random() * len(active))]
                    queue = node.queue
                    handle = queue.popleft()
                    if not queue:
                        active.remove(node)
                elif (found := self._advance()) is not None:
                    handle, node = found, found.node
                else:
                    continue
                if handle.dropped:
                    continue
                self.steps += 1
                handle.context.run(handle.callback, *handle.args)
                if node.fuse is not None:
                    self._burn(node)
                if self.steps > limit:
                    raise Stuck(f"still running after {limit} steps")
                timers = self._timers
                if timers and timers[0][0] <= self.now:
                    self._due()
        finally:
            asyncio._set_running_loop(before)

    def _burn(self, node: Node) -> None:
        assert node.fuse is not None
        left, action = node.fuse
        if left > 0:
            node.fuse = (left - 1, action)
        else:
            node.fuse = None
            action()

    def _advance(self) -> Handle | None:
        """Nobody has anything to do: it becomes as late as the next timer says. That timer, if it is alone."""
        timers = self._timers
        while timers and timers[0][2].dropped:
            heappop(timers)
        if not timers:
            raise Stuck("nothing is left to run, and somebody still waits")
        when = timers[0][0]
        self.now = max(self.now, when)
        handle = timers[0][2]
        if handle.node.alive and not handle.node.frozen:
            heappop(timers)
            if not timers or timers[0][0] > self.now:
                return handle
            handle.node.queue.append(handle)
            self._active.append(handle.node)
        self._due()
        return None

    def _due(self) -> None:
        timers, now = self._timers, self.now
        while timers and timers[0][0] <= now:
            handle = heappop(timers)[2]
            node = handle.node
            if node.alive and not handle.dropped:
                if not node.queue and not node.frozen:
                    self._active.append(node)
                node.queue.append(handle)

    def finish(self) -> None:
        """Nothing runs any more; what tasks still do while they are thrown away goes nowhere."""
        for task in self.tasks:
            if not task.done():
                task._log_destroy_pending = False
        self.finished = True
        self._active.clear()
        self._timers.clear()
