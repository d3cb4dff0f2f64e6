"""What is served with the store away, or after a clock that jumped: where a mutant of ``renewal`` survived the rest."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.engine.events import EventKind
from linkauth.errors import (
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol.freshness import StoreTime
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, PAGE, Fault, Store, Vendor, Worker, answer, logged_in, paired
from tests.engine.virtual import virtual


@virtual
async def test_after_a_suspend_what_another_worker_brought_is_taken():
    """The look that the clocks ask for finds a newer token: neither a lease nor the vendor is asked for."""
    store, vendor = Store(), Vendor()
    asleep, awake = Worker(store, vendor), Worker(store, vendor)
    credential = asleep.credential(CLIENT)
    await credential.token()
    await asyncio.sleep(3600)
    fresh = await awake.credential(CLIENT).token()
    asleep.slept = 3600
    claims = store.counts["claim"]
    assert (await credential.token()).access_token == fresh.access_token
    assert store.counts["claim"] == claims
    assert asleep.heard().count("adopted") == 1


@virtual
async def test_after_a_suspend_a_token_that_the_store_never_had_is_over():
    """Fetched while the store was away: the store, asked now, cannot tell, so the wall clock is believed."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    store.down.add("*")
    token = await credential.token()
    store.down.clear()
    await asyncio.sleep(3600)
    worker.slept = 3600
    assert (await credential.token()).access_token != token.access_token


@virtual
async def test_what_was_fetched_alone_serves_until_the_store_has_something_better():
    """The store is back with a token that is over: nobody waits for the next one, and nobody minds a vendor that is away."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor).credential(CLIENT).token()
    await asyncio.sleep(1000)
    credential = Worker(store, vendor).credential(CLIENT)
    store.down.add("*")
    alone = await credential.token()
    store.down.clear()
    await asyncio.sleep(vendor.lifetime - 200)
    vendor.fails(answer(503, {}), times=99)
    with pytest.raises(VendorUnavailable):
        await credential.refresh()
    assert await credential.token() == alone
    vendor.faults.clear()
    await asyncio.sleep(60)
    fresh = await credential.refresh()
    assert fresh != alone
    assert await Worker(store, vendor).credential(CLIENT).token() == fresh


@pytest.mark.parametrize("empty", [False, True], ids=["same record", "no record"])
@virtual
async def test_a_look_that_finds_nothing_newer_changes_nothing(empty):
    """The wall clock was set, and the store has what is held, or nothing at all: the token goes on, nothing is told."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    if empty:
        store.inner = MemoryStore(clock=clock.wall)
    worker.wall_ahead = 3600
    reads = store.counts["read"]
    assert await credential.token() == token
    assert store.counts["read"] - reads == 1
    assert worker.heard() == ["renewed"]
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_user_whose_refresh_token_stays_good_is_not_held_up_by_the_store():
    """No rotation: with the store away it is renewed for this process alone, and serves it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await paired(worker, store)
    await asyncio.sleep(2)
    store.down.add("*")
    vendor.delay = 3.0
    vendor.fails(answer(200, {"access_token": "new", "token_type": "Bearer", "expires_in": 900}))
    assert [(await credential.token()).access_token for _ in range(2)] == ["new", "new"]
    assert credential._state.stored is False
    assert vendor.counts["requests"] == 1
    told = [(event.outcome, event.duration) for event in worker.events if event.kind is EventKind.RENEWED]
    assert told == [("for this process alone", 3.0)]


@pytest.mark.parametrize(("left", "requests"), [(900, 0), (-1, 1)], ids=["good", "over"])
@virtual
async def test_nothing_is_fetched_alone_that_came_while_the_store_was_asked(left, requests):
    """The claim fails at last, and a look or a login has reached the store meanwhile: that token is the answer, if good."""
    store, vendor = Store(), Vendor()
    credential = await paired(Worker(store, vendor), store)
    await asyncio.sleep(2)
    now = clock.wall()
    fresh = Token(access_token="found", issued_at=now - 900, expires_at=now + left, refresh_token="stays")

    def found(name: str) -> None:
        if name == "claim":
            credential._state.take(fresh, 2, StoreTime(clock.wall(), clock.monotonic(), clock.monotonic()))

    store.before = found
    store.down.add("claim")
    vendor.fails(answer(200, {"access_token": "new", "token_type": "Bearer", "expires_in": 900}))
    assert (await credential.token()).access_token == ("new" if requests else "found")
    assert vendor.counts["requests"] == requests


@virtual
async def test_renewing_without_the_store_brings_another_token():
    """Who asks for a newer token gets one, though the one that is held is good."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    token = await credential.token()
    store.down.add("*")
    assert (await credential.refresh()).access_token != token.access_token
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_logout_stands_though_a_renewal_was_under_way_without_the_store():
    """The store comes back, the user logs out, and then the vendor answers: that answer is not served."""
    store, vendor, gate = Store(), Vendor(), asyncio.Event()
    credential = await paired(Worker(store, vendor), store)
    await asyncio.sleep(2)
    store.down.add("*")
    fresh = answer(200, {"access_token": "new", "token_type": "Bearer", "expires_in": 900})
    vendor.faults.append(Fault(fresh, gate=gate))
    renewal = asyncio.create_task(credential.token())
    await asyncio.sleep(1)
    store.down.clear()
    await credential.logout()
    gate.set()
    for asking in (renewal, credential.token()):
        with pytest.raises(ReauthorizationRequired, match="logged out"):
            await asking


@virtual
async def test_a_clock_that_jumps_costs_no_renewal_of_what_the_store_took_and_did_not_say_so():
    """The answer to the commit was lost; a look at the store tells that it has the token, and so how long it lives."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    store.lost.add("commit")
    token = await credential.token()
    assert not credential._state.stored
    store.lost.clear()
    worker.wall_ahead += 3600
    assert await credential.token() is token
    assert credential._state.stored
    assert vendor.counts["requests"] == 1


@virtual
async def test_another_token_under_the_same_number_is_not_what_is_held():
    """Fetched alone beside a record of the same version: its times are by this host's clock, which has jumped."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.token()
    store.down.add("*")
    await asyncio.sleep(901)
    await credential.token()
    store.down.clear()
    worker.wall_ahead += 3600
    await credential.token()
    assert vendor.counts["requests"] == 3


@virtual
async def test_a_token_fetched_alone_by_a_wrong_clock_dies_in_its_time():
    """An hour ahead, with the store away; then the store is back and the clock is set: it is served no longer for it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    worker.wall_ahead = 3600
    store.down.add("*")
    credential = worker.credential(CLIENT)
    old = await credential.token()
    store.down.clear()
    worker.wall_ahead += 45
    await credential.token()
    await asyncio.sleep(1000)
    assert await credential.token() != old


@virtual
async def test_a_logout_that_gives_up_knows_what_it_has_seen():
    """Stopped until its time was over, it finds a later login: the token of the session before that is not served on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    inner_claim = store.inner.claim

    async def stop_and_claim(*args):
        store.inner.claim = inner_claim
        await logged_in(Worker(store, vendor))
        worker.slept -= 100
        return await inner_claim(*args)

    store.inner.claim = stop_and_claim
    with pytest.raises(StoreUnavailable):
        await credential.logout()
    assert credential._state.version == (await store.read(credential.replica.key)).record.version


@virtual
async def test_a_user_without_any_token_needs_the_store():
    """Only there can be one: nothing is sent."""
    store, vendor = Store(), Vendor()
    store.down.add("*")
    with pytest.raises(StoreUnavailable):
        await Worker(store, vendor).credential(PAGE).token()
    assert vendor.counts["requests"] == 0
