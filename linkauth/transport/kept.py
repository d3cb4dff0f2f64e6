"""Connections that stay open from one exchange to the next, in each event loop.

Such a loop may end without a word to anybody (``asyncio.run`` once for each task of a job queue), and a process may fork:
nothing is left open in a loop that has ended, and no two processes speak over one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = ["Asked", "Connector", "Kept"]


class Connector(aiohttp.TCPConnector):
    """One that says nothing of what it has open where its loop was closed under it: that is closed with it."""

    def __del__(self, _warnings: Any = None) -> None:
        pass


class Asked(aiohttp.ClientRequest):
    """A request that does not go over a connection on which something came that nobody had asked for.

    It would be taken for this one's answer, and might be another credential's.
    """

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        """Raises ``ServerDisconnectedError`` instead; the connection is closed then."""
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError
        return await super().send(conn)


@attrs.define(eq=False)
class _Here:
    connector: Connector
    end: AsyncGenerator[None] | None = None


class Kept:
    """``make``: makes a connector in the running loop."""

    def __init__(self, make: Callable[[], Connector]) -> None:
        self._make = make
        self._all: dict[tuple[int, asyncio.AbstractEventLoop], _Here] = {}
        """By process and loop. A forked child keeps its parent's, for to close them would take the parent's sockets out of
        the selector that both share."""

    def connector(self) -> Connector:
        """This loop's."""
        pid, loop = os.getpid(), asyncio.get_running_loop()
        here = self._all.get((pid, loop))
        if here is None:
            for owner, old in list(self._all):  # other threads' loops come and go meanwhile
                if owner == pid and old.is_closed():
                    self._all.pop((owner, old), None)
            here = self._all[pid, loop] = _Here(self._make())
            here.end = self._until_the_end(here)
            with contextlib.suppress(StopIteration):
                here.end.__anext__().send(None)  # begun, which is when the loop comes to know it
        return here.connector

    async def aclose(self) -> None:
        """Close this loop's."""
        here = self._all.get((os.getpid(), asyncio.get_running_loop()))
        if here is not None and here.end is not None:
            await here.end.aclose()

    async def _until_the_end(self, here: _Here) -> AsyncGenerator[None]:
        """Closed by ``aclose``, or by a loop that ends (``loop.shutdown_asyncgens``), which tells nobody else."""
        try:
            yield
        finally:
            mine = os.getpid(), asyncio.get_running_loop()
            if self._all.get(mine) is here:
                del self._all[mine]
            await here.connector.close()
