"""Clocks that jump, stop or are wrong: one look at the store tells what a token is still worth."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from linkauth.errors import VendorUnavailable
from linkauth.oauth.token import Token
from linkauth.protocol.intent import Note
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, LATER, PAGE, Store, Vendor, Worker, answer, logged_in, remembered
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
async def test_after_a_suspend_one_look_at_the_store_serves_all():
    """The machine slept an hour: a thousand tasks wake, the store is read once, and nobody gets the dead token."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    old = await credential.token()
    await asyncio.sleep(3600)
    worker.slept = 3600  # which the monotonic clock did not see
    reads = store.counts["read"]
    tokens = await asyncio.gather(*(credential.token() for _ in range(1000)))
    assert {token.access_token for token in tokens} == {(await credential.token()).access_token}
    assert tokens[0] != old
    assert store.counts["read"] - reads == 2  # and once for the newest client secret, before the exchange
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_wall_clock_set_an_hour_ahead_costs_one_look():
    """Somebody sets the host's clock: the store's clock says that nothing has passed, and the token goes on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    reads = store.counts["read"]
    worker.wall_ahead = 3600
    for _ in range(2):
        assert await asyncio.gather(*(credential.token() for _ in range(5))) == [token] * 5
    assert store.counts["read"] - reads == 1
    assert vendor.counts["requests"] == 1


@virtual
async def test_after_a_suspend_with_no_store_the_wall_is_believed():
    """With the store away the wall clock is all there is: a token that it says is over is not served."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    old = await credential.token()
    await asyncio.sleep(3600)
    worker.slept = 3600
    store.down.add("*")
    assert await credential.token() != old


@virtual
async def test_a_broken_record_after_a_jump_keeps_the_token_in_memory():
    """The record is broken when the clocks make us look: the token that is still good is served on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    key = credential.replica.key
    claim = await store.claim(key, "x", 1, 99, b"")
    await store.commit(key, claim.number, b"broken")
    worker.wall_ahead = 800  # which is past ``soft``, and the token's end is not yet there
    assert await credential.token() == token


@pytest.mark.parametrize("hours", [-1, 1])
@virtual
async def test_a_host_whose_clock_is_wrong_is_like_any_other(hours):
    """A worker's wall clock is an hour off from the start, either way: it neither renews early nor serves late."""
    store, vendor = Store(), Vendor()
    right, wrong = Worker(store, vendor), Worker(store, vendor)
    wrong.wall_ahead = hours * 3600
    token = await right.credential(CLIENT).token()
    await asyncio.sleep(600)
    assert await wrong.credential(CLIENT).token() == token
    assert vendor.counts["requests"] == 1
    await asyncio.sleep(299)
    assert (await wrong.credential(CLIENT).token()) != token
    assert vendor.counts["requests"] == 2


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
async def test_a_clock_that_jumps_costs_no_renewal_of_what_the_store_took_and_did_not_say_so():
    """The answer to the commit was lost; a look at the store tells that it has the token, and so how long it lives."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    store.lost.add("commit")
    token = await credential.token()
    assert not remembered(credential).stored
    store.lost.clear()
    worker.wall_ahead += 3600
    assert await credential.token() == token
    assert remembered(credential).stored
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
async def test_a_token_read_from_a_store_whose_clock_was_set_back_is_served_for_its_own_lifetime():
    """Three seconds from when it was first read, not an hour and three; and it is renewed behind at once, as it may be old."""
    store, vendor, back = Store(), Vendor(), 3600.0
    store.inner = MemoryStore(clock=lambda: clock.wall() - back)
    worker = Worker(store, vendor)
    credential = worker.credential(PAGE)
    now = clock.wall()  # by the store's clock as it was
    short = Token(access_token="short", issued_at=now, expires_at=now + 3, refresh_token="stays")
    await store.inner.commit(credential.replica.key, 1, credential.replica._closed(1, short))
    vendor.fails(answer(503, b""), times=100)
    begun = clock.monotonic()
    assert await credential.token() == short
    while clock.monotonic() < begun + 2.7:
        assert await credential.token() == short
        await asyncio.sleep(0.1)
        assert vendor.counts["requests"] > 0
    await asyncio.sleep(begun + 3.01 - clock.monotonic())
    with pytest.raises(VendorUnavailable):
        await credential.token()
    assert credential.peek() is None


@pytest.mark.parametrize(("left", "asked"), [(299.0, 0), (302.0, 1)])
@virtual
async def test_nobody_is_left_alone_for_longer_than_anybody_orders(left, asked):
    """A note says when the vendor may be asked again. Further off than it is ever set, it is of a clock that was set back."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    claim = await store.inner.claim(credential.replica.key, "he who failed", 5, LATER, b"")
    note = Note(retry_at=clock.wall() + left, failures=1, kind="VendorUnavailable", description="away")
    await store.inner.release(credential.replica.key, claim.number, note.encode())
    with contextlib.suppress(VendorUnavailable):
        await credential.refresh()
    assert vendor.counts["/auth/refresh"] == asked
