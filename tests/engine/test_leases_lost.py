"""A lease that ends under its holder: another waits little where nothing rotates, and is told where something does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.engine.lease import Lease
from linkauth.protocol import timing
from linkauth.store import Busy, Granted
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, LIFETIME, USER, Store, Vendor, Worker, logged_in, remembered
from tests.engine.scenes import killed_while_renewing
from tests.engine.virtual import virtual

if TYPE_CHECKING:
    from linkauth.store import Record


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


class Reasserting:
    """A holder whose record is ``unchanged``, and under which numbers it was committed."""

    def __init__(self, store: Store, key: str) -> None:
        self.numbers: list[int] = []
        self._store, self._key = store, key

    def is_later(self, record: Record) -> bool:
        return record.value != b"unchanged"

    async def reassert(self, number: int) -> int:
        self.numbers.append(number)
        await self._store.commit(self._key, number, b"unchanged")
        return number + 1


@virtual
async def test_a_reassertion_leaves_the_lease_of_the_next_alone():
    """Lost to who claimed the very next number, and found lost by two calls at once: one reasserts, and never under his number."""
    store, key = Store(), "token/linkxg/0123456789abcdef"
    context, holder = Worker(store, Vendor()).context, Reasserting(store, key)

    async def claims(owner: str) -> Any:
        known = max(holder.numbers, default=0)
        return await context.store_client.ask(store.claim(key, owner, 60.0, known, b""))

    claim, time = await claims("we")
    lease = Lease(context.store_client, key, claim.number, 60.0, time, lambda: claims("we"), every=1.0, holder=holder)
    async with lease:
        lease.sent()
        await store.release(key, claim.number, b"")
        his, _ = await claims("him")
        assert his.number == claim.number + 1
        store.before = lambda name: asyncio.sleep(0.01) if name == "extend" else None
        await asyncio.gather(lease.keep(), lease.keep())
        assert holder.numbers == [claim.number]
        await asyncio.sleep(2.5)
        assert holder.numbers == [claim.number, his.number + 1, his.number + 2]
        found, _ = await claims("looks")
        assert isinstance(found, Busy)
        assert found.number == his.number


@virtual
async def test_who_hears_a_reassertion_while_it_gives_time_gives_the_lease_back():
    """At once, not when the time that it gives is over: he who reasserts wants it."""
    store, vendor = Store(), Vendor()
    gone, other = Worker(store, vendor), Worker(store, vendor)
    replica = (await logged_in(gone)).replica
    await killed_while_renewing(gone, vendor)
    await asyncio.sleep(LIFETIME)
    asking = asyncio.create_task(other.credential(USER).token())
    await asyncio.sleep(0.5)
    found = await store.inner.claim(replica.key, "looks", 1.0, 2**52, b"")
    assert isinstance(found, Busy)  # it gives time
    await replica.reassert(found.number + 1)
    await asyncio.sleep(timing.LOOK_AGAIN + 0.2)
    assert isinstance(await store.inner.claim(replica.key, "he", 0.1, found.number + 1, found.note), Granted)
    assert await asking
    assert vendor.counts["reuse"] == 0
