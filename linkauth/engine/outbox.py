"""An answer that has arrived is never lost: it is committed, or kept and committed later.

Where the store will not take an answer, it is kept in memory (and in escrow, where there is one), served, and offered
again and again until the store has it or somebody who claimed later has written. Until then nothing of that
credential is spent again: not here, and not elsewhere as long as the store lets the lease be extended under which it came.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from linkauth.engine.escrow import Kept, tried
from linkauth.errors import StoreError
from linkauth.protocol import timing
from linkauth.protocol.timing import backoff

if TYPE_CHECKING:
    from linkauth.engine.escrow import Escrow
    from linkauth.engine.flight import Flights
    from linkauth.engine.store_client import StoreClient
    from linkauth.engine.world import World
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import Committed, Superseded

__all__ = ["Outbox"]

log = logging.getLogger("linkauth")


class Outbox:
    """Commits values under one key, and keeps what could not be committed."""

    __slots__ = ("_escrow", "_flights", "_store_client", "_ttl", "_world", "kept", "key")

    def __init__(
        self, key: str, store_client: StoreClient, world: World, flights: Flights, escrow: Escrow | None, ttl: float
    ) -> None:
        """``ttl``: seconds that a lease on ``key`` lasts."""
        self.key = key
        self._store_client = store_client
        self._world = world
        self._flights = flights
        self._escrow = escrow
        self._ttl = ttl
        self.kept: Kept | None = None
        """What the store has yet to take."""

    async def commit(self, number: int, value: bytes) -> tuple[Committed | Superseded, StoreTime]:
        """Commit ``value``. Raises ``StoreError`` where the store will not take it; then ``kept`` holds it."""
        return await self._offer(await self.keep(number, value))

    async def keep(self, number: int, value: bytes) -> Kept:
        """Hold on to ``value``, in escrow too, until the store has it."""
        kept = Kept(self.key, number, value)
        if self.kept is None or self.kept.number <= number:  # else a later login is kept, and takes its place
            self.kept = kept
        if self._escrow is not None:
            await tried(self._escrow.put(kept))
        return kept

    async def insist(self, number: int | None = None) -> tuple[Committed | Superseded, StoreTime] | None:
        """Offer what is kept until the store takes it. None: closing, and it did not; or something newer is kept.

        The first offer is made at once.
        """
        tries, extend_at = 0, -math.inf
        kept = self.kept if self.kept is None or number in {None, self.kept.number} else None
        while kept is not None and self.kept is kept:
            try:
                return await self._offer(kept)
            except StoreError:
                if self._flights.ending:
                    return None
                gap = min(backoff(tries, timing.OFFER_FIRST, self._world.random.random()), timing.OFFER_LONGEST)
            if self._world.monotonic() >= extend_at:
                mine = await self._extend(kept)
                extend_at = self._world.monotonic() + self._ttl / timing.LEASE_PART if mine else math.inf
            await asyncio.sleep(gap)
            tries += 1
        return None

    async def _extend(self, kept: Kept) -> bool:
        """Whether the lease under which ``kept`` came may still be this worker's. Not while it is offered, which ends it."""
        try:
            async with asyncio.timeout(timing.OFFER_LONGEST):  # the next offer is not to wait for a store that hangs
                return await self._store_client.do(self._store_client.store.extend(kept.key, kept.number, self._ttl))
        except (StoreError, TimeoutError):
            return True

    def go_on(self, left: str) -> None:
        """Offer what is kept until the store takes it, while nobody waits for that. ``left``: what is said if it never does."""
        self._flights.start(self._go_on(left), f"linkauth saving {self.key}", precious=True)

    async def _go_on(self, left: str) -> None:
        if await self.insist() is None:
            log.error("%s", left)

    async def from_escrow(self) -> Kept | None:
        """What an earlier process left in escrow for this key."""
        return None if self._escrow is None else await tried(self._escrow.find(self.key))

    async def drop(self, number: int) -> None:
        """Let go of what was in escrow up to ``number``."""
        if self._escrow is not None:
            await tried(self._escrow.drop(self.key, number))

    async def _offer(self, kept: Kept) -> tuple[Committed | Superseded, StoreTime]:
        store = self._store_client.store
        outcome, time = await self._store_client.ask(store.commit(kept.key, kept.number, kept.value))
        if self.kept is kept:
            self.kept = None
        await self.drop(kept.number)
        return outcome, time
