"""Who listens to what becomes of the records, for how much, and what is done with what is heard."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import ReauthorizationRequired, StoreUnavailable
from linkauth.protocol import timing
from linkauth.store import Change
from tests.engine.announcing import Telling
from tests.engine.fakes import LATER, USER, Vendor, Worker, logged_in, remembered
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_what_is_no_news_costs_no_call():
    """Others' keys, what is held, and what is newer than that: an idle worker asks the store for nothing."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    before = store.counts.total()
    for change in (
        Change("token/x/1", 0),
        Change(credential.replica.key, remembered(credential).version),
        Change(credential.replica.key, LATER),
    ):
        store.tell(change)
    await asyncio.sleep(1)
    assert store.counts.total() == before


@pytest.mark.parametrize("end", [ZeroDivisionError("canary"), StopAsyncIteration], ids=["breaks", "ends"])
@virtual
async def test_a_watch_that_ends_is_taken_up_again(end, caplog):
    """Whatever the store raises, in a second somebody listens again, and a loss meanwhile is made good."""
    store = Telling()
    credential = await logged_in(Worker(store, Vendor()))
    store.tell(end)
    await asyncio.sleep(0.5)
    assert not store.ears
    store.empty()
    await asyncio.sleep(2)
    assert len(store.ears) == 1
    assert await store.version(credential.replica.key) > 0
    assert "canary" not in caplog.text


@virtual
async def test_a_store_that_cannot_be_listened_to_costs_a_second():
    """The first reading does not wait for the subscription for ever."""
    store = Telling()
    store.deaf = True
    await logged_in(Worker(store, Vendor()))
    assert monotonic() - 1000 < 5


@virtual
async def test_closing_stops_listening():
    """Nothing is left subscribed, whether or not anything was ever followed."""
    store = Telling()
    worker = Worker(store, Vendor())
    await logged_in(worker)
    assert len(store.ears) == 1
    await worker.aclose()
    assert not store.ears
    await Worker(store, Vendor()).aclose()


@virtual
async def test_who_has_lost_a_listener_may_have_lost_more_than_it_holds():
    """It holds nothing, and was cut off from hearing: what it asks for next may be about to come back."""
    store = Telling()
    worker = Worker(store, Vendor())
    await worker.credential(USER).replica.read()
    assert not worker.context.read_repair.suspects
    store.tell(OSError("gone"))
    await asyncio.sleep(1.5)
    assert await worker.context.read_repair.suspicion() > 2


@virtual
async def test_what_anybody_may_announce_costs_two_looks_a_second():
    """A thousand lies in two seconds of records that are there, and of keys that nobody holds: a read each half second."""
    store, read = Telling(), []
    worker = Worker(store, Vendor())
    held = await logged_in(worker)
    await asyncio.sleep(1)
    store.before = lambda name: read.append((name, monotonic()))
    for number in range(1000):
        store.tell(Change(held.replica.key, number % 2 * -5))
        store.tell(Change(f"token/nobody/{number}", 0))
        await asyncio.sleep(0.002)
    await asyncio.sleep(10)
    assert {name for name, _ in read} == {"read"}
    assert 4 <= len(read) <= 5
    await worker.aclose()


@virtual
async def test_a_loss_that_is_announced_between_two_looks_is_found_at_the_next():
    """The first look found all as it should be; what was lost right after it is back within half a second."""
    store = Telling()
    worker = Worker(store, Vendor())
    held = await logged_in(worker)
    await asyncio.sleep(1)
    store.tell(Change(held.replica.key, 0))
    await asyncio.sleep(0.01)
    store.empty()
    store.tell(Change(held.replica.key, 0))
    await asyncio.sleep(0.6)
    assert (await store.inner.read(held.replica.key)).record is not None
    await worker.aclose()


@virtual
async def test_who_was_told_to_log_in_is_served_once_he_has():
    """In another worker too, and at once: the browser comes back there while the answer is still kept for others."""
    store, vendor = Telling(), Vendor()
    asked = Worker(store, vendor).credential(USER)
    with pytest.raises(ReauthorizationRequired):
        await asked.token()
    brought = await (await logged_in(Worker(store, vendor))).token()
    await asyncio.sleep(0.01)
    assert await asked.token() == brought


@pytest.mark.parametrize("end", [ConnectionError("the server has gone"), StopAsyncIteration])
@virtual
async def test_a_watch_that_ended_is_a_loss_until_it_is_heard_again(end):
    """A server that has lost data may answer calls on new connections before it is listened to: nobody is sent for meanwhile."""
    store, vendor = Telling(), Vendor()
    session = await logged_in(Worker(store, vendor))
    late = Worker(store, vendor)
    with pytest.raises(ReauthorizationRequired):
        await late.credential(USER, "nobody").token()
    store.empty()
    store.tell(end)
    await asyncio.sleep(0)
    assert await late.credential(USER).token() == await session.token()


@virtual
async def test_a_store_that_never_lets_one_listen_is_not_suspected_for_it():
    """A Redis user without the right to subscribe, say: who never logged in is told so without a wait."""

    class Mute(Telling):
        async def changes(self):
            raise StoreUnavailable("no right to listen")
            yield

    worker = Worker(Mute(), Vendor())
    await logged_in(worker)
    await asyncio.sleep(5)
    begun = monotonic()
    with pytest.raises(ReauthorizationRequired):
        await worker.credential(USER, "nobody").token()
    assert monotonic() - begun < timing.GRACE
