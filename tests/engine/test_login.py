"""Logins: they wait for nobody for long, and nothing that stands in the store holds one up."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import (
    InvalidGrant,
    ReauthorizationRequired,
    UnsupportedGrant,
)
from linkauth.protocol import timing
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, logged_in, refusal
from tests.engine.scenes import renewing, stalls_after_its_claim
from tests.engine.test_keys import lease_ends
from tests.engine.test_waiting import FOR_EVER
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_a_wrong_password_changes_nothing():
    """A login that fails leaves the session that there was."""
    vendor = Vendor()
    credential = await logged_in(Worker(Store(), vendor))
    token = await credential.token()
    vendor.fails(refusal(401, "INVALID_CREDENTIALS"))
    with pytest.raises(InvalidGrant):
        await credential.login(email="ada@example.com", password="wrong")
    assert await credential.token() == token
    assert (await credential.refresh()).access_token


@virtual
async def test_a_login_that_was_stalled_past_its_lease_is_carried_out():
    """The process was stopped between its claim and the sending: it claims again, and the login succeeds."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(USER)
    stalls_after_its_claim(worker, store)
    token = await credential.login(email="ada@example.com", password="correct horse")
    assert (await Worker(store, vendor).credential(USER).token()).access_token == token.access_token
    assert (store.counts["claim"], vendor.counts["/auth/login"]) == (2, 1)


@virtual
async def test_a_login_where_there_is_none_asks_nobody():
    """The caller's mistake is told before a store is asked for a lease."""
    store, vendor = Store(), Vendor()
    with pytest.raises(UnsupportedGrant):
        await Worker(store, vendor).credential(CLIENT).login(email="ada@example.com", password="correct horse")
    assert not store.counts


@virtual
async def test_a_login_waits_two_seconds_for_a_renewal_and_does_not_knock_without_end():
    """Another worker has the lease: its change is waited for, and then the user's word goes before what comes later."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    renewal, gate = await renewing(credential, vendor)
    store.counts.clear()
    login = asyncio.create_task(logged_in(Worker(store, vendor)))
    await asyncio.sleep(1)
    assert store.counts["claim"] == 1
    assert not login.done()
    brought = await (await login).token()
    assert store.counts["claim"] == 2
    gate.set()
    assert await renewal == brought
    assert await credential.token() == brought


@virtual
async def test_a_login_over_a_record_that_nobody_can_read_does_not_knock_without_end():
    """It waits for a change of that record, not of one before it, until whoever holds the lease is done."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    key = worker.credential(USER).replica.key
    await store.inner.commit(key, 7, b"broken")
    other = await store.inner.claim(key, "other", 600, 7, b"")
    login = asyncio.create_task(logged_in(worker))
    await asyncio.sleep(1.5)
    assert store.counts["claim"] == 1
    await store.inner.release(key, other.number)
    assert (await (await login).token()).access_token


@virtual
async def test_a_login_does_not_wait_for_ever():
    """Somebody keeps the lease and brings nothing: the user's word needs none, and stands for everybody."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    await store.inner.claim(credential.replica.key, "stranger", FOR_EVER, 0, b"")
    begun = monotonic()
    token = await credential.login(email="ada@example.com", password="p")
    assert monotonic() - begun == pytest.approx(timing.USER_WAITS, abs=0.5)
    assert await Worker(store, vendor).credential(USER).token() == token


@virtual
async def test_a_login_goes_over_what_was_written_while_it_looked():
    """A renewal commits between its look and its claim: it looks again, and its own session is the one that holds."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    other = Worker(store, vendor).credential(USER)

    def renewed(name):
        if name == "claim":
            store.before = lambda _: None
            return other.refresh()
        return None

    await other.token()
    store.before = renewed
    token = await credential.login(email="ada@example.com", password="p")
    assert (await Worker(store, vendor).credential(USER).token()).access_token == token.access_token
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_login_that_comes_while_the_store_is_read_is_believed():
    """The look found nothing, and when it is over there is a token: that is what the caller gets."""
    store = Store()
    credential = Worker(store, Vendor()).credential(USER)

    def log_in(name):
        if name == "read":
            store.before = lambda _: None
            return credential.login(email="ada@example.com", password="correct horse")
        return None

    store.before = log_in
    assert (await credential.token()).access_token


@virtual
async def test_who_looks_for_a_session_is_served_the_login_that_came_meanwhile():
    """The user logs in here while the store is looked at, which does not take the answer: it is served all the same."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    store.down.add("commit")

    async def user_comes() -> None:
        store.before = lambda _: None
        await credential.login(email="ada@example.com", password="correct horse")

    store.before = lambda name: user_comes() if name == "read" else None
    found = await credential.token()
    assert found == credential.peek()
    assert (await store.inner.read(credential.replica.key)).record is None


@pytest.mark.parametrize("leaves", [False, True], ids=["a login", "a logout"])
@virtual
async def test_a_renewal_that_was_claimed_meanwhile_does_not_take_the_place_of_the_users_word(leaves):
    """The store ends its lease while the vendor is asked, and somebody renews the session before: his answer comes too late."""
    store, vendor = Store(), Vendor()
    credential, other = await logged_in(Worker(store, vendor)), Worker(store, vendor).credential(USER)
    await other.token()
    answers, renewed = vendor.holds(), vendor.holds()
    word = credential.logout() if leaves else credential.login(email="ada@example.com", password="correct horse")
    says = asyncio.create_task(word)
    await asyncio.sleep(0.1)
    lease_ends(store, credential.replica.key)
    renewal = asyncio.create_task(other.refresh())
    await asyncio.sleep(0.1)
    answers.set()
    await says
    renewed.set()
    anybody = Worker(store, vendor).credential(USER)
    if leaves:
        for asking in (renewal, anybody.token(), other.token()):
            with pytest.raises(ReauthorizationRequired, match="logged out"):
                await asking
        return
    assert await renewal == says.result()
    for each in (anybody, other, credential):
        assert (await each.token()).access_token == says.result().access_token
