"""Puts back what a store lost.

A server that was restarted empty, or failed over to a replica that lagged, has lost records that workers still hold. A
worker that holds an older one cannot know: left alone it would spend a refresh token that was spent long ago, and end
the session for all. So a store that can lose data announces changes (``store.Announcing``), and whoever hears that the
store has something older than he holds commits what he holds, under its own number: the fence lets it stand only if
nobody has anything newer.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
from typing import TYPE_CHECKING, Protocol, cast
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from linkauth.engine.looks import Looks
from linkauth.errors import LinkAuthError
from linkauth.protocol import timing

if TYPE_CHECKING:
    from linkauth.engine.world import World
    from linkauth.store import Announcing, TokenStore

__all__ = ["Followed", "Watch"]

log = logging.getLogger("linkauth")


class Followed(Protocol):
    """Something that this worker holds and that the store must not lose."""

    @property
    def key(self) -> str:
        """The record's key."""
        ...

    def is_newer_than(self, version: int) -> bool:
        """Whether a store that has ``version`` has lost what is held."""
        ...

    async def put_back(self) -> None:
        """Commit what is held under its own number, should the store have lost it. Raises ``LinkAuthError``."""
        ...

    def announced(self, version: int) -> None:
        """The store has ``version`` now."""
        ...

    def missed(self) -> None:
        """The store may have another version: what was announced in the meantime is not known."""
        ...


class Watch:
    """Hears of changes to what cannot be had again without a human: users' sessions, rotated client secrets."""

    def __init__(self, store: TokenStore, world: World) -> None:
        # Not isinstance: Python 3.11 takes as long for that, with a protocol, as for the rest of making an engine.
        self._store = cast("Announcing", store) if hasattr(store, "changes") else None
        self._world = world
        self._unsettled_until = -math.inf
        self._followed: WeakValueDictionary[str, Followed] = WeakValueDictionary()
        self._tasks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = WeakKeyDictionary()
        self._heard: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Event] = WeakKeyDictionary()
        self._hearing: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    @property
    def announces(self) -> bool:
        """Whether the store tells of changes."""
        return self._store is not None

    def hears(self) -> bool:
        """Whether this loop hears of every change, since the last ``Followed.missed`` at the latest."""
        return asyncio.get_running_loop() in self._hearing

    async def follow(self, held: Followed) -> None:
        """Put back what is ``held``, should the store lose it. Costs nothing where the store announces nothing.

        To be called before the store is read, and returns when it is listened to (or after ``timing.LISTEN`` seconds): what was
        read before that, and lost, would be missed, or looked for in vain.
        """
        if self._store is None:
            return
        self._followed[held.key] = held
        loop = asyncio.get_running_loop()
        task = self._tasks.get(loop)
        if task is None or task.done():
            self._heard[loop] = asyncio.Event()
            work = self._run(self._store, self._heard[loop])
            self._tasks[loop] = loop.create_task(work, name="linkauth watch", context=contextvars.Context())
        heard = self._heard[loop]
        if not heard.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timing.LISTEN):
                    await heard.wait()

    def unsettled(self) -> float:
        """Seconds for which others may still put back what the store has lost, whatever it was."""
        return max(self._unsettled_until - self._world.monotonic(), 0.0)

    def beware(self) -> None:
        """The store was away and answers again: it may have lost data, that which this worker has never seen included.

        To be told at once. The listening begins again by itself, but perhaps a second later, when a refresh token that
        an old record brought back is spent already, or a user sent for whose session others hold.
        """
        if self._store is not None:  # else nobody hears of a loss, and nobody puts anything back
            self._unsettled_until = self._world.monotonic() + timing.GRACE

    async def aclose(self) -> None:
        """Stop listening in this loop."""
        task = self._tasks.pop(asyncio.get_running_loop(), None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, store: Announcing, heard: asyncio.Event) -> None:
        looks = Looks(self._put_back)
        try:
            await self._listen(store, heard, looks)
        finally:
            await looks.aclose()

    async def _listen(self, store: Announcing, heard: asyncio.Event, looks: Looks) -> None:
        begun, loop = self._world.monotonic(), asyncio.get_running_loop()
        while True:
            try:
                async for change in store.changes():
                    if change is None:
                        self._hearing.add(loop)
                        for each in tuple(self._followed.values()):
                            each.missed()
                        # Whoever waited for the first time and went on without it may have missed a loss since he read.
                        missed = heard.is_set() or self._world.monotonic() - begun >= timing.LISTEN
                        heard.set()
                        await self._look_through(missed=missed)
                    elif (held := self._followed.get(change.key)) is not None:
                        held.announced(change.version)
                        if held.is_newer_than(change.version):
                            looks.ask(held)
            except Exception as error:  # noqa: BLE001  # a watch that ended would not be missed until it mattered
                log.warning("the watch on the store broke (%s) and is taken up again", type(error).__name__)
            finally:
                self._hearing.discard(loop)
            await asyncio.sleep(timing.LISTEN_AGAIN)

    async def _look_through(self, *, missed: bool) -> None:
        followed = [held for held in self._followed.values() if held.is_newer_than(0)]
        # Whoever begins to listen in a loop has missed no more than a process that begins: only that what he holds himself
        # may be newer than what the store has.
        if missed:
            self.beware()
            await asyncio.sleep(self._world.random.random() * timing.LOSS_SPREAD)
        for held in followed:
            await self._put_back(held)

    async def _put_back(self, held: Followed) -> None:
        try:
            await held.put_back()
        except LinkAuthError as error:
            log.info("record %s is not put back: %s", held.key, error)
