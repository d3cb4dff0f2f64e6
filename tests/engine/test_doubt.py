"""The note that goes ahead of a request: who finds one waits for whoever left it, and in the end tries all the same."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import attrs
import pytest

from linkauth.engine.codec import Codec
from linkauth.errors import (
    LinkAuthError,
    NoAnswer,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.records import TokenRecord
from linkauth.vendors.vendor import RotationProfile
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, PAGE, USER, Fault, Store, Vendor, Worker, answer, logged_in, paired, remembered
from tests.engine.scenes import killed_while_renewing, left_in_doubt, renewing
from tests.engine.virtual import monotonic, virtual


async def note(store: Store, worker: Worker) -> Note:
    return Note.decode((await store.read(worker.credential(USER).replica.key)).note)


@virtual
async def test_the_note_stands_before_the_request_goes_out():
    """When the vendor sees the refresh token, the store already says that it may be spent; afterwards it does not."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    renewal, gate = await renewing(credential, vendor)
    assert (await note(store, worker)).doubt
    assert "refresh-" not in (await note(store, worker)).doubt
    gate.set()
    await renewal
    assert await note(store, worker) == Note()


@virtual
async def test_in_doubt_waits_while_the_token_is_valid_and_spends_once_after():
    """The holder died before the vendor acted: nobody spends its token while the old one serves, then one does, once."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    await asyncio.sleep(700)
    await killed_while_renewing(Worker(store, vendor), vendor)
    workers = [Worker(store, vendor) for _ in range(4)]
    while monotonic() < 1000 + 839:
        for worker in workers:
            assert (await worker.credential(USER).token()).access_token
        await asyncio.sleep(1)
    assert vendor.counts["/auth/refresh"] == 1  # the lost one
    await asyncio.sleep(70)
    tokens = await asyncio.gather(*(worker.credential(USER).token() for worker in workers))
    assert len({token.access_token for token in tokens}) == 1
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 0


@virtual
@pytest.mark.parametrize(("lapses", "exchanges"), [(899, 2), (1001, 1)])
async def test_in_doubt_does_not_wait_past_the_refresh_tokens_own_end(lapses, exchanges):
    """A doubtful refresh token that lapses before the access token is tried at once: waiting would lose it for certain."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    replica = credential.replica
    token = attrs.evolve(replica.current(), refresh_expires_at=replica.current().issued_at + lapses)
    record = TokenRecord(vendor=USER.name, account="default", token=token)
    number = remembered(credential).version + 1
    await store.commit(replica.key, number, Codec().close(replica.key, number, record))
    await asyncio.sleep(700)
    await killed_while_renewing(Worker(store, vendor), vendor)
    await asyncio.sleep(20)
    other = Worker(store, vendor).credential(USER)
    await other.token()
    with contextlib.suppress(VendorUnavailable):
        await other.refresh()
    assert vendor.counts["/auth/refresh"] == exchanges
    assert vendor.counts["reuse"] == 0


@virtual
async def test_the_holder_that_comes_back_wins():
    """It was only slow: its late answer is stored, and those who waited in doubt adopt it."""
    store, vendor = Store(), Vendor()
    slow = Worker(store, vendor, timeout=60)
    credential = await logged_in(slow)
    await asyncio.sleep(700)
    store.down.add("extend")  # its lease ends while it works
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(50)
    other = Worker(store, vendor).credential(USER)
    old = await other.token()
    await asyncio.sleep(5)
    gate.set()
    fresh = await renewal
    await asyncio.sleep(90)
    assert old != fresh
    await other.token()
    await asyncio.sleep(1)
    assert await other.token() == fresh
    assert vendor.counts["reuse"] == 0


@virtual
async def test_the_holder_has_his_time_again_after_the_store_was_silent():
    """Nobody could come forward while it was: what is in doubt is spent three seconds after it answers again."""
    store, vendor = Store(), Vendor()
    await left_in_doubt(store, vendor)
    begun = monotonic()

    def silent(name: str) -> Any:
        if name == "wait_for_change" and monotonic() > begun + 1:
            store.before = lambda _: None
            return asyncio.sleep(2.5)
        return None

    store.before = silent
    assert (await Worker(store, vendor).credential(USER).token()).access_token
    assert vendor.sent[-1][0] >= begun + 1 + 2.5 + 3


@pytest.mark.parametrize("fault", [answer(502, b""), answer(504, b""), answer(200, b"<html>"), NoAnswer("cut")])
@virtual
async def test_what_may_have_spent_the_token_leaves_doubt(fault):
    """A gateway that gave up, an answer that nobody can read, no answer: the refresh token may be spent."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.fails(fault)
    with pytest.raises(LinkAuthError):
        await credential.refresh()
    assert (await note(store, worker)).doubt
    assert vendor.counts["/auth/refresh"] == 1


async def in_doubt(store: Store, worker: Worker):
    """A user's credential whose refresh token somebody set out to spend, and has not come back."""
    credential = await logged_in(worker)
    key, held = credential.replica.key, remembered(credential)
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
    await asyncio.sleep(remembered(credential).windows.hard - monotonic() - 0.5)
    with pytest.raises(VendorUnavailable) as caught:
        await credential.refresh()
    assert caught.value.retry_after == pytest.approx(0.5)


@virtual
async def test_a_note_about_another_token_is_no_doubt_about_this_one():
    """Somebody set out with a token that is long gone: that this worker found no connection puts nothing in doubt."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    key = credential.replica.key
    granted = await store.inner.claim(key, "somebody", 10, remembered(credential).version, b"")
    await store.inner.release(key, granted.number, Note(doubt="of another", since=1.0).encode())
    worker.offline = True
    with pytest.raises(VendorUnavailable):
        await credential.refresh()
    note = Note.decode((await store.inner.read(key)).note)
    assert (note.doubt, note.since, note.failures, note.kind) == ("", 0.0, 1, "NotSent")


@virtual
async def test_the_doubt_keeps_its_beginning():
    """Tried without an answer, and again when the token is over: the replay window counts from the first who set out.

    That one has said that it had no answer, so nobody waits for it then.
    """
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    begun = clock.wall()
    for failures in (1, 2):
        vendor.fails(answer(504, b""))
        with pytest.raises(VendorUnavailable):
            await credential.refresh()
        note = Note.decode((await store.inner.read(credential.replica.key)).note)
        assert note.doubt
        assert (note.since, note.failures) == (pytest.approx(begun, abs=0.01), failures)
        await asyncio.sleep(901)
    assert [at for at, path, _ in vendor.sent if path == "/auth/refresh"] == [1000, 1901]


@virtual
async def test_the_note_that_goes_ahead_says_what_is_spent_and_since_when():
    """While the vendor is asked the store knows it; where nothing can be spent it knows nothing."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    user, client = await logged_in(worker), worker.credential(CLIENT)
    for credential, told in ((user, True), (client, False)):
        gate = vendor.holds()
        begun = clock.wall()
        flight = asyncio.create_task(credential.refresh())
        await asyncio.sleep(1)
        note = (await store.inner.read(credential.replica.key)).note
        assert note == (Note(doubt=digest(credential.peek()), since=begun).encode() if told else b"")
        gate.set()
        await flight


@virtual
async def test_a_refresh_token_that_stays_good_is_never_in_doubt():
    """It may be sent as often as one likes, so there is no note, and an emptied store holds nobody up."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await paired(worker, store)
    gate, fresh = asyncio.Event(), {"access_token": "new", "token_type": "Bearer", "expires_in": 900}
    vendor.faults.append(Fault(answer(200, fresh), gate=gate))
    store.inner = MemoryStore(clock=clock.wall)
    flight = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.1)
    assert vendor.counts["requests"] == 1
    assert (await store.inner.read(credential.replica.key)).note == b""
    gate.set()
    assert (await flight).access_token == "new"


@virtual
async def test_an_adapter_that_fails_leaves_the_doubt_behind():
    """Whatever it raised, it may have sent the refresh token: nobody spends that as if nothing had happened."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(ValueError("what the adapter should not raise"))
    with pytest.raises(ValueError, match="should not"):
        await credential.refresh()
    note = Note.decode((await store.inner.read(credential.replica.key)).note)
    assert note.doubt == digest(credential.peek())
    assert note.description == "the vendor's class failed: ValueError"


@pytest.mark.parametrize(("ago", "asked"), [(24.9, 1), (25.1, 0), (-3600, 0)])
@virtual
async def test_within_the_replay_window_nobody_waits_for_a_lost_holder(ago, asked):
    """The vendor takes the token a second time, so there is no doubt; with 5 s left it may act too late, so there is.

    And so there is where the store's clock was set back since: then nobody knows how long ago it was.
    """
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    replays = attrs.evolve(PAGE, rotation=RotationProfile(rotates=True, replay_window=30.0))
    credential = worker.credential(replays)
    key, now = credential.replica.key, clock.wall()
    token = Token(access_token="old", issued_at=now, expires_at=now + 900, refresh_token="stays")
    await store.inner.commit(key, 1, credential.replica._closed(1, token))
    assert (await credential.token()).access_token == "old"
    granted = await store.inner.claim(key, "lost", 1, 1, b"")
    await store.inner.release(key, granted.number, Note(doubt=digest(token), since=now - ago).encode())
    fresh = {"access_token": "new", "token_type": "Bearer", "expires_in": 900}
    vendor.fails(answer(200, fresh))
    with contextlib.suppress(VendorUnavailable):
        assert (await credential.refresh()).access_token == "new"
    assert vendor.counts["requests"] == asked
