"""A lease that ends under its holder: another waits little where nothing rotates, and is told where something does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linkauth.protocol import timing
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, LIFETIME, USER, Store, Vendor, Worker, logged_in, remembered
from tests.engine.virtual import virtual


@virtual
async def test_a_dead_holder_is_not_waited_out_where_nothing_rotates():
    """The renewing worker is killed: another has a token within two seconds."""
    store, vendor = Store(), Vendor()
    dying, other = Worker(store, vendor), Worker(store, vendor)
    vendor.holds()
    asking = asyncio.create_task(dying.credential(CLIENT).token())
    await asyncio.sleep(0.4)
    await dying.killed()
    asking.cancel()
    begun = clock.monotonic()
    assert await other.credential(CLIENT).token()
    assert clock.monotonic() - begun <= 2.0
    assert timing.LEASE_CHEAP < 2.0


@virtual
@pytest.mark.parametrize("takes", [5.0, 30.0, 100.0])
async def test_a_store_whose_clock_jumps_ahead_has_one_worker_spend(takes: float):
    """All leases end at once, the vendor is still at work: whoever asks next hears of the request in the air, and waits."""
    jumped = 0.0
    store, vendor = Store(MemoryStore(clock=lambda: clock.wall() + jumped)), Vendor()
    holder, *others = (Worker(store, vendor) for _ in range(3))
    credential = await logged_in(holder)
    for other in others:
        await other.credential(USER).token()
    await asyncio.sleep(LIFETIME)
    vendor.delay = takes
    asking = [asyncio.create_task(credential.token())]
    await asyncio.sleep(0.5)
    jumped = 60.0
    vendor.delay = 0.0
    asking += [asyncio.create_task(other.credential(USER).token()) for other in others]
    await asyncio.gather(*asking, return_exceptions=True)
    await asyncio.sleep(takes + 5.0)
    tokens = [await worker.credential(USER).token() for worker in (holder, *others)]
    assert len({token.access_token for token in tokens}) == 1
    assert vendor.counts["/auth/refresh"] == 1
    assert vendor.counts["reuse"] == 0


@virtual
async def test_who_is_cut_off_for_longer_than_its_lease_and_comes_back_in_time_is_not_overtaken():
    """Its lease is another's by then; its word, under growing numbers, has that one give it back before it sends."""
    store, vendor = Store(), Vendor()
    mine = Store(store.inner)
    holder, other = Worker(mine, vendor), Worker(store, vendor)
    credential = await logged_in(holder)
    await other.credential(USER).token()
    await asyncio.sleep(LIFETIME)
    gate = vendor.holds()
    asking = asyncio.create_task(credential.token())
    await asyncio.sleep(0.5)
    mine.down.add("*")
    waiting = asyncio.create_task(other.credential(USER).token())
    await asyncio.sleep(credential.replica.ttl + 0.5)  # the other has the lease, and gives this one time
    mine.down.clear()
    await asyncio.sleep(10.0)
    gate.set()
    await asyncio.gather(asking, waiting, return_exceptions=True)
    await asyncio.sleep(3.0)
    assert await credential.token() == await other.credential(USER).token()
    assert vendor.counts["/auth/refresh"] == 1
    assert vendor.counts["reuse"] == 0


@virtual
async def test_who_has_lost_the_lease_says_what_it_holds_and_no_more():
    """A word is the unchanged record under another number: known here under that, and its place is taken by nothing older."""
    store = Store()
    credential = await logged_in(Worker(store, Vendor()))
    replica, before = credential.replica, (await store.read(credential.replica.key)).record
    number = before.version + 5
    assert await replica.reassert(number) == number + 1
    assert remembered(credential).version == number
    assert (await store.read(replica.key)).record.version == number
    assert await replica.reassert(number - 1) == number + 1  # others' numbers are higher: the next one is above them
    assert remembered(credential).version == number


@virtual
async def test_who_holds_nothing_has_nothing_to_say():
    """Neither a token nor a mark: nothing is written, and the number is good for the next time."""
    store = Store()
    replica = Worker(store, Vendor()).credential(USER).replica
    assert await replica.reassert(7) == 7
    assert (await store.read(replica.key)).record is None


@virtual
async def test_a_word_that_is_overtaken_by_a_login_leaves_that_its_number():
    """The store has taken it, and before this worker hears of that the user logs in here: the login keeps its own number."""
    store = Store()
    credential = await logged_in(Worker(store, Vendor()))
    replica, number, commit = credential.replica, remembered(credential).version + 1, store.inner.commit

    async def committed(*args: Any) -> Any:
        store.inner.commit = commit
        done = await commit(*args)
        await credential.login(email="ada@example.com", password="correct horse")
        return done

    await asyncio.sleep(1)
    store.inner.commit = committed
    assert await replica.reassert(number) == number + 1
    assert remembered(credential).version == (await store.read(replica.key)).record.version > number
