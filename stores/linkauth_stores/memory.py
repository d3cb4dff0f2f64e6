"""A store in this process's memory: for one process, for tests, and to read how little a store is."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from linkauth.errors import ConfigurationError
from linkauth_stores.slot import Slot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from linkauth.errors import CorruptRecord
    from linkauth.store import Claim, Commit, Reading

__all__ = ["MemoryStore", "from_url"]

T = TypeVar("T")


def from_url(url: str) -> MemoryStore:
    """A new, empty store for ``memory:``. Raises ``ConfigurationError`` where anything follows the colon."""
    if url.partition(":")[2]:
        raise ConfigurationError("memory: takes nothing after its colon; each store is one of its own")
    return MemoryStore()


class MemoryStore:
    """Records in a dict, for any number of tasks, event loops and threads of one process.

    ``clock``: the store's time in Unix seconds; replace it in tests. A forked child goes on with a copy.
    """

    outlives_process = False
    """``linkauth.store.Lasting``."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._slots: dict[str, Slot] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._until_sweep = 0
        # Guards the three above. Held for the atomic step alone, never across an await.
        self._lock = threading.Lock()

    def _change(self, key: str, step: Callable[[Slot, float], tuple[Slot, T]], *, wake: bool = False) -> T:
        with self._lock:
            before = self._slots.get(key, Slot())
            after, answer = step(before, self._clock())
            if after is not before:
                self._slots[key] = after
                self._forget()
            waiters = self._waiters.pop(key, set()) if wake else set[asyncio.Future[None]]()
        for waiter in waiters:
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                waiter.get_loop().call_soon_threadsafe(waiter.set_result, None)
        return answer

    def _forget(self) -> None:
        """Drop what has lived past its ``ttl``, after as many changes as there are slots: cheap on the average."""
        self._until_sweep -= 1
        if self._until_sweep < 0:
            now = self._clock()
            self._slots = {key: slot for key, slot in self._slots.items() if not slot.forgettable(now)}
            self._until_sweep = max(100, len(self._slots))

    async def read(self, key: str) -> Reading:
        return self._change(key, lambda slot, now: (slot, slot.read(now)))

    async def read_many(self, keys: Sequence[str]) -> list[Reading | CorruptRecord]:
        """``linkauth.store.Batching``."""
        return [await self.read(key) for key in keys]

    async def exists(self) -> bool:
        """``linkauth.store.Existing``: one of its own is new with each process."""
        return bool(self._slots)

    async def claim(self, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Claim:
        return self._change(key, lambda slot, now: slot.claim(owner, ttl, newer_than, note, now))

    async def commit(self, key: str, number: int, value: bytes, ttl: float | None = None) -> Commit:
        return self._change(key, lambda slot, now: slot.commit(number, value, ttl, now), wake=True)

    async def extend(self, key: str, number: int, ttl: float) -> bool:
        return self._change(key, lambda slot, now: slot.extend(number, ttl, now))

    async def release(self, key: str, number: int, note: bytes = b"") -> bool:
        return self._change(key, lambda slot, now: slot.release(number, note, now), wake=True)

    async def wait_for_change(self, key: str, newer_than: int, timeout: float) -> None:
        waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            slot, now = self._slots.get(key, Slot()), self._clock()
            if slot.lease is None or not slot.quiet(newer_than, now):
                return
            timeout = min(timeout, slot.lease.until - now)
            self._waiters.setdefault(key, set()).add(waiter)
        try:
            await asyncio.wait([waiter], timeout=timeout)
        finally:
            with self._lock:
                waiters = self._waiters.get(key, set())
                waiters.discard(waiter)
                if not waiters:
                    self._waiters.pop(key, None)

    async def take(self, key: str) -> Reading:
        return self._change(key, lambda slot, now: slot.take(now))

    async def delete(self, key: str, number: int) -> bool:
        return self._change(key, lambda slot, now: slot.delete(number, now), wake=True)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        with self._lock:
            now = self._clock()
            found = [key for key, slot in self._slots.items() if key.startswith(prefix) and slot.record(now)]
        for key in found:
            yield key

    async def aclose(self) -> None:
        """Nothing to let go of; what is stored stays until the object goes."""
