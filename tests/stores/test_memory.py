"""The memory store."""

from __future__ import annotations

import asyncio
import threading

import pytest

from linkauth.errors import ConfigurationError
from linkauth.store import Granted
from linkauth.testing import StoreContract
from linkauth_stores.memory import MemoryStore, from_url


class Clock:
    """The store's time, which moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class TestMemoryStore(StoreContract):
    """The contract, in no time."""

    moment = 5.0

    @pytest.fixture(autouse=True)
    def _clock(self) -> None:
        self.clock = Clock()

    async def make_store(self) -> MemoryStore:
        return MemoryStore(clock=self.clock)

    async def advance(self, seconds: float) -> None:
        self.clock.now += seconds

    async def set_back(self, seconds: float) -> bool:
        self.clock.now -= seconds
        return True


def test_several_loops_in_several_threads_share_one_store() -> None:
    """Each of 8 threads' loops adds under the lease; who waits in one loop is woken from another."""
    store, threads = MemoryStore(), []

    async def add() -> None:
        from linkauth.testing.worker import add_one

        for _ in range(20):
            await add_one(store, "a/b/c")

    for _ in range(8):
        threads.append(threading.Thread(target=lambda: asyncio.run(add())))
        threads[-1].start()
    for thread in threads:
        thread.join(20)
    record = asyncio.run(store.read("a/b/c")).record
    assert record
    assert record.value == b"160"


async def test_a_waiter_whose_loop_is_closed_is_no_trouble() -> None:
    """A commit wakes who is left, though another's loop is gone."""
    store = MemoryStore()
    await store.claim("k", "me", 30, 0, b"")

    def wait_and_die() -> None:
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(store.wait_for_change("k", 0, 30))
        loop.run_until_complete(asyncio.sleep(0))
        waiting.cancel()
        loop.run_until_complete(asyncio.wait([waiting]))
        # As if it had been closed before the cancelled task could say so.
        store._waiters["k"] = {loop.create_future()}
        loop.close()

    await asyncio.to_thread(wait_and_die)
    await store.commit("k", 1, b"value")
    assert (await store.read("k")).record


async def test_expired_records_do_not_pile_up() -> None:
    """What has a ttl is forgotten, numbers and all, some time after it."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    for number in range(2000):
        await store.commit(f"state/x/{number}", 1, b"", ttl=600)
        clock.now += 60
    assert len(store._slots) < 400


def test_memory_takes_nothing_after_its_colon() -> None:
    """``memory:name`` would look as if a name shared the data."""
    assert isinstance(from_url("memory:"), MemoryStore)
    with pytest.raises(ConfigurationError):
        from_url("memory:shared")


async def test_stores_of_two_urls_are_two() -> None:
    """Every ``memory:`` begins empty."""
    one, other = from_url("memory:"), from_url("memory:")
    await one.commit("k", 1, b"")
    assert (await other.read("k")).record is None
    assert isinstance(await other.claim("k", "me", 1, 0, b""), Granted)
