"""What is fetched for this process alone while the store is away, and what becomes of it afterwards."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.engine.events import EventKind
from linkauth.errors import InvalidScope, ReauthorizationRequired, StoreUnavailable, VendorUnavailable
from linkauth.oauth.token import Token
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, PAGE, Fault, Store, Vendor, Worker, answer, paired, remember, remembered
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_with_the_store_away_a_client_fetches_for_itself_and_says_so(caplog):
    """A vendor that does not rotate is not held up by the store: fetched for this process alone, and logged."""
    store, vendor = Store(), Vendor()
    store.down.add("*")
    worker = Worker(store, vendor)
    assert (await worker.credential(CLIENT).token()).access_token
    assert "for this process alone" in caplog.text
    assert worker.heard() == ["store lost", "renewed"]
    assert vendor.counts["requests"] == 1


@virtual
async def test_what_the_vendor_refuses_while_the_store_is_away_is_the_callers():
    """Fetched for this process alone, and not to be had: the caller hears the vendor's reason, and nothing is held of it."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    store.down.add("*")
    vendor.fails(answer(400, {"error": "invalid_scope", "error_description": "no"}))
    with pytest.raises(InvalidScope):
        await credential.token()
    assert remembered(credential).token is None


@virtual
async def test_with_a_store_that_hangs_a_client_has_its_token_in_time():
    """Claim and secret both time out, and the token is there within the engine's time-out and a second."""
    store, vendor = Store(), Vendor()
    store.hung.add("*")
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token
    assert monotonic() - 1000 <= 11


@virtual
async def test_a_client_that_waits_for_another_when_the_store_goes_fetches_for_itself():
    """Busy, then the store goes away while it waits: open for a vendor that does not rotate."""
    store, vendor = Store(), Vendor()
    gate = vendor.holds()
    first = asyncio.create_task(Worker(store, vendor).credential(CLIENT).token())
    await asyncio.sleep(1)
    store.before = lambda name: store.down.add("*") if name == "wait_for_change" else None
    before = monotonic()
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token
    assert monotonic() - before < 2
    gate.set()
    assert (await first).access_token


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
    assert remembered(credential).stored is False
    assert vendor.counts["requests"] == 1
    told = [(event.outcome, event.duration) for event in worker.events if event.kind is EventKind.RENEWED]
    assert told == [("for this process alone", 3.0)]


@pytest.mark.parametrize("away", ["*", "commit"], ids=["all the time", "when the answer has come"])
@virtual
async def test_what_the_store_never_had_counts_for_nothing_in_its_session(away):
    """Else its next renewal would seem later than another worker's that was sent for after it."""
    store, vendor = Store(), Vendor()
    credential = await paired(Worker(store, vendor), store)
    await asyncio.sleep(2)
    generations = []
    for down in (set(), {away}, {away}, set()):
        store.down = down
        vendor.fails(answer(200, {"access_token": f"a{clock.wall()}", "token_type": "Bearer", "expires_in": 900}))
        await credential.refresh()
        generations.append(remembered(credential).lineage.generation)
        await asyncio.sleep(30)
    assert generations == [1, 1, 1, 2]
    assert remembered(credential).stored


@pytest.mark.parametrize(("left", "requests"), [(900, 0), (-1, 1)], ids=["good", "over"])
@virtual
async def test_nothing_is_fetched_alone_that_came_while_the_store_was_asked(left, requests):
    """The claim fails at last, and a look or a login has reached the store meanwhile: that token is the answer, if good."""
    store, vendor = Store(), Vendor()
    credential = await paired(Worker(store, vendor), store)
    await asyncio.sleep(2)
    now = clock.wall()
    fresh = Token(access_token="found", issued_at=now - 1.5, expires_at=now + left, refresh_token="stays")

    def found(name: str) -> None:
        if name == "claim":
            remember(credential, fresh, 2)

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
async def test_a_user_without_any_token_needs_the_store():
    """Only there can be one: nothing is sent."""
    store, vendor = Store(), Vendor()
    store.down.add("*")
    with pytest.raises(StoreUnavailable):
        await Worker(store, vendor).credential(PAGE).token()
    assert vendor.counts["requests"] == 0
