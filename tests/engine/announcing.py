"""A store that announces its changes, and that can lose its data."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from linkauth.store import Change
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Telling(Store):
    """It announces them as Redis does."""

    def __init__(self) -> None:
        super().__init__()
        self.ears: set[asyncio.Queue[Any]] = set()
        self.deaf = False

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        if name != "commit":
            return method

        async def commit(key: str, number: int, value: bytes, ttl: float | None = None) -> Any:
            done = await method(key, number, value, ttl)
            self.tell(Change(key, number))
            return done

        return commit

    async def changes(self) -> AsyncIterator[Change | None]:
        if self.deaf:
            await asyncio.Event().wait()
        ear: asyncio.Queue[Any] = asyncio.Queue()
        self.ears.add(ear)
        try:
            yield None
            while (heard := await ear.get()) is not StopAsyncIteration:
                if isinstance(heard, Exception):
                    raise heard
                yield heard
        finally:
            self.ears.discard(ear)

    def tell(self, what: Any) -> None:
        for ear in self.ears:
            ear.put_nowait(what)

    def empty(self) -> None:
        self.inner = MemoryStore(clock=clock.wall)

    async def version(self, key: str) -> int:
        record = (await self.inner.read(key)).record
        return record.version if record else 0
