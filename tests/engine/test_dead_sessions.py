"""A refresh token that the vendor refuses: when that is believed, what is written down, and what the user is told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import attrs
import pytest

from linkauth.engine.events import EventKind
from linkauth.errors import (
    LinkAuthError,
    ReauthorizationRequired,
)
from linkauth.protocol.intent import digest
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth.store import Granted
from tests.engine import virtual as clock
from tests.engine.announcing import Telling
from tests.engine.fakes import BASE, LATER, USER, Fault, Keeping, Store, Vendor, Worker, logged_in, refusal, remembered
from tests.engine.scenes import left_in_doubt
from tests.engine.virtual import virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.credential import Credential


@pytest.mark.slow
@virtual
async def test_a_session_that_is_lost_says_why_and_is_asked_about_once():
    """Killed after the vendor acted: one worker tries once, all others know it from the store, in words."""
    store, vendor = Store(), Vendor()
    await left_in_doubt(store, vendor, acts=True)
    workers = [Worker(store, vendor) for _ in range(5)]
    for _ in range(20):
        for worker in workers:
            with pytest.raises(ReauthorizationRequired, match="may have been lost") as caught:
                await worker.credential(USER).token()
            assert caught.value.credential is worker.credential(USER)
        await asyncio.sleep(1)
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 1


async def refused_while_somebody_writes(
    store: Store, vendor: Vendor, change: Callable[[TokenRecord], TokenRecord]
) -> Credential:
    """A credential whose next renewal is refused; another worker writes what ``change`` makes of its record before it looks."""
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = await logged_in(worker)
    await other.credential(USER).token()
    vendor.fails(refusal(401, "REFRESH_TOKEN_REUSED"))
    inner, key, codec = store.inner, credential.replica.key, worker.context.codec

    async def written_meanwhile() -> None:
        if vendor.counts["/auth/refresh"] == 1:
            store.before = lambda name: None
            record = codec.open(key, (await inner.read(key)).record)
            assert isinstance(record, TokenRecord)
            await inner.commit(key, LATER, codec.close(key, LATER, change(record)))

    store.before = lambda name: written_meanwhile() if name == "read" else None
    return credential


@virtual
async def test_a_refusal_is_believed_only_after_another_look_at_the_store():
    """invalid_grant, and meanwhile somebody wrote a newer token: that is adopted, and nobody is sent for the user."""

    def renewed(record: TokenRecord) -> TokenRecord:
        token = attrs.evolve(record.token, access_token="newer", refresh_token="refresh-newer")
        return attrs.evolve(record, token=token, generation=(record.generation or 0) + 1)

    credential = await refused_while_somebody_writes(Store(), Vendor(), renewed)
    assert (await credential.refresh()).access_token == "newer"
    assert remembered(credential).version == LATER


@virtual
async def test_a_reassertion_makes_nobody_ask_again_with_what_was_refused():
    """The refused token stands under a higher number: it is no newer one, so it is marked dead above that and not sent again."""
    store, vendor = Store(), Vendor()
    credential = await refused_while_somebody_writes(store, vendor, lambda record: record)
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    assert vendor.counts["/auth/refresh"] == 1
    assert remembered(credential).version == (await store.read(credential.replica.key)).record.version == LATER + 1


@virtual
async def test_a_refusal_that_the_store_could_not_take_is_not_asked_again_here():
    """The store is away when the refusal is to be written: this worker knows all the same, and asks no second time."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(refusal(401, "TOKEN_INVALID"), times=5)
    store.down |= {"commit"}
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    store.down.clear()
    for _ in range(5):
        await asyncio.sleep(1)
        with pytest.raises(ReauthorizationRequired):
            await credential.token()
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_who_was_refused_looks_before_it_believes_it():
    """The holder before it was only slow, and commits under its own, lower number: that is the session, and it lives."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    key, held = credential.replica.key, credential.peek()
    slow = await store.inner.claim(key, "the slow one", 1, remembered(credential).version, b"")
    await asyncio.sleep(2)
    vendor.faults.append(Fault(refusal(401, "REFRESH_TOKEN_REUSED"), delay=2))
    flight = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    brought = attrs.evolve(held, access_token="brought", refresh_token="brought too")
    await store.inner.commit(key, slow.number, credential.replica._closed(slow.number, brought))
    assert (await flight).access_token == "brought"
    assert (await Worker(store, vendor).credential(USER).token()).access_token == "brought"
    assert isinstance(await store.inner.claim(key, "next", 1, 10**13, b""), Granted)  # and nobody holds the lease


@virtual
async def test_a_wait_for_whoever_comes_back_asks_the_store_a_few_times_a_second():
    """The store lost the lease under it, so that there is nothing to wait for: it looks again, and not without end."""
    store, vendor = Store(), Vendor()
    credential = await left_in_doubt(store, vendor)
    begun = clock.monotonic()

    def lose(name: str) -> None:
        if name == "wait_for_change":
            store.inner._slots.clear()

    store.before = lose
    store.counts.clear()
    with contextlib.suppress(LinkAuthError):
        await credential.token()
    waited = clock.monotonic() - begun
    assert waited >= 3
    assert store.counts["read"] <= 5 * waited


@virtual
async def test_the_refusal_is_told_in_the_vendors_words():
    """The operator reads why the session ended, here and wherever the record is read."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.refused |= {"session-1"}
    for each in (credential, Worker(store, vendor).credential(USER)):
        with pytest.raises(
            ReauthorizationRequired, match=r"the vendor refused the refresh token \(.*HTTP 401.*\); the user must"
        ):
            await each.refresh()
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_loss_is_told_with_both_of_its_reasons():
    """What the vendor said, and that somebody died while renewing."""
    store, vendor = Store(), Vendor()
    await left_in_doubt(store, vendor, acts=True)
    words = r"the vendor refused the refresh token \(.*REUSED.*\); the answer to an earlier renewal may have been lost"
    with pytest.raises(ReauthorizationRequired, match=words):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_refusal_does_not_bury_a_login_of_the_same_process():
    """The store lost the lease, the user logged in, the lease was taken again; then the old refresh token is refused."""
    store, vendor, gate = Store(), Vendor(), asyncio.Event()
    credential = await logged_in(Worker(store, vendor))
    vendor.faults.append(Fault(refusal(401, "TOKEN_INVALID"), gate=gate))
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    await store.inner.release(credential.replica.key, 2)
    fresh = await credential.login(email="ada@example.com", password="correct horse")
    await asyncio.sleep(credential.replica.ttl / 3)
    gate.set()
    assert await renewal == await credential.token() == fresh


@virtual
async def test_a_refusal_that_comes_under_a_lost_lease_is_not_believed():
    """While others may put something back the lease goes to somebody else: he is waited for, and the vendor is asked again."""
    store, vendor = Telling(), Vendor()
    credential = Worker(store, vendor).credential(Keeping(base_url=BASE))
    await credential.login(email="ada@example.com", password="correct horse")
    key = credential.replica.key
    credential._context.read_repair.beware()
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    refreshing = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    store.inner._slots[key] = store.inner._slots[key].lapse()
    assert isinstance(await store.inner.claim(key, "him", 8, LATER, b""), Granted)
    assert (await refreshing).access_token
    assert [path for _, path, _ in vendor.sent] == ["/auth/login", "/auth/refresh", "/auth/refresh"]
    assert vendor.sent[2][0] >= vendor.sent[1][0] + 8


@virtual
async def test_the_record_of_a_dead_session_says_which_token_was_refused():
    """By a digest: a late answer to that very token knows by it that it is not meant. The event is told once."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    spent = digest(credential.peek())
    vendor.refused.add("session-1")
    for _ in range(2):
        with pytest.raises(ReauthorizationRequired):
            await credential.refresh()
    key = credential.replica.key
    dead = worker.context.codec.open(key, (await store.inner.read(key)).record)
    assert isinstance(dead, DeadRecord)
    assert (dead.spent, dead.by_user) == (spent, False)
    assert [event.kind for event in worker.events].count(EventKind.REAUTHORIZATION_REQUIRED) == 1
