"""Hearing of changes: one subscription per event loop, shared by everybody who waits.

Every script that changes a record or gives a lease back publishes the key on the store's one channel. ``Ears`` keeps the
latest announcements, so that a change between a claim and the wait that follows is not missed: ``serial`` counts
announcements, a claim notes it before it is sent, and a wait that finds a later announcement of its key returns at
once. A message lost in a reconnect is made up for by ``floor``: whoever counted from before the (re)subscription
looks again. The store polls slowly beneath all this.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
import random
from collections import deque
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    ConnectionError,  # noqa: A004  redis-py's own, no relative of the builtin
)
from redis.exceptions import TimeoutError as RedisTimeout

from linkauth.store import Change
from linkauth_stores.redis.words import reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["Ears", "cancellations"]

log = logging.getLogger("linkauth.stores.redis")

_REMEMBERED = 4096
"""Keys whose latest announcement is kept. Forgetting one costs its waiter a slow poll."""

_LONGEST_GAP = 1.0
"""Seconds between two tries to subscribe again, half as many more at the most. Short: whoever holds something newer than
what an old snapshot brought back must hear of the restart before somebody else acts on the old."""

_WAKE_GAP = 0.1
"""Seconds between two times that an announcement of one key is acted upon."""

_QUIET = 60.0
"""Seconds of silence after which the read is begun anew. The server sees nothing of it."""


class Ears:
    """The listening side of one store in one event loop."""

    def __init__(self, subscribe: Callable[[], Awaitable[Any]], channel: str, patience: float, where: str = "") -> None:
        self._subscribe = subscribe
        self._channel = channel
        self._patience = patience
        self._where = f"Redis at {where}" if where else "Redis"
        self._serial = 0
        self._floor = 0
        self._recent: dict[str, int] = {}
        self._woken: dict[str, tuple[int, float]] = {}
        self._since: dict[str, tuple[int, float]] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._settled = asyncio.Event()
        self._hurry = asyncio.Event()
        self._told = False
        self._task: asyncio.Task[None] | None = None
        self._up = False
        self._asked = False
        self._checking = asyncio.Lock()
        self._pubsub: Any = None
        self._closed = False
        self._listeners: dict[int, tuple[deque[Change | None], asyncio.Event]] = {}

    async def open(self) -> int | None:
        """Listen from now on. The serial to count from, None: not subscribed, not even after half of ``patience``."""
        if self._task is None or (
            self._task.done() and not self._closed
        ):  # at first; or it was cancelled, with all tasks of the loop
            # A context of its own: the first caller's context variables have no business in a task that stays.
            self._task = asyncio.get_running_loop().create_task(self._listen(), context=contextvars.Context())
        if self._floor and not self._up:  # lost: what else was lost with it must be known before anything is done
            self._settled.clear()
            self._hurry.set()
        if not self._settled.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience / 2):
                    await self._settled.wait()
        return self._serial if self._up else None

    def place(self) -> int | None:
        """What tells this subscription from the next: 0 where it is lost, None where there never was one."""
        if not self._floor:
            return None
        return self._floor if self._up and self._pubsub.connection.is_connected else 0

    def stands(self, place: int | None) -> bool:
        """Whether nothing was missed since ``place``: the subscription is the same, or nobody has ever had one."""
        return place is None or (place > 0 and place == self.place())

    async def check(self, *, moved: bool = False) -> None:
        """A connection broke, so the subscription may lead nowhere, too: return when it has answered, or is a new one.

        Where an address moved to another server, nobody hears of it who sends nothing. ``moved``: it did for certain.
        """
        floor = self._floor
        async with self._checking:  # one asks for all whose connections broke at once
            if self._up and floor == self._floor:
                await self._ask_again(0 if moved else self._patience / 4)
        await self.open()

    async def _ask_again(self, patience: float) -> None:
        connection = self._pubsub.connection
        self._settled.clear()
        self._asked = True
        try:
            async with asyncio.timeout(patience):
                await connection.send_command("SUBSCRIBE", self._channel)
                await self._settled.wait()
        except Exception:  # noqa: BLE001  whatever it is, this subscription is not to be relied on
            self._up = False
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self._patience / 4):
                    await connection.disconnect(nowait=True)
                    await self._settled.wait()  # who reads it has noticed, and begins anew
        finally:
            self._asked = False

    def busy(self, key: str, since: int | None, until: float) -> None:
        """A claim counted from ``since`` was answered Busy, until ``until`` by the loop's clock: its owner will wait."""
        if since is not None:
            self._since.setdefault(key, (since, until))
            _forget(self._since)

    def since(self, key: str) -> tuple[int, float] | None:
        """From which serial the wait for ``key`` counts, and its lease's end. None: nobody listened then, so look."""
        since = self._since.pop(key, None)
        return since if self._up else None

    def now(self) -> int:
        """The serial to count from, for who is about to look."""
        return self._serial

    async def wait(self, key: str, since: int, patience: float) -> bool:
        """True once ``key`` was announced after ``since`` (or may have been), False after ``patience`` seconds."""
        if since < self._floor:
            return True
        if self._recent.get(key, 0) > since:
            await self._pace(key)
            return True
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        try:
            async with asyncio.timeout(patience):
                await future
        except TimeoutError:
            return False
        finally:
            waiting = self._waiting.get(key, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(key, None)
        await self._pace(key)
        return True

    async def _pace(self, key: str) -> None:
        """Whoever may publish can wake who waits as often as he likes, and who is woken looks: at the next one, a while later."""
        clock = asyncio.get_running_loop().time
        serial, at = self._woken.get(key, (0, -math.inf))
        if self._recent.get(key, 0) == serial:  # others who waited are woken by this one, too
            return
        if at + _WAKE_GAP > clock():
            await asyncio.sleep(at + _WAKE_GAP - clock())
        self._woken[key] = self._recent.get(key, 0), clock()
        _forget(self._woken)

    async def changes(self) -> AsyncIterator[Change | None]:
        """What is announced from now on, None first: what was announced before is unknown."""
        await self.open()
        heard: deque[Change | None] = deque([None], maxlen=_REMEMBERED)
        self._listeners[id(heard)] = heard, (more := asyncio.Event())
        try:
            while not self._closed:
                while heard:
                    yield heard.popleft()
                more.clear()
                if not self._closed:
                    await more.wait()
        finally:
            del self._listeners[id(heard)]

    def _announce(self, change: Change | None) -> None:
        for heard, more in self._listeners.values():
            if len(heard) == heard.maxlen:  # one who does not keep up has missed something, and is told so
                heard.clear()
                heard.append(None)
            else:
                heard.append(change)
            more.set()

    async def aclose(self) -> None:
        """Stop listening, and wake who waits."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._look_again()

    async def _listen(self) -> None:
        gap = 0.05
        honour = cancellations()
        while True:
            pubsub = None
            self._hurry.clear()
            try:
                async with asyncio.timeout(self._patience):
                    pubsub = self._pubsub = await self._subscribe()
                    await pubsub.subscribe(self._channel)
                    while not self._up:
                        honour()
                        self._hear(await pubsub.get_message(timeout=self._patience))
                gap, self._told = 0.05, False
                while True:
                    honour()
                    self._hear(await pubsub.get_message(timeout=_QUIET))
            except Exception as error:  # noqa: BLE001  whatever a client raises, ears that went deaf would tell nobody
                self._tell(error)
            finally:
                self._up = False
                self._settled.set()
                if pubsub is not None:
                    with contextlib.suppress(Exception):
                        await pubsub.aclose()
            honour()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(gap * random.uniform(0.5, 1.5)):  # noqa: S311  spreads load
                    await self._hurry.wait()
            honour()
            gap = min(gap * 2, _LONGEST_GAP)

    def _tell(self, error: Exception) -> None:
        """Once for each outage. A server that was not there from the start is told of by whoever asks it."""
        if not self._told and (self._floor or not isinstance(error, (OSError, ConnectionError, RedisTimeout))):
            self._told = True
            why = reason(error, self._patience)
            log.warning("%s: no subscription (%s); waiters poll until there is", self._where, why)

    def _hear(self, message: dict[str, Any] | None) -> None:
        if message is None:
            return
        if message["type"] == "subscribe" and self._asked and self._up:
            self._settled.set()
        elif message["type"] == "subscribe":  # also after a reconnect of the client's own: what was said then is lost
            self._up = True
            self._settled.set()
            self._look_again()
        elif message["type"] == "message":
            version, _, key = message["data"].decode("ascii", "replace").partition(" ")
            self._serial += 1
            self._announce(Change(key, int(version) if version.isdigit() and len(version) <= 16 else 0))
            self._recent.pop(key, None)
            self._recent[key] = self._serial
            _forget(self._recent)
            self._wake(key)

    def _look_again(self) -> None:
        self._serial += 1
        self._floor = self._serial
        self._announce(None)
        for key in list(self._waiting):
            self._wake(key)

    def _wake(self, key: str) -> None:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(None)


def cancellations() -> Callable[[], None]:
    """A function that raises ``CancelledError`` where the task was cancelled since now and nothing came of it.

    redis-py sends by ``asyncio.wait_for``, and Python 3.11's returns a result that was there when the task was cancelled.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()

    def honour() -> None:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError

    return honour


def _forget(table: dict[str, Any]) -> None:
    while len(table) > _REMEMBERED:
        del table[next(iter(table))]
