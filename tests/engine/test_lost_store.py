"""A store that loses its data, and tells that it may have: whoever holds something newer puts it back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from linkauth.errors import ReauthorizationRequired, StoreUnavailable
from linkauth.oauth.token import Token
from linkauth.protocol.keys import secret_key
from tests.engine import virtual as clock
from tests.engine.announcing import Telling
from tests.engine.fakes import BASE, CLIENT, USER, Keeping, Vendor, Worker, logged_in, refusal, remembered
from tests.engine.scenes import renewing
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_an_idle_worker_puts_back_what_the_store_lost():
    """Restarted empty: within a second the session is there again under its own number, and the vendor is not asked."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await credential.refresh()
    version = await store.version(credential.replica.key)
    store.empty()
    store.tell(None)
    await asyncio.sleep(1)
    assert await store.version(credential.replica.key) == version
    newcomer = Worker(store, vendor).credential(USER)
    assert await newcomer.token() == await credential.token()
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_who_hears_of_something_older_puts_back_the_newer():
    """A worker that was asleep commits what it has: the one that has something newer hears of it, and its own stands."""
    store, vendor = Telling(), Vendor()
    asleep = await logged_in(Worker(store, vendor))
    awake = Worker(store, vendor).credential(USER)
    await awake.token()
    fresh = await awake.refresh()
    store.empty()
    before = remembered(asleep).version
    await asleep.replica.put_back()
    await asyncio.sleep(0.1)
    assert await store.version(awake.replica.key) == remembered(awake).version > before
    assert await Worker(store, vendor).credential(USER).token() == fresh


@virtual
async def test_a_worker_that_finds_nothing_asks_around_before_it_spends():
    """Its own token was spent long ago, and the empty store does not say so: it learns of the newer one and takes that."""
    store, vendor = Telling(), Vendor()
    asleep = await logged_in(Worker(store, vendor))
    awake = Worker(store, vendor).credential(USER)
    await awake.token()
    fresh = await awake.refresh()
    store.empty()
    assert (await asleep.refresh()).access_token == fresh.access_token
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (1, 0)


@virtual
async def test_a_worker_that_nobody_answers_spends_what_it_has():
    """Nothing newer comes forward in three seconds: what the worker holds is the newest there is."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.empty()
    begun = monotonic()
    await credential.refresh()
    assert 3 <= monotonic() - begun < 4
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (1, 0)


@virtual
async def test_nothing_is_spent_for_a_moment_after_data_was_lost():
    """Somebody may still put something newer back: a renewal right after the loss waits its three seconds."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.tell(None)
    await asyncio.sleep(0)
    begun = monotonic()
    await credential.refresh()
    assert 2.5 <= monotonic() - begun < 4


@virtual
async def test_what_was_put_back_by_a_newer_one_meanwhile_is_adopted():
    """Two put back at once: the fence lets the newer stand, and the older worker goes on with it."""
    store, vendor = Telling(), Vendor()
    older = await logged_in(Worker(store, vendor))
    newer = Worker(store, vendor).credential(USER)
    await newer.token()
    fresh = await newer.refresh()
    key, record = newer.replica.key, (await store.read(newer.replica.key)).record
    store.empty()

    def first(name):
        if name == "commit":
            store.before = lambda _: None
            return store.inner.commit(key, record.version, record.value)
        return None

    store.before = first
    await older.replica.put_back()
    assert (await older.token()).access_token == fresh.access_token
    assert await store.version(key) == record.version


@virtual
async def test_a_login_since_the_loss_is_not_taken_back():
    """It takes its number from the clock, above whatever the session before it has, and who holds that takes it over."""
    store, vendor = Telling(), Vendor()
    before = await logged_in(Worker(store, vendor))
    await before.refresh()
    held = remembered(before).version
    store.empty()
    await asyncio.sleep(10)
    user = await logged_in(Worker(store, vendor))
    record = (await store.read(user.replica.key)).record
    assert held < record.version
    await asyncio.sleep(1)  # who holds the one before has heard of the login
    assert (await store.read(user.replica.key)).record == record
    await before.replica.look()
    assert await before.token() == await user.token()


@virtual
async def test_what_is_found_lost_is_put_back_before_the_lease_is_given_back():
    """Else who has yet to hear of the loss would be granted a number above the login's, and write the session before over it."""
    store, vendor = Telling(), Vendor()
    before = await logged_in(Worker(store, vendor))
    older = (await store.read(before.replica.key)).record
    await asyncio.sleep(10)
    user = await logged_in(Worker(store, vendor))
    store.ears.clear()
    store.empty()
    await store.inner.commit(user.replica.key, older.version, older.value)
    renewals = []

    def meanwhile(name):
        if name != "commit":
            return None
        store.before = lambda _: None
        renewals.append(asyncio.create_task(before.refresh()))
        return asyncio.sleep(0.1)

    store.before = meanwhile
    await user.refresh()
    await renewals[0]
    assert remembered(before).lineage.session == remembered(user).lineage.session
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_what_is_adopted_while_the_lease_is_asked_for_is_not_spent():
    """The note that goes with the claim names another token: were this worker to die, nobody would know of the doubt."""
    store, vendor = Telling(), Vendor()
    before = await logged_in(Worker(store, vendor))
    await before.refresh()
    store.empty()
    store.ears.clear()  # it hears of the login only when it has asked for the lease
    await asyncio.sleep(10)
    user = await logged_in(Worker(store, vendor))

    def meanwhile(name):
        if name == "claim":
            store.before = lambda _: None
            return before.replica.put_back()
        return None

    store.before = meanwhile
    await before.replica.look()
    assert await before.token() == await user.token()
    assert vendor.counts["/auth/refresh"] == 1
    begun = monotonic()
    await user.refresh()  # the lease is given back
    assert monotonic() == begun


@virtual
async def test_a_store_that_does_not_take_it_is_offered_it_again(caplog):
    """It is away again when the session is to be put back: the watch goes on, and the next word of a loss finds it."""
    caplog.set_level(logging.DEBUG, "linkauth")
    store = Telling()
    credential = await logged_in(Worker(store, Vendor()))
    store.empty()
    store.down.add("commit")
    store.tell(None)
    await asyncio.sleep(1)
    assert await store.version(credential.replica.key) == 0
    assert "is not put back" in caplog.text
    store.down.clear()
    store.tell(None)
    await asyncio.sleep(1)
    assert await store.version(credential.replica.key) > 0


@virtual
async def test_a_rotated_secret_is_put_back():
    """Every older secret is dead at the vendor: who knows the newest gives it back to a store that lost it."""
    store, vendor = Telling(), Vendor()
    worker = Worker(store, vendor)
    await worker.credential(CLIENT).rotate_secret()
    store.empty()
    store.tell(None)
    await asyncio.sleep(1)
    assert await store.version(secret_key(CLIENT)) > 0
    assert (await Worker(store, vendor).credential(CLIENT, "another").token()).access_token
    assert {secret for _, path, secret in vendor.sent[-1:]} == {vendor.secret}


@virtual
async def test_a_secret_that_the_store_has_is_not_written_again():
    """It was away and lost nothing: one look, no commit; and a secret that never was rotated is not even looked for."""
    store = Telling()
    worker, idle = Worker(store, Vendor()), Worker(store, Vendor())
    await idle.credential(CLIENT, "idle").token()
    await worker.credential(CLIENT).rotate_secret()
    before = dict(store.counts)
    store.tell(None)
    await asyncio.sleep(1)
    assert store.counts["commit"] == before["commit"]
    assert store.counts["read"] == before["read"] + 1


@virtual
async def test_a_lease_that_was_lost_while_the_vendor_is_asked_is_taken_again():
    """The store restarts empty in the middle of a renewal: nobody else spends the token, and the answer is stored."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor, timeout=60))
    other = Worker(store, vendor, timeout=60).credential(USER)
    await other.token()
    renewal, gate = await renewing(credential, vendor)
    store.empty()
    store.tell(None)
    await asyncio.sleep(1)
    second = asyncio.create_task(other.refresh())
    await asyncio.sleep(10)
    gate.set()
    assert (await renewal).access_token == (await second).access_token
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (1, 0)


@virtual
async def test_a_store_that_is_away_is_no_reason_to_put_back():
    """The read says so, and the caller hears it."""
    store = Telling()
    credential = await logged_in(Worker(store, Vendor()))
    store.down.add("read")
    with pytest.raises(StoreUnavailable):
        await credential.replica.put_back()


@virtual
async def test_a_session_whose_refresh_token_stays_good_is_put_back_too():
    """Nothing would be spent twice, but the user would have to come again once all who hold it have ended."""
    store, vendor = Telling(), Vendor()
    keeping = Keeping(base_url=BASE)
    holder = Worker(store, vendor).credential(keeping)
    await holder.login(email="ada@example.com", password="correct horse")
    store.empty()
    store.tell(None)
    await asyncio.sleep(1)
    assert (await Worker(store, vendor).credential(keeping).token()) == await holder.token()


@virtual
@pytest.mark.parametrize("heard", [True, False])
async def test_a_refusal_where_nothing_is_spent_waits_for_what_others_put_back(heard):
    """It missed the user's leaving and coming back, and the store has lost both: the session that lives is taken."""
    store, vendor = Telling(), Vendor()
    keeping = Keeping(base_url=BASE)
    asleep, awake = (Worker(store, vendor).credential(keeping) for _ in range(2))
    await asleep.login(email="ada@example.com", password="correct horse")
    before = (await store.read(asleep.replica.key)).record
    await awake.logout()
    fresh = await awake.login(email="ada@example.com", password="correct horse")
    store.empty()
    if heard:  # it fell back to what it had before
        await store.inner.commit(asleep.replica.key, before.version, before.value)
        asleep._context.read_repair.beware()
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    refreshing = asyncio.create_task(asleep.refresh())
    await asyncio.sleep(0.5)
    await awake.replica.put_back()
    assert (await refreshing).access_token == fresh.access_token
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_refusal_that_nobody_contradicts_is_believed_after_a_moment():
    """And the vendor is asked at once, for asking spends nothing."""
    store, vendor = Telling(), Vendor()
    credential = Worker(store, vendor).credential(Keeping(base_url=BASE))
    await credential.login(email="ada@example.com", password="correct horse")
    store.empty()
    begun = monotonic()
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    assert vendor.sent[-1][0] < begun + 1
    assert 3 <= monotonic() - begun < 4


@virtual
async def test_who_has_logged_out_sees_a_login_after_the_store_lost_the_logout():
    """The store counts anew, and a login stands there: it comes after the logout, and its token is handed out."""
    store, vendor = Telling(), Vendor()
    left = await logged_in(Worker(store, vendor))
    await left.logout()
    store.empty()
    await asyncio.sleep(1)
    back = await logged_in(Worker(store, vendor))
    fresh = await back.refresh()
    assert await left.token() == fresh


@virtual
async def test_such_a_login_may_have_brought_no_refresh_token():
    """There is nothing in it to be known by, and it is a session all the same."""
    store = Telling()
    left = await logged_in(Worker(store, Vendor()))
    await left.logout()
    store.empty()
    await asyncio.sleep(1)
    token = Token(access_token="theirs", issued_at=clock.wall(), expires_at=clock.wall() + 60)
    number = remembered(left).version
    await store.inner.commit(left.replica.key, number, left.replica._closed(number, token))
    assert await left.token() == token
