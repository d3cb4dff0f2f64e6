"""Callers of one credential, and when nothing is tried again: where a mutant of ``credential`` survived the quick tests."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import ReauthorizationRequired, StoreUnavailable, UnsupportedGrant, VendorUnavailable
from linkauth.protocol.intent import Note, digest
from tests.engine.fakes import CLIENT, LIFETIME, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import monotonic, virtual

DOWN = answer(500, b"<h1>oops</h1>")


@virtual
async def test_callers_at_one_moment_share_a_flight():
    """Five without a token, five with one that is to be renewed: one claim and one request each time."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    vendor.delay = 1.0
    tokens = await asyncio.gather(*(credential.token() for _ in range(5)))
    assert len({token.access_token for token in tokens}) == 1
    assert (store.counts["claim"], vendor.counts["requests"]) == (1, 1)
    late = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.5)
    await asyncio.gather(late, *(credential.refresh() for _ in range(5)))
    assert (store.counts["claim"], vendor.counts["requests"]) == (2, 2)
    await credential.refresh()  # which is another moment
    assert vendor.counts["requests"] == 3


@pytest.mark.parametrize("ahead", [0, 0.5])
@virtual
async def test_renewal_begins_when_the_engine_was_told(ahead):
    """``refresh_ahead`` of a moment, or none: by default every caller would be waiting at that time."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor, refresh_ahead=ahead).credential(CLIENT)
    token = await credential.token()
    await asyncio.sleep(LIFETIME - 1)
    assert await credential.token() == token
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_renewal_behind_is_begun_once_and_not_again_before_its_time():
    """Between ``soft`` and ``hard``, with a vendor that fails: however many ask, one flight, and the gap is kept."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    await asyncio.sleep(credential._state.soft - monotonic() + 0.001)
    gate = vendor.holds()
    vendor.faults[0].outcome, vendor.faults[0].acts = answer(400, {"error": "invalid_scope"}), False
    for _ in range(5):
        assert await credential.token() == token
        await asyncio.sleep(0.1)
    assert (store.counts["claim"], vendor.counts["requests"]) == (2, 2)
    gate.set()
    await asyncio.sleep(0.01)
    assert credential._state.failures == 1
    for _ in range(5):
        assert await credential.token() == token
        await asyncio.sleep(0)
    assert (store.counts["claim"], vendor.counts["requests"]) == (2, 2)
    await asyncio.sleep(1.1)
    await credential.token()
    await asyncio.sleep(0.1)
    assert vendor.counts["requests"] == 3


@virtual
async def test_a_refused_token_that_was_replaced_meanwhile_costs_no_look():
    """The current one is handed out from memory; only after a suspend the store is read first."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    old = await credential.token()
    new = await credential.refresh()
    store.counts.clear()
    assert await credential.replacement(old) == new
    assert not store.counts
    await asyncio.sleep(3600)
    worker.slept = 3600
    assert (await credential.replacement(old)).access_token not in {old.access_token, new.access_token}
    assert store.counts["read"] == 2  # and once for the newest client secret, before the exchange


@virtual
async def test_a_login_where_there_is_none_asks_nobody():
    """The caller's mistake is told before a store is asked for a lease."""
    store, vendor = Store(), Vendor()
    with pytest.raises(UnsupportedGrant):
        await Worker(store, vendor).credential(CLIENT).login(email="ada@example.com", password="correct horse")
    assert not store.counts


async def in_doubt(store: Store, worker: Worker):
    """A user's credential whose refresh token somebody set out to spend, and has not come back."""
    credential = await logged_in(worker)
    key, held = credential.replica.key, credential._state
    note = Note(doubt=digest(held.token), since=1.0).encode()
    granted = await store.inner.claim(key, "somebody", 10, held.version, b"")
    await store.inner.release(key, granted.number, note)
    return credential


@virtual
async def test_while_a_lost_holder_is_waited_for_nobody_looks_more_often_than_every_two_seconds():
    """Whoever asks for another token is told when to come back, and the store is left alone until then."""
    store, vendor = Store(), Vendor()
    credential = await in_doubt(store, Worker(store, vendor))
    for _ in range(2):
        with pytest.raises(VendorUnavailable, match="did not come back") as caught:
            await credential.refresh()
        assert caught.value.retry_after == 2.0
        store.counts.clear()
        await asyncio.sleep(1)
        with pytest.raises(VendorUnavailable, match="did not come back") as caught:
            await credential.refresh()
        assert caught.value.retry_after == pytest.approx(1.0)
        assert not store.counts
        await asyncio.sleep(1)
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_the_wait_for_a_lost_holder_ends_with_the_token():
    """At ``hard`` somebody has to try: the last gap is not longer than what is left until then."""
    store, vendor = Store(), Vendor()
    credential = await in_doubt(store, Worker(store, vendor))
    await asyncio.sleep(credential._state.windows.hard - monotonic() - 0.5)
    with pytest.raises(VendorUnavailable) as caught:
        await credential.refresh()
    assert caught.value.retry_after == pytest.approx(0.5)


@virtual
async def test_after_an_adapter_failed_it_is_left_alone_for_a_second():
    """What it raised comes out once; whoever asks within the second is told that the renewal failed, and nobody is asked."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    vendor.fails(ValueError("what the adapter should not raise"))
    with pytest.raises(ValueError, match="should not"):
        await credential.token()
    await asyncio.sleep(0.9)
    with pytest.raises(VendorUnavailable, match="the renewal failed: ValueError") as caught:
        await credential.token()
    assert caught.value.retry_after == pytest.approx(0.1)
    assert vendor.counts["requests"] == 1


@pytest.mark.parametrize("away", [True, False], ids=["store away", "nobody logged in"])
@virtual
async def test_a_store_is_looked_at_again_after_half_a_second(away):
    """What may be over at any moment is not kept at a distance that doubles."""
    store = Store()
    credential = Worker(store, Vendor()).credential(USER)
    if away:
        store.down.add("*")
    for _ in range(5):
        began = sum(store.counts.values())
        with pytest.raises(StoreUnavailable if away else ReauthorizationRequired):
            await credential.token()
        calls = sum(store.counts.values())
        assert calls > began
        await asyncio.sleep(0.45)
        with pytest.raises(StoreUnavailable if away else ReauthorizationRequired):
            await credential.token()
        assert sum(store.counts.values()) == calls
        await asyncio.sleep(0.06)
