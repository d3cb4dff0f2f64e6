"""A lease that is kept while its holder works, and what becomes of it when the store loses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.engine.lease import Lease
from linkauth.errors import StoreUnavailable
from linkauth.store import Busy, Granted
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import Store, Vendor, Worker
from tests.engine.virtual import virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.context import EngineContext
    from linkauth.store import Record

KEY = "token/linkxg/0123456789abcdef"
TTL = 15.0


async def granted(context: EngineContext, *, again: bool = True, meanwhile: Callable[[], None] = lambda: None) -> Lease:
    async def ask() -> Any:
        return await context.store_client.ask(context.store_client.store.claim(KEY, context.owner(), TTL, 0, b""))

    claim, time = await ask()
    assert isinstance(claim, Granted)
    meanwhile()
    return Lease(context.store_client, KEY, claim.number, TTL, time, ask if again else None)


def emptied() -> MemoryStore:
    """The store was restarted, and goes on counting from what it is told."""
    return MemoryStore(clock=clock.wall)


async def holder(store: Store) -> str | None:
    """Who holds the lease, None: nobody."""
    claim = await store.inner.claim(KEY, "looks", 0.001, 0, b"")
    return claim.holder if isinstance(claim, Busy) else None


@virtual
async def test_a_lease_lasts_as_long_as_the_work():
    """Extended every third of its time, and given up with the work: a minute under a lease of 15 s."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    async with lease:
        await asyncio.sleep(60)
        assert await lease.held()
        assert await holder(store) is not None
    await asyncio.sleep(TTL + 1)
    assert await holder(store) is None


@virtual
async def test_nothing_extends_a_lease_when_the_work_is_over():
    """An extension that the store has not answered yet is called off, and is over before anything else is done."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    store.hung.add("extend")
    async with lease:
        await asyncio.sleep(TTL / 3 + 0.1)
        assert store.counts["extend"] == 1
    assert lease._extending is not None
    assert lease._extending.done()


@virtual
async def test_a_lease_that_was_lost_under_a_request_shields_the_answer_again():
    """The store forgot it while the vendor is asked: it is taken anew, so that nobody spends the same token meanwhile."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    async with lease:
        lease.sent()
        store.inner = emptied()
        await asyncio.sleep(TTL / 3 + 0.1)
        assert await holder(store) is not None
        assert not await lease.held()  # and nothing more is sent under it
        assert not await lease.confirmed()
    assert store.counts["claim"] == 2
    await lease.release()
    assert await holder(store) is None


@virtual
async def test_a_lease_that_was_lost_before_anything_was_sent_is_lost():
    """There is no answer to shield: whoever comes next may have it."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    async with lease:
        store.inner = emptied()
        await asyncio.sleep(TTL / 3 + 0.1)
        assert not await lease.held()
    assert store.counts["claim"] == 1


@virtual
async def test_a_lease_that_somebody_else_has_meanwhile_is_his():
    """Claimed anew in vain: its number stays, so that giving it back takes nothing from him."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    async with lease:
        lease.sent()
        store.inner = emptied()
        await store.inner.claim(KEY, "him", 600, 41, b"")
        await asyncio.sleep(1)
        await lease.keep()
        await asyncio.sleep(TTL / 3 + 0.1)
        assert not await lease.confirmed()
    assert store.counts["claim"] == 2  # tried once, however often it is found lost
    await lease.release()
    assert await holder(store) == "him"


@pytest.mark.parametrize("again", [True, False], ids=["store away", "no way to claim"])
@virtual
async def test_a_lease_that_cannot_be_taken_anew_fails_nobody(again):
    """The answer that is on its way is worth having all the same."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context, again=again)
    async with lease:
        lease.sent()
        store.inner = emptied()
        store.down.add("claim")
        await asyncio.sleep(TTL / 3 + 0.1)
        assert not await lease.held()
    assert store.counts["claim"] == 1 + again


@virtual
async def test_a_lease_that_cannot_be_extended_is_good_for_two_thirds_of_its_time():
    """Extending fails: what is sent later could still be on its way when somebody else has the lease."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    store.down.add("extend")
    async with lease:
        await asyncio.sleep(TTL * 2 / 3 - 0.1)
        assert await lease.held()
        await asyncio.sleep(0.2)
        assert not await lease.held()


@virtual
async def test_only_a_lease_under_which_somebody_works_is_looked_after():
    """Told that the store lost data, a lease in use is extended at once; one that is not is left alone."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    await lease.keep()
    assert store.counts["extend"] == 0
    async with lease:
        await lease.keep()
        assert store.counts["extend"] == 1
    await lease.keep()
    assert store.counts["extend"] == 1


@virtual
async def test_giving_back_to_a_store_that_is_away_harms_nobody():
    """The lease will end by itself."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    store.down.add("*")
    await lease.release()
    with pytest.raises(StoreUnavailable):
        await store.read(KEY)


@virtual
async def test_a_lease_that_the_store_has_lost_is_left_alone():
    """Refused once, then its number was given to somebody else: his is neither extended nor given back."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    async with lease:
        store.inner = emptied()
        await lease.keep()
        other = await store.inner.claim(KEY, "other", TTL, lease.number - 1, b"")
        assert isinstance(other, Granted)
        assert other.number == lease.number
        await lease.release()
        assert await holder(store) == "other"
        await asyncio.sleep(TTL - 0.1)
        await lease.keep()
        await asyncio.sleep(0.2)
        assert await holder(store) is None


@virtual
async def test_a_lease_is_known_by_its_owner():
    """A store that lost its data gave the same number to somebody else: it is not ours, and stays his."""
    store = Store()
    context = Worker(store, Vendor()).context

    async def ask() -> Any:
        return await context.store_client.ask(store.claim(KEY, "we", TTL, 0, b""))

    claim, time = await ask()
    lease = Lease(context.store_client, KEY, claim.number, TTL, time, ask)
    for _ in range(2):
        await asyncio.sleep(TTL - 1)
        assert await lease.confirmed()  # from now on it has its whole time again
    await asyncio.sleep(TTL / 2)
    assert await lease.held()
    assert store.counts["extend"] == 0
    store.inner = emptied()
    assert (await store.inner.claim(KEY, "him", 600, 0, b"")).number == lease.number
    assert not await lease.confirmed()
    assert not await lease.held()
    assert lease.number == 0
    await lease.release()
    assert await holder(store) == "him"


@pytest.mark.parametrize("way", [1, -1], ids=["ahead", "behind"])
@virtual
async def test_after_a_jump_the_store_says_once_whether_a_lease_is_held(way):
    """The clocks disagree by more than they may in one epoch: the store, asked then and neither before nor again, says so.

    Also where the wall clock fell behind: it was set back, and nobody can tell how long the machine slept.
    """
    store = Store()
    worker = Worker(store, Vendor())
    lease = await granted(worker.context)
    for ahead, asked in ((0.4, 0), (0.6, 1), (0.7, 1), (3600, 2)):
        worker.wall_ahead = ahead * way
        assert await lease.held()
        assert store.counts["extend"] == asked


@pytest.mark.parametrize("way", [1, -1], ids=["ahead", "behind"])
@virtual
async def test_after_a_jump_of_the_stores_clock_it_says_whether_a_lease_is_held(way):
    """Noticed at whatever is read: a lease whose end was by the clock before may have ended for the store."""
    store, ahead = Store(), 0.0
    store.inner = MemoryStore(clock=lambda: clock.wall() + ahead)
    context = Worker(store, Vendor()).context
    lease = await granted(context)
    ahead = 60.0 * way
    await context.store_client.ask(store.read("another/key/1"))
    assert await lease.held() is (way < 0)
    assert store.counts["extend"] == 1


@pytest.mark.parametrize("slept", [TTL, TTL - 0.1], ids=["all of it", "nearly all of it"])
@virtual
async def test_what_was_slept_through_between_the_grant_and_the_work_counts(slept):
    """The lease is counted from the store's answer: whoever wakes up with an old one asks before anything is sent.

    Though a moment of it be left: it would end while the vendor is at work.
    """
    store = Store()
    worker = Worker(store, Vendor())

    def sleep() -> None:
        worker.wall_ahead += slept

    lease = await granted(worker.context, meanwhile=sleep)
    assert await lease.held()
    assert store.counts["extend"] == 1


@virtual
async def test_a_lease_that_the_store_does_not_confirm_is_none():
    """The store is away, or has lost the lease and gives another in its place: nothing is sent, and it is given back."""
    store = Store()
    lease = await granted(Worker(store, Vendor()).context)
    store.down.add("*")
    assert not await lease.confirmed()
    store.down.clear()
    store.inner = emptied()
    await store.inner.claim(KEY, "another", 0.001, 7, b"")
    await asyncio.sleep(1)
    assert not await lease.confirmed()
    assert await holder(store) is not None
    await lease.release()
    assert await holder(store) is None


class Spoken:
    """What a holder can say, to whom all that the store has is later than what he spent."""

    def is_later(self, record: Record) -> bool:
        return record.value == b"later"

    async def reassert(self, number: int) -> int:
        raise AssertionError(number)


@pytest.mark.parametrize("held", [False, True], ids=["the lease was free", "somebody has it"])
@virtual
async def test_a_lease_that_was_lost_to_something_later_shields_nothing(held):
    """Somebody was faster: what is granted once more is given back at once, as it was found, and is not asked for again."""
    store = Store()
    context = Worker(store, Vendor()).context

    async def ask() -> Any:
        return await context.store_client.ask(store.claim(KEY, "we", TTL, 99, b"ours"))

    claim, time = await ask()
    lease = Lease(context.store_client, KEY, claim.number, TTL, time, ask, holder=Spoken())
    async with lease:
        lease.sent()
        store.inner = emptied()
        await store.inner.commit(KEY, 42, b"later")
        other = await store.inner.claim(KEY, "him", 600, 42, b"his note")
        if not held:
            await store.inner.release(KEY, other.number, b"his note")
        await asyncio.sleep(TTL)
        assert store.counts["claim"] == 2
        assert (await store.inner.read(KEY)).note == b"his note"
        found = await store.inner.claim(KEY, "looks", 1, 99, b"")
        assert isinstance(found, Busy if held else Granted)
        assert not await lease.held()
