"""The contract's part on waiting for somebody else's work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from linkauth.testing.hooks import LONG, Hooks, granted

if TYPE_CHECKING:
    from linkauth.store import TokenStore

__all__ = ["Waiting"]

SOON = 5.0
"""Seconds that no wake-up takes, also on a busy machine; far below ``LONG``, which is what a missed one takes."""


async def _woken(store: TokenStore, key: str, newer_than: int = 0) -> None:
    async with asyncio.timeout(SOON):
        await store.wait_for_change(key, newer_than, LONG)


class Waiting(Hooks):
    """Who waits is woken, and misses nothing."""

    async def test_there_is_nothing_to_wait_for_where_nobody_works(self) -> None:
        """A key without a lease, or with a newer record, returns at once."""
        async with self.opened() as store:
            key = self.fresh()
            await _woken(store, key)
            await store.commit(key, 3, b"value")
            granted(await store.claim(key, "me", LONG, 3, b""))
            await _woken(store, key, newer_than=2)

    async def test_waiting_ends_with_its_timeout(self) -> None:
        """Nothing changes, and the waiter is back all the same; a timeout of nothing does not wait."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            await one.commit(key, 1, b"value")
            granted(await one.claim(key, "me", LONG, 1, b""))
            async with asyncio.timeout(SOON):
                await other.wait_for_change(key, 1, 0)
                await other.wait_for_change(key, 1, 0.02)

    async def test_commit_release_and_delete_wake(self) -> None:
        """All who wait on either connection, though they wait for a version that never comes."""
        async with self.opened_twice() as (one, other):
            for end in ("commit", "release", "delete"):
                key = self.fresh()
                number = granted(await one.claim(key, "me", LONG, 0, b"")).number
                async with asyncio.timeout(SOON), asyncio.TaskGroup() as waiting:
                    for store in (one, other) * 3:
                        waiting.create_task(store.wait_for_change(key, 99, LONG))
                    await asyncio.sleep(0.02)
                    match end:
                        case "commit":
                            await one.commit(key, number, b"value")
                        case "release":
                            await one.release(key, number)
                        case _:
                            await one.delete(key, number)

    async def test_a_late_commit_wakes_who_waits_for_the_later_lease(self) -> None:
        """The later lease stays, and the record is newer: that is what they wait for."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            late = granted(await one.claim(key, "late", self.moment, 0, b"")).number
            await self.lapse()
            granted(await one.claim(key, "later", LONG, 0, b""))
            waiting = asyncio.create_task(_woken(other, key))
            await asyncio.sleep(0.02)
            await one.commit(key, late, b"late")
            await waiting

    async def test_a_change_before_the_waiting_begins_is_not_missed(self) -> None:
        """Whenever the commit comes, before, while or after the waiter gets ready: it wakes."""
        async with self.opened_twice() as (one, other):
            for steps in range(20):
                key = self.fresh()
                number = granted(await one.claim(key, "me", LONG, 0, b"")).number
                waiting = asyncio.create_task(_woken(other, key))
                for _ in range(steps):
                    await asyncio.sleep(0)
                await one.commit(key, number, b"value")
                await waiting

    async def test_who_stops_waiting_disturbs_nobody(self) -> None:
        """Cancelled waiters leave the others waiting, and the store usable."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            number = granted(await one.claim(key, "me", LONG, 0, b"")).number
            stays = asyncio.create_task(_woken(other, key))
            for steps in range(15):
                leaves = asyncio.create_task(other.wait_for_change(key, 0, LONG))
                for _ in range(steps):
                    await asyncio.sleep(0)
                leaves.cancel()
                await asyncio.wait([leaves])
                assert leaves.cancelled()
            assert not stays.done()
            await one.commit(key, number, b"value")
            await stays
