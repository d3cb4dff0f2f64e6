"""The one event loop of this process that runs in the background, in a thread of its own, for callers who have none.

It begins with the first call, again in a forked child, and ends with the process: after what is in the air has landed, and
before ``concurrent.futures`` shuts its executors. A store that reads files, and every look-up of a host's name, needs those;
``atexit`` handlers come after.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from weakref import WeakSet

from linkauth.errors import ConfigurationError, LinkAuthError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from linkauth.engine.engine import Engine

__all__ = ["BACKGROUND"]

T = TypeVar("T")

THREADS: Final = 4
"""For files and look-ups of names; started beforehand."""


class Background:
    """Runs coroutines in the background loop, and lands what is in the air when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._over: asyncio.Event | None = None
        self._engines: WeakSet[Engine] = WeakSet()
        self._ended = False

    def knows(self, engine: Engine) -> None:
        """``engine`` is to be closed when the process ends."""
        self._engines.add(engine)

    def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``call`` comes to. Interrupted (Ctrl-C), the caller is done with it at once; a flight lands all the same.

        Raises what it raises, ``LinkAuthError`` where the process ended before it was done, and ``ConfigurationError`` after that
        and within the background loop itself.
        """
        if threading.current_thread() is self._thread:
            raise ConfigurationError("linkauth.blocking: an on_event listener would wait for itself")
        with self._lock:
            loop = self._running()
            waited_for = asyncio.run_coroutine_threadsafe(call(), loop)
        try:
            return waited_for.result()
        except CancelledError:
            raise LinkAuthError("called off: the process is ending") from None
        finally:
            waited_for.cancel()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._ended:
            raise ConfigurationError("linkauth.blocking: the process is ending")
        if self._loop is None:
            began = threading.Event()
            self._thread = threading.Thread(target=self._live, args=[began], name="linkauth", daemon=True)
            self._thread.start()
            began.wait()
        return cast("asyncio.AbstractEventLoop", self._loop)

    def _live(self, began: threading.Event) -> None:
        """The thread: as ``asyncio.run``, which at its end starts a thread to end others. On Python 3.12 none can be started then."""
        loop = asyncio.new_event_loop()
        with ThreadPoolExecutor(THREADS, "linkauth") as executor:
            all_there = threading.Barrier(THREADS + 1)
            for _ in range(THREADS):
                executor.submit(all_there.wait)
            all_there.wait()
            loop.set_default_executor(executor)
            loop.run_until_complete(self._until_over(began))
        loop.close()

    async def _until_over(self, began: threading.Event) -> None:
        """What the loop runs. At the end it waits for flights of engines that are gone, too, and calls off who is left."""
        loop = self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        began.set()
        await self._over.wait()
        await asyncio.gather(*(engine.aclose() for engine in list(self._engines)), return_exceptions=True)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for each in rest:
            each.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await loop.shutdown_asyncgens()

    def end(self) -> None:
        """Land what is in the air, then end the loop."""
        with self._lock:
            self._ended = True
            loop, over, thread = self._loop, self._over, self._thread
        if loop is not None and over is not None and thread is not None:
            loop.call_soon_threadsafe(over.set)
            thread.join()

    def after_fork(self) -> None:
        """In a forked child: the loop, its thread and perhaps the lock are the parent's; its engines are used here, too."""
        self._lock = threading.Lock()
        self._loop = self._thread = self._over = None


BACKGROUND: Final = Background()

# The last to register is the first to be called: concurrent.futures has registered its own end, when its executor was imported above.
cast("Any", threading)._register_atexit(BACKGROUND.end)  # noqa: SLF001  # nothing public runs before that end
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BACKGROUND.after_fork)
