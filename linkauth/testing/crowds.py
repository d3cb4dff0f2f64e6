"""The contract's part on many tasks at once, and on cancelled ones."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from linkauth.store import Busy, Granted, Record
from linkauth.testing.hooks import LONG, Hooks, granted
from linkauth.testing.worker import add_one

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from linkauth.store import TokenStore

__all__ = ["Crowds"]

METHODS = ("read", "claim", "commit", "extend", "release", "take", "delete", "keys")
STEPS = 12
"""Turns of the loop after which a call is cancelled: 0, 1, … and then it has ended, or waits for the world."""


class Crowds(Hooks):
    """Every method is one atomic step, however many call it."""

    async def test_of_many_claimants_one_is_granted(self) -> None:
        """All the others are told who."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            claims = await asyncio.gather(
                *((one, other)[n % 2].claim(key, f"owner {n}", LONG, 0, b"") for n in range(40))
            )
            assert len([claim for claim in claims if isinstance(claim, Granted)]) == 1
            assert len({claim.holder for claim in claims if isinstance(claim, Busy)}) == 1

    async def test_of_many_takers_one_gets_the_record(self) -> None:
        """Single use is single, also for tasks that come at the same moment."""
        async with self.opened_twice() as (one, other):
            for _ in range(5):
                key = self.fresh()
                await one.commit(key, 1, b"once")
                taken = await asyncio.gather(*((one, other)[n % 2].take(key) for n in range(10)))
                assert [reading.record for reading in taken if reading.record] == [Record(1, b"once")]

    async def test_nothing_is_lost_under_the_lease(self) -> None:
        """Tasks that each add one under the lease arrive at their number."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            await asyncio.gather(*(add_one((one, other)[n % 2], key) for n in range(16)))
            assert (await one.read(key)).record == Record(16, b"16")

    async def test_a_cancelled_call_leaves_the_store_usable(self) -> None:
        """Each method, cancelled after any number of steps: it happened or it did not, and the next calls work."""
        async with self.opened() as store:
            for steps in range(STEPS):
                await asyncio.gather(*(self._cancelled(store, name, steps) for name in METHODS))

    async def _cancelled(self, store: TokenStore, name: str, steps: int) -> None:
        key = self.fresh()
        await store.commit(key, 1, b"before")
        number = 2 if name == "claim" else granted(await store.claim(key, "me", LONG, 1, b"")).number
        call = asyncio.create_task(_call(store, name, key, self.moment))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        # A call that was cut off may still be under way. It is over when the last commit stands.
        while isinstance(claim := await store.claim(key, "next", LONG, 99, b""), Busy):
            await store.release(key, number)
            await self.advance(self.moment / 10)
        assert granted(claim).number == 100
        await store.commit(key, 100, b"after")
        assert (await store.read(key)).record == Record(100, b"after")


def _call(store: TokenStore, name: str, key: str, ttl: float) -> Coroutine[Any, Any, object]:
    match name:
        case "read":
            return store.read(key)
        case "claim":
            return store.claim(key, "cancelled", ttl, 1, b"")
        case "commit":
            return store.commit(key, 2, b"cancelled")
        case "extend":
            return store.extend(key, 2, LONG)
        case "release":
            return store.release(key, 2)
        case "take":
            return store.take(key)
        case "delete":
            return store.delete(key, 2)
        case _:
            return _listed(store, key)


async def _listed(store: TokenStore, prefix: str) -> list[str]:
    return [key async for key in store.keys(prefix)]
