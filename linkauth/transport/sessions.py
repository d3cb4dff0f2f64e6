"""One aiohttp session for all exchanges that are under way in an event loop, and none while there are none.

A loop may end without a word to anybody (``asyncio.run`` once for each task of a job queue), so no session is left open in
it for later. Connections that are (``kept.Kept``) do not belong to it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = ["Answer", "Sessions"]


@attrs.define(eq=False)
class _Shared:
    session: aiohttp.ClientSession
    users: int = 0


class Sessions:
    """``make``: makes a session in the running loop."""

    def __init__(self, make: Callable[[], aiohttp.ClientSession]) -> None:
        self._make = make
        self._shared: dict[asyncio.AbstractEventLoop, _Shared] = {}

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """This loop's session. It is closed with the last exchange that uses it."""
        loop = asyncio.get_running_loop()
        shared = self._shared.get(loop)
        if shared is None:
            self._forget_dead_loops()
            shared = self._shared[loop] = _Shared(self._make())
        shared.users += 1
        try:
            yield shared.session
        finally:
            shared.users -= 1
            if not shared.users and self._shared.pop(loop, None) is not None and not loop.is_closed():
                await shared.session.close()

    def _forget_dead_loops(self) -> None:
        """Those that were closed in the middle of an exchange: what they had open cannot be closed properly any more."""
        for loop in list(self._shared):  # other threads' loops come and go meanwhile
            if loop.is_closed() and (left := self._shared.pop(loop, None)) is not None:
                left.session.detach()


class Answer(aiohttp.ClientResponse):
    """A response whose request is written to its end, whoever cancels all tasks of the loop.

    Where the body is not written at once aiohttp makes a task for it. Cancelled, that would leave a request without its
    body, and nobody would answer it.
    """

    def __init__(self, *args: Any, writer: asyncio.Task[None] | None, **kwargs: Any) -> None:
        if writer is not None:
            asyncio._unregister_task(writer)  # noqa: SLF001  # documented for those who make tasks of their own
        super().__init__(*args, writer=writer, **kwargs)
