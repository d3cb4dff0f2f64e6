"""Puts back what a store lost.

A server that was restarted empty, or failed over to a replica that lagged, has lost records that workers still hold. A
worker that holds an older one cannot know: left alone it would spend a refresh token that was spent long ago, and end
the session for all. So a store that can lose data announces changes (``store.Announcing``), and whoever hears that the
store has something older than he holds commits what he holds, under its own number: the fence lets it stand only if
nobody has anything newer.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from linkauth.errors import LinkAuthError
from linkauth.store import Announcing

if TYPE_CHECKING:
    from linkauth.engine.ledger import Ledger
    from linkauth.engine.world import World
    from linkauth.store import TokenStore

__all__ = ["Watch"]

log = logging.getLogger("linkauth")

GAP: Final = 1.0
"""Seconds after which a broken watch is taken up again."""
SPREAD: Final = 0.5
"""Seconds over which workers spread when all of them hear at once that the store was away."""


class Watch:
    """Hears of changes on behalf of every credential whose refresh tokens are good for one use."""

    def __init__(self, store: TokenStore, world: World) -> None:
        self._store = store
        self._world = world
        self._ledgers: WeakValueDictionary[str, Ledger] = WeakValueDictionary()
        self._tasks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = WeakKeyDictionary()

    def follow(self, ledger: Ledger) -> None:
        """Put back what ``ledger`` holds, should the store lose it. Costs nothing where the store announces nothing."""
        if not isinstance(self._store, Announcing):
            return
        self._ledgers[ledger.key] = ledger
        loop = asyncio.get_running_loop()
        task = self._tasks.get(loop)
        if task is None or task.done():
            self._tasks[loop] = loop.create_task(self._run(self._store), name="linkauth watch")

    async def aclose(self) -> None:
        """Stop listening in this loop."""
        task = self._tasks.pop(asyncio.get_running_loop(), None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, store: Announcing) -> None:
        begun = False
        while True:
            try:
                async for change in store.changes():
                    if change is None:
                        if begun:  # at the very first there is nothing that could be lost
                            await self._look_through()
                        begun = True
                    elif (ledger := self._ledgers.get(change.key)) is not None and ledger.is_newer_than(change.version):
                        await self._put_back(ledger)
            except Exception as error:  # noqa: BLE001  # a watch that ended would not be missed until it mattered
                log.warning("the watch on the store broke (%s) and is taken up again", type(error).__name__)
            await asyncio.sleep(GAP)

    async def _look_through(self) -> None:
        ledgers = list(self._ledgers.values())
        for ledger in ledgers:
            ledger.beware()
        await asyncio.sleep(self._world.random.random() * SPREAD)
        for ledger in ledgers:
            await self._put_back(ledger)

    async def _put_back(self, ledger: Ledger) -> None:
        try:
            await ledger.put_back()
        except LinkAuthError as error:
            log.info("%s/%s: not put back: %s", ledger.vendor.name, ledger.account, error)
