"""A lease that is kept alive while its holder works."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from linkauth.errors import StoreError

if TYPE_CHECKING:
    from types import TracebackType

    from linkauth.engine.shelf import Shelf
    from linkauth.engine.world import StoreTime, World

__all__ = ["Lease"]


class Lease:
    """A granted lease. As a context manager it is extended every third of its time.

    ``held()`` is asked right before anything is sent: a worker that was stopped for longer than its lease must not
    spend a token that its successor is spending.
    """

    __slots__ = ("_deadline", "_keeper", "_lost", "_shelf", "_ttl", "_world", "key", "number")

    def __init__(self, shelf: Shelf, world: World, key: str, number: int, ttl: float, granted: StoreTime) -> None:
        self.key = key
        self.number = number
        self._shelf = shelf
        self._world = world
        self._ttl = ttl
        self._deadline = granted.before + ttl
        self._lost = False
        self._keeper: asyncio.Task[None] | None = None

    async def held(self) -> bool:
        """Whether the lease is still this worker's; asks the store only where its time is up."""
        if not self._lost and self._world.monotonic() >= self._deadline:
            await self._extend()
        return not self._lost and self._world.monotonic() < self._deadline

    async def release(self, note: bytes = b"") -> None:
        """Give it back and leave ``note``. A store that does not answer will end it in time."""
        await self._shelf.quietly(self._shelf.store.release(self.key, self.number, note))

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name=f"linkauth lease {self.key}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})

    async def _keep(self) -> None:
        while not self._lost:
            await asyncio.sleep(self._ttl / 3)
            await self._extend()

    async def _extend(self) -> None:
        before = self._world.monotonic()
        try:
            kept = await self._shelf.do(self._shelf.store.extend(self.key, self.number, self._ttl))
        except StoreError:
            return  # it may come back before the lease ends
        if kept:
            self._deadline = before + self._ttl
        else:
            self._lost = True
