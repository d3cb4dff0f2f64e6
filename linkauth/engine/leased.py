"""One record in the store, of whatever kind, as this worker reads, claims, waits for and writes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from linkauth.engine.lease import Lease
from linkauth.protocol import timing
from linkauth.protocol.records import StoredRecord
from linkauth.store import Busy, Newer

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import Claim, Commit, Granted, Reading, Record

__all__ = ["Leased"]

R = TypeVar("R", bound=StoredRecord)


class Leased:
    """The record under ``key``. Everything that asks the store raises ``StoreError``."""

    def __init__(self, context: EngineContext, key: str, ttl: float = timing.STORE_CALL) -> None:
        """``ttl``: seconds that a lease on it lasts."""
        self.context = context
        self.ttl = ttl
        self._key = key

    @property
    def key(self) -> str:
        """The record's key."""
        return self._key

    async def read(self) -> tuple[Reading, StoreTime]:
        """The record as it is now."""
        store_client = self.context.store_client
        return await store_client.ask(store_client.store.read(self.key))

    async def claim(self, note: bytes = b"", newer_than: int = 0, owner: str | None = None) -> tuple[Claim, StoreTime]:
        """Ask for the lease, once. ``owner``: whoever asked before, to be answered as before; None: somebody new."""
        store_client = self.context.store_client
        owner = owner or self.context.owner()
        return await store_client.ask(store_client.store.claim(self.key, owner, self.ttl, newer_than, note))

    async def acquire(
        self, known: int, *, passing: bool = False, until: float = math.inf, idle: bool = True
    ) -> tuple[Claim, StoreTime]:
        """Ask for the lease until it is granted; whoever has it is waited for, and at ``until`` (monotonic) it is ``Busy``.

        A record that is newer than ``known`` comes back as ``Newer``, or is passed by: then the lease is had whatever there is.
        ``idle``: closing may call off the waiting.
        """
        while True:
            claim, time = await self.claim(b"", known)
            left = until - self.context.world.monotonic()
            if isinstance(claim, Busy) and left > 0:
                await self.wait(min(claim.remaining, left), known, idle=idle)
            elif isinstance(claim, Newer) and passing:
                known = claim.record.version
            else:
                return claim, time

    async def wait(self, seconds: float, newer_than: int, *, idle: bool = True) -> None:
        """Wait for another worker: until the record or the lease changes, at most ``seconds``."""
        store_client = self.context.store_client
        change = store_client.store.wait_for_change(self.key, newer_than, seconds)
        if not idle:
            await store_client.do(change, extra=seconds)
            return
        with self.context.flights.idle():
            await store_client.do(change, extra=seconds)

    def lease(self, claim: Granted, time: StoreTime, note: bytes = b"", owner: str | None = None) -> Lease:
        """A granted claim as something that can be kept and given back. ``note``, ``owner``: what it was claimed with."""
        del note, owner  # what was lost with the store's data is not taken again: whoever worked begins anew
        return Lease(self.context.store_client, self.context.world, self.key, claim.number, self.ttl, time)

    async def put(self, number: int, value: bytes, lasts: float | None = None) -> tuple[Commit, StoreTime]:
        """Commit ``value``. ``lasts``: seconds after which the store may forget it; None: never."""
        store_client = self.context.store_client
        return await store_client.ask(store_client.store.commit(self.key, number, value, lasts))

    async def commit(self, number: int, record: StoredRecord, lasts: float | None = None) -> tuple[Commit, StoreTime]:
        """As ``put``, of a record that is yet to be closed."""
        return await self.put(number, self.context.codec.close(self.key, number, record), lasts)

    async def release(self, number: int, note: bytes = b"") -> None:
        """Give a lease back and leave ``note``. A store that does not answer will end it in time."""
        store_client = self.context.store_client
        await store_client.quietly(store_client.store.release(self.key, number, note))

    async def take(self) -> Reading:
        """Read and delete in one step: of any number of callers one gets the record."""
        store_client = self.context.store_client
        return (await store_client.ask(store_client.store.take(self.key)))[0]

    async def delete(self, number: int) -> bool:
        """Delete the record, unless what stands there was written under ``number`` or later: then False."""
        store_client = self.context.store_client
        return await store_client.do(store_client.store.delete(self.key, number))

    def open(self, record: Record, kind: type[R]) -> R:
        """What ``record`` holds. Raises ``CorruptRecord``."""
        return self.context.codec.expect(self.key, record, kind)
