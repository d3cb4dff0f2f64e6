"""Looking at all that a store holds: many records at a time where the store can, and the same where it cannot."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.engine.forgetting import forget
from linkauth.engine.readings import AT_ONCE, readings
from linkauth.errors import CorruptRecord, ReauthorizationRequired
from linkauth.protocol.keys import token_key
from tests.engine.announcing import Telling
from tests.engine.fakes import BASE, CLIENT, LATER, USER, Keeping, Store, Vendor, Worker, logged_in
from tests.engine.test_keys import NEW, OLD
from tests.engine.test_suspicion import Deaf
from tests.engine.virtual import virtual


class Single(Store):
    """A store that has the ten methods alone, and one record that it cannot read."""

    broken = ""

    def __getattr__(self, name):
        if name in {"read_many", "exists", "changes"}:
            raise AttributeError(name)
        return super().__getattr__(name)

    async def read(self, key):
        self.counts["read"] += 1
        if key == self.broken:
            raise CorruptRecord(f"the record {key!r} cannot be read")
        return await self.inner.read(key)


async def many(worker, count):
    """So many records of nobody's."""
    for number in range(count):
        await worker.context.store_client.store.commit(f"token/acme/{number:04}", 1, b"broken")


@virtual
async def test_a_thousand_statuses_are_four_round_trips():
    """And three for those kinds of which there is none would be too many: what is not there is not asked for."""
    store = Store()
    worker = Worker(store, Vendor())
    await many(worker, 1000)
    store.counts.clear()
    assert len([status async for status in worker.statuses()]) == 1000
    assert store.counts == {"read_many": 1000 / AT_ONCE}


@virtual
async def test_a_store_without_batches_is_read_one_by_one():
    """Whatever a store of somebody else's can: the same is told, and one that it cannot read is told as one."""
    store, vendor = Single(), Vendor()
    worker = Worker(store, vendor)
    await logged_in(worker, "ada")
    await logged_in(worker, "bob")
    store.broken = token_key(USER, "bob")
    told = {status.account: status for status in [each async for each in worker.statuses()]}
    assert told.keys() == {"ada", ""}
    assert (told[""].key, told[""].vendor) == (store.broken, USER.name)
    assert "cannot be read" in told[""].error
    assert [found async for found in readings(worker.context, "secret/")] == []


@virtual
async def test_what_is_forgotten_is_gone_from_workers_that_hold_it():
    """They hear of it, put nothing back, and send for the user; a login since then stays."""
    vendor, store = Vendor(), Deaf()
    holder, other = Worker(store, vendor), Worker(store, vendor)
    ada = await logged_in(holder, "ada")
    token = await ada.token()
    assert await forget(other.context, token_key(USER, "ada"))
    assert [key async for key in store.keys("token/")] == []
    status = await ada.status()
    assert status.version == 0
    again = await (await logged_in(other, "ada")).token()
    assert again.access_token != token.access_token
    assert [key async for key in store.keys("token/")] == [token_key(USER, "ada")]
    await holder.aclose()
    await other.aclose()


@virtual
@pytest.mark.parametrize("user", [USER, Keeping(base_url=BASE)], ids=["rotates", "keeps"])
async def test_who_holds_what_was_forgotten_sends_for_the_user(user):
    """A worker that has not looked since takes it for lost, and the store for deleted: the store is right, and is asked once."""
    vendor, store = Vendor(), Telling()
    holder, other = Worker(store, vendor), Worker(store, vendor)
    ada = holder.credential(user, "ada")
    await ada.login(email="ada@example.com", password="correct horse")
    assert await forget(other.context, token_key(user, "ada"))
    with pytest.raises(ReauthorizationRequired):
        await ada.refresh()
    assert vendor.counts["/auth/refresh"] == 0
    assert ada.peek() is None
    assert "record repaired" not in holder.heard()
    await holder.aclose()
    await other.aclose()


@virtual
async def test_what_is_forgotten_during_a_login_is_the_login_before():
    """Somebody logs in between the mark and its deletion: his session stays. So does one that came between look and mark."""
    vendor, store = Vendor(), Store()
    worker, operator = Worker(store, vendor), Worker(store, vendor)

    def during(call, key):
        async def login():
            store.before = lambda name: None
            await store.inner.commit(key, LATER, b"a login since")

        return lambda name: login() if name == call else None

    for call in ("delete", "commit"):
        await logged_in(worker, call)
        key = token_key(USER, call)
        store.before = during(call, key)
        assert not await forget(operator.context, key)
        assert (await store.inner.read(key)).record.value == b"a login since"


@virtual
async def test_machines_tokens_marks_and_what_nobody_can_read_are_forgotten():
    """Of a machine's token no mark is left for a moment: nobody would have to log in again. What is not there is not forgotten."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    shop = worker.credential(CLIENT, "shop")
    await shop.token()
    store.counts.clear()
    assert await forget(worker.context, shop.replica.key)
    assert store.counts["commit"] == 0
    await (await logged_in(worker, "ada")).logout()
    assert await forget(worker.context, token_key(USER, "ada"))
    await store.inner.commit("token/acme/broken", 1, b"broken")
    assert await forget(worker.context, "token/acme/broken")
    assert [key async for key in store.keys("")] == []
    assert not await forget(worker.context, "token/acme/broken")


@virtual
async def test_a_record_that_the_store_cannot_read_holds_up_no_round(caplog):
    """It is told by its key, and the others are renewed."""
    store, vendor = Single(), Vendor()
    worker = Worker(store, vendor)
    await logged_in(worker, "ada")
    await logged_in(worker, "bob")
    store.broken = token_key(USER, "bob")
    await asyncio.sleep(0.8 * 7 * 86400)
    assert await Worker(store, vendor).keep_alive(USER, rounds=1) == 1
    assert store.broken in caplog.text


@virtual
async def test_the_keys_that_there_are():
    """Each by its id, the newest first; none where nothing is encrypted."""
    worker = Worker(Store(), Vendor(), keys=[NEW, OLD])
    ids = worker.context.codec.key_ids
    assert ids == [worker.context.codec.newest, *Worker(Store(), Vendor(), keys=OLD).context.codec.key_ids]
    assert len(set(ids)) == 2
    assert Worker(Store(), Vendor()).context.codec.key_ids == []


@virtual
async def test_a_round_that_finds_its_lease_lost_looks_no_further():
    """Stopped behind its claim for longer than that lasts: nothing is due, and yet somebody else makes the round."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await logged_in(worker, "ada")
    store.down.add("extend")

    def stop(name):
        if name == "read_many" and not store.counts["commit"] > commits:
            worker.slept -= 100

    commits = store.counts["commit"]
    store.before = stop
    keeper = asyncio.create_task(worker.keep_alive(USER, rounds=1))
    await asyncio.sleep(5)
    assert not keeper.done()
    assert store.counts["commit"] == commits  # no word of a round that was made
    store.before = lambda name: None
    store.down.clear()
    assert await keeper == 0
    assert store.counts["commit"] == commits + 1
