"""Closing an engine: what is in the air lands, answers are stored, and nobody waits for nothing."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import ConfigurationError, LinkAuthError
from linkauth_stores.memory import MemoryStore
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, logged_in
from tests.engine.scenes import killed_while_renewing, renewing, rotated_unsaved
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_a_renewal_in_the_air_lands_and_is_stored():
    """``aclose`` waits for the vendor's answer and for the store to have it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    gate = vendor.holds()
    caller = asyncio.create_task(worker.credential(CLIENT).token())
    await asyncio.sleep(1)
    closing = asyncio.create_task(worker.aclose())
    await asyncio.sleep(1)
    assert not closing.done()
    gate.set()
    await closing
    assert (await caller).access_token
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token == (await caller).access_token
    assert vendor.counts["requests"] == 1


@virtual
async def test_closing_twice_at_once_waits_twice():
    """A second ``aclose``, and one after a cancelled first, wait for what is in the air as the first does."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    gate = vendor.holds()
    caller = asyncio.create_task(worker.credential(CLIENT).token())
    await asyncio.sleep(1)
    first = asyncio.create_task(worker.aclose())
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.create_task(worker.aclose())
    third = asyncio.create_task(worker.aclose())
    await asyncio.sleep(1)
    assert not second.done()
    assert not third.done()
    gate.set()
    await asyncio.gather(second, third, caller)


@virtual
async def test_a_flight_that_only_waits_is_called_off():
    """Who waits for another worker's renewal has nothing to lose: closing does not wait for the lease to end."""
    store, vendor = Store(), Vendor()
    renewing, waiting = Worker(store, vendor), Worker(store, vendor)
    gate = vendor.holds()
    first = asyncio.create_task(renewing.credential(CLIENT).token())
    await asyncio.sleep(1)
    second = asyncio.create_task(waiting.credential(CLIENT).token())
    await asyncio.sleep(1)
    before = monotonic()
    await waiting.aclose()
    assert monotonic() == before
    with pytest.raises(LinkAuthError, match="called off"):
        await second
    gate.set()
    assert (await first).access_token


@virtual
async def test_calling_off_never_touches_a_flight_that_has_asked_the_vendor():
    """A login that waits for this worker's own renewal does not make closing throw the renewal's answer away."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    renewal, gate = await renewing(credential, vendor)
    login = asyncio.create_task(credential.login(email="ada@example.com", password="correct horse"))
    await asyncio.sleep(1)
    closing = asyncio.create_task(worker.aclose())
    await asyncio.sleep(1)
    gate.set()
    await closing
    assert (await renewal).access_token
    await asyncio.gather(login, return_exceptions=True)
    later = Worker(store, vendor)
    assert (await later.credential(USER).refresh()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_flight_that_waits_for_a_lost_holder_under_its_own_lease_gives_it_back():
    """Called off while it waits out a lost holder, a worker leaves neither a lease nor a lost note behind."""
    store, vendor = Store(), Vendor()
    lost = Worker(store, vendor)
    await logged_in(lost)
    await asyncio.sleep(890)
    await killed_while_renewing(lost, vendor)
    worker = Worker(store, vendor)
    caller = asyncio.create_task(worker.credential(USER).token())
    await asyncio.sleep(16.5)  # the lease has ended, and the lost holder is given its grace
    assert worker.heard()[-1] == "in doubt"
    await worker.aclose()
    await asyncio.gather(caller, return_exceptions=True)
    before = monotonic()
    next_one = Worker(store, vendor)
    assert (await next_one.credential(USER).token()).access_token
    assert monotonic() - before < 5
    assert "in doubt" in next_one.heard()


@virtual
async def test_closing_ends_though_the_store_does_not_take_an_answer():
    """The last answer is offered once more; then closing goes on and says what it leaves behind."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    await credential.refresh()
    await asyncio.sleep(60)
    before = monotonic()
    await worker.aclose()
    assert monotonic() - before < 6


@virtual
async def test_closing_ends_though_the_store_does_not_take_a_rotated_secret():
    """A rotation's answer, too, is offered once more and no longer."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await rotated_unsaved(credential, store)
    await asyncio.sleep(60)
    async with asyncio.timeout(30):
        await worker.aclose()


@virtual
async def test_an_answer_kept_is_stored_while_closing():
    """A store that came back takes the kept answer before ``aclose`` returns."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    kept = await credential.refresh()
    store.down.clear()
    await worker.aclose()
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept.access_token


@virtual
async def test_a_closed_engine_says_so():
    """Whatever would need the vendor or the store is a ``ConfigurationError``; what is in memory may be used up."""
    worker = Worker(Store(), Vendor())
    held = worker.credential(CLIENT)
    token = await held.token()
    await worker.aclose()
    await worker.aclose()
    assert await held.token() == token
    user = worker.credential(USER, "made later")
    calls = [
        held.refresh(),
        held.rotate_secret(),
        held.logout(),
        user.token(),
        user.login(email="ada@example.com", password="correct horse"),
        user.complete({"state": "x"}),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="closed"):
            await call
    await asyncio.sleep(901)
    with pytest.raises(ConfigurationError, match="closed"):
        await held.token()


@virtual
async def test_a_store_that_was_handed_in_stays_open():
    """Only a store that the engine opened itself is closed by it."""
    closed = []

    class Handed(Store):
        async def aclose(self):
            closed.append(True)

    await Worker(Handed(), Vendor()).aclose()
    assert closed == []


@pytest.mark.parametrize("store", [MemoryStore, object(), None, 42])
def test_an_engine_is_made_of_a_store_or_its_url(store):
    """A class in an instance's place, or something else altogether: said when the engine is made, not at the first call."""
    with pytest.raises(ConfigurationError, match="store: a URL such as"):
        Worker(store, Vendor())
