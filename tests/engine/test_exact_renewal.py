"""What a renewal leaves in the store and tells, step by step: where a mutant of ``renewal`` survived the rest."""

from __future__ import annotations

import asyncio

import pytest

from linkauth import OAuth2
from linkauth.engine.events import EventKind
from linkauth.engine.note import Note
from linkauth.errors import ReauthorizationRequired, StoreUnavailable, VendorUnavailable
from linkauth.oauth.token import Token
from linkauth.vendors.vendor import RotationProfile
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import BASE, CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import virtual


@virtual
async def test_a_renewal_is_told_with_the_time_that_it_took():
    """One event, of the worker that renewed; whoever finds the token adopts it, once."""
    store, vendor = Store(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    vendor.delay = 3.0
    await worker.credential(CLIENT).token()
    await other.credential(CLIENT).token()
    assert [(event.kind, event.duration) for event in worker.events] == [(EventKind.RENEWED, 3.0)]
    assert other.heard() == ["adopted"]


@virtual
async def test_a_renewal_that_was_stalled_past_its_lease_claims_again():
    """Stopped between the claim and the sending, with the old token still good: ``refresh`` brings another all the same."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    old = await credential.token()
    inner_claim = store.inner.claim

    async def claim_and_stop(*args):
        store.inner.claim = inner_claim
        granted = await inner_claim(*args)
        worker.slept -= 20  # stopped for longer than the lease, which somebody else took and gave back meanwhile
        await store.inner.release(credential.ledger.key, granted.number)
        return granted

    store.inner.claim = claim_and_stop
    claims = store.counts["claim"]
    assert (await credential.refresh()).access_token != old.access_token
    assert (store.counts["claim"] - claims, vendor.counts["/auth/refresh"]) == (2, 1)


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
async def test_a_note_about_another_token_is_no_doubt_about_this_one():
    """Somebody set out with a token that is long gone: that this worker found no connection puts nothing in doubt."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    key = credential.ledger.key
    granted = await store.inner.claim(key, "somebody", 10, credential._holding.version, b"")
    await store.inner.release(key, granted.number, Note(doubt="of another", since=1.0).encode())
    worker.offline = True
    with pytest.raises(VendorUnavailable):
        await credential.refresh()
    note = Note.decode((await store.inner.read(key)).note)
    assert (note.doubt, note.since, note.failures, note.kind) == ("", 0.0, 1, "NotSent")


@virtual
async def test_the_doubt_keeps_its_beginning():
    """Tried again and again without an answer: the replay window counts from the first who set out."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    begun = clock.wall()
    for _ in range(2):
        vendor.fails(answer(504, b""))
        with pytest.raises(VendorUnavailable):
            await credential.refresh()
        note = Note.decode((await store.inner.read(credential.ledger.key)).note)
        assert note.doubt
        assert note.since == pytest.approx(begun, abs=0.01)
        await asyncio.sleep(5)


@virtual
async def test_the_refusal_is_told_in_the_vendors_words():
    """The operator reads why the session ended, here and wherever the record is read."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.refused |= {"session-1"}
    for each in (credential, Worker(store, vendor).credential(USER)):
        with pytest.raises(ReauthorizationRequired, match=r"refused the refresh token \(.*HTTP 401.*\); the user must"):
            await each.refresh()
    assert vendor.counts["/auth/refresh"] == 1


@pytest.mark.parametrize("paired", [True, False])
@virtual
async def test_a_user_whose_refresh_token_stays_good_is_not_held_up_by_the_store(paired):
    """No rotation: with the store away it is renewed for this process alone; without a token only the store can have one."""
    store, vendor = Store(), Vendor()
    page = OAuth2(
        name="page",
        client_id="shop",
        token_url=f"{BASE}/oauth/token",
        authorize_url=f"{BASE}/authorize",
        rotation=RotationProfile(rotates=False),
    )
    worker = Worker(store, vendor)
    credential = worker.credential(page)
    if paired:
        at, now = clock.wall(), worker.office.shelf
        reading, time = await now.ask(store.read(credential.ledger.key))
        assert reading.record is None
        held = Token(access_token="old", issued_at=at, expires_at=at + 1, refresh_token="stays")
        credential._holding.take(held, 1, time)
    await asyncio.sleep(2)
    store.down.add("*")
    vendor.fails(answer(200, {"access_token": "new", "token_type": "Bearer", "expires_in": 900}))
    if paired:
        assert (await credential.token()).access_token == "new"
        assert credential._holding.stored is False
    else:
        with pytest.raises(StoreUnavailable):
            await credential.token()
        assert vendor.counts["requests"] == 0
