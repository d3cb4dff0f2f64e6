"""Puts back what a store lost.

A server that was restarted empty, or failed over to a replica that lagged, has lost records that workers still hold. A
worker that holds an older one cannot know: left alone it would spend a refresh token that was spent long ago, and end
the session for all. So a store that can lose data announces changes (``store.Announcing``), and whoever hears that the
store may have lost some commits what he holds, under its own number: the fence lets it stand only if nobody has
anything newer. What was written last comes first, and many at once, for that is what is asked for next.

The others give him three seconds. Who needs longer says until when, in one record that all share (``RepairRecord``), again
each second until he is done; whoever is about to spend a token so soon after a loss reads it first (``suspicion``).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from linkauth.engine.replica import Replica
from linkauth.engine.throttle import Throttle
from linkauth.errors import LinkAuthError, StoreError, StoreUnavailable
from linkauth.protocol import timing
from linkauth.protocol.keys import repair_key
from linkauth.protocol.records import RepairRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linkauth.engine.context import EngineContext
    from linkauth.store import Announcing, Restarting

__all__ = ["ReadRepair"]

log = logging.getLogger("linkauth")


class ReadRepair:
    """Hears of changes to what cannot be had again without a human: users' sessions, rotated client secrets."""

    def __init__(self, context: EngineContext) -> None:
        # Not isinstance: Python 3.11 takes as long for that, with a protocol, as for the rest of making an engine.
        store = context.store_client.store
        self._store = cast("Announcing", store) if hasattr(store, "changes") else None
        self._context = context
        self._clock = context.clock
        self._random = context.world.random
        self._outages = context.outages
        self._notice = Replica(context, repair_key())
        self._heard_at: float | None = None
        """When a loss was heard of; None: none was, or all is put back that ever will be."""
        self._until = -math.inf
        """Until then it is known without asking that somebody may put something back."""
        self._followed: WeakValueDictionary[str, Replica] = WeakValueDictionary()
        self._tasks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = WeakKeyDictionary()
        self._heard: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Event] = WeakKeyDictionary()
        self._hearing: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._throttles: WeakKeyDictionary[asyncio.AbstractEventLoop, Throttle] = WeakKeyDictionary()

    @property
    def announces(self) -> bool:
        """Whether the store tells of changes."""
        return self._store is not None

    def hears(self) -> bool:
        """Whether this loop hears of every change, since the last ``Replica.missed`` at the latest."""
        return asyncio.get_running_loop() in self._hearing

    async def follow(self, held: Replica) -> None:
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

    async def aclose(self) -> None:
        """Stop listening in this loop."""
        task = self._tasks.pop(asyncio.get_running_loop(), None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    # -- suspicion -------------------------------------------------------------------------------------------------

    @property
    def suspects(self) -> bool:
        """Whether the store may have lost data, and others may still put it back, as far as is known."""
        return self._heard_at is not None

    def beware(self) -> None:
        """The store was away and answers again: it may have lost data, that which this worker has never seen included.

        To be told at once. The listening begins again by itself, but perhaps a second later, when a refresh token that
        an old record brought back is spent already, or a user sent for whose session others hold.
        """
        if self._store is not None:  # else nobody hears of a loss, and nobody puts anything back
            self._suspect()

    def found_loss(self) -> None:
        """The store has less than this worker holds. Nobody may have told: everything else may be lost, too."""
        if not self.suspects:
            self._suspect()
            throttle = self._throttles.get(asyncio.get_running_loop())
            if throttle is not None:
                throttle.call("", self._put_all_back, gap=0.0)

    def _suspect(self) -> None:
        self._heard_at = self._clock.monotonic()
        self._until = self._heard_at + timing.GRACE

    async def suspicion(self, *, anew: bool = False) -> float:
        """Seconds for which others may still put back what the store has lost; 0: nothing is suspected any more.

        ``anew``: this worker was cut off meanwhile. Raises ``StoreUnavailable``, for the store is asked where the time is
        over that all are given.
        """
        if anew and self.suspects:
            self._suspect()
        while (heard_at := self._heard_at) is not None:
            if (left := self._until - self._clock.monotonic()) > 0:
                return left
            reading, _ = await self._notice.read()
            if self._heard_at != heard_at:
                continue  # another loss was heard of
            now = self._clock.monotonic()
            said = 0.0 if reading.record is None else reading.record.version / 1000 - reading.now
            self._until = min(now + said, heard_at + timing.REPAIR_LONGEST)
            if self._until <= now:
                self._heard_at = None
        return 0.0

    # -- hearing ---------------------------------------------------------------------------------------------------

    async def _run(self, store: Announcing, heard: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        throttle = self._throttles[loop] = Throttle()
        try:
            await self._listen(store, heard, throttle)
        finally:
            self._throttles.pop(loop, None)
            await throttle.aclose()

    async def _listen(self, store: Announcing, heard: asyncio.Event, throttle: Throttle) -> None:
        begun, loop, broke = self._clock.monotonic(), asyncio.get_running_loop(), False
        while True:
            try:
                async for change in store.changes():
                    if change is None:
                        self._hearing.add(loop)
                        for each in tuple(self._followed.values()):
                            each.missed()
                        # Whoever waited for the first time and went on without it may have missed a loss since he read.
                        if heard.is_set() or self._clock.monotonic() - begun >= timing.LISTEN or await self._is_young():
                            self.beware()
                        heard.set()
                        broke = False
                        throttle.call("", self._put_all_back, gap=0.0)
                    elif (held := self._followed.get(change.key)) is not None:
                        held.announced(change.version)
                        if held.is_newer_than(change.version):
                            throttle.call(held.key, partial(self._put_back, (held,)))
            except Exception as error:  # noqa: BLE001  # a watch that ended would not be missed until it mattered
                level = logging.DEBUG if broke or self._outages.store else logging.WARNING
                log.log(level, "the watch on the store broke (%s) and is taken up again", type(error).__name__)
                broke = True
            finally:
                self._hearing.discard(loop)
            # A server that has lost data may answer sooner than it is listened to, on connections that notice nothing.
            if heard.is_set():
                self.beware()
            await asyncio.sleep(timing.LISTEN_AGAIN)

    async def _is_young(self) -> bool:
        """Whether the server was started so lately that whoever begins to listen now may have missed a loss."""
        if not hasattr(self._context.store_client.store, "uptime"):
            return False
        store = cast("Restarting", self._context.store_client.store)
        try:
            return await self._context.store_client.do(store.uptime()) < timing.YOUNG
        except StoreError:
            return False  # it will be told that the store is back

    # -- putting back ----------------------------------------------------------------------------------------------

    async def _put_all_back(self) -> None:
        """Everything that is held, what was written last first."""
        end = self._clock.monotonic() + timing.REPAIR_LONGEST
        everything = (each() for each in self._followed.valuerefs())
        held = [each for each in everything if each is not None and each.is_newer_than(0)]
        held.sort(key=lambda each: each.written_at, reverse=True)
        if not held:
            return
        lost, count = self._outages.records_lost, len(held)
        saying = asyncio.create_task(self._say_so(end))
        try:
            if self.suspects:  # all have heard of it at the same moment
                await asyncio.sleep(self._random.random() * timing.LOSS_SPREAD)
            while held := await self._put_back(held):
                if self._clock.monotonic() >= end:
                    break
                await asyncio.sleep(timing.LISTEN_AGAIN)  # a store that is away tells nobody
        finally:
            saying.cancel()
            await asyncio.wait({saying})
        if (lost := self._outages.records_lost - lost) > 1:
            log.warning("the store had lost %d of the %d records that are held here; they are put back", lost, count)

    async def _put_back(self, held: Sequence[Replica]) -> list[Replica]:
        """As many at once as there may be. Returns those for which the store did not answer."""
        rest = iter(held)
        left: list[Replica] = []

        async def work() -> None:
            for each in rest:
                try:
                    await each.put_back()
                except StoreUnavailable as error:
                    self._outages.store.hold_up("records not put back at once", each.key)
                    log.debug("record %s is not put back yet: %s", each.key, error)
                    left.append(each)
                except LinkAuthError as error:
                    log.info("record %s is not put back: %s", each.key, error)
                except Exception as error:  # noqa: BLE001  # the others are put back all the same
                    log.warning("record %s is not put back (%s)", each.key, type(error).__name__)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(timing.REPAIR_AT_ONCE, len(held))):
                group.create_task(work())
        return left

    async def _say_so(self, end: float) -> None:
        """Say each second that somebody puts back, until cancelled, or until ``end`` (monotonic)."""
        while self._clock.monotonic() + timing.REPAIR_ALONE < end:
            await asyncio.sleep(timing.REPAIR_ALONE)
            until = self._clock.store_now() + timing.REPAIR_NOTICE
            with contextlib.suppress(StoreError):
                await self._notice.commit(int(until * 1000), RepairRecord(until=until), timing.REPAIR_KEPT)
