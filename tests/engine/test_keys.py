"""Changing the key: everything under the newest, at any moment, and nothing that is newer in its way."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import attrs
import pytest

from linkauth.engine.encryption import PLAIN
from linkauth.engine.outbox import Outbox
from linkauth.errors import (
    ConfigurationError,
    NoAnswer,
    ReauthorizationRequired,
    StoreUnavailable,
)
from linkauth.protocol.intent import Note
from linkauth.protocol.keys import answer_key, secret_key, token_key
from linkauth.store import Granted
from tests.engine.fakes import CLIENT, PAGE, USER, Escrow, Store, Vendor, Worker, logged_in
from tests.engine.scenes import renewing
from tests.engine.test_keep_alive import WEEK
from tests.engine.virtual import monotonic, virtual

OLD, NEW, OTHER = (b64encode(bytes([at]) * 32).decode() for at in range(3))


def key_id(value: bytes) -> str:
    return value[3:7].hex() if value.startswith(b"LA1") else ""


async def ids(store: Store) -> dict[str, str]:
    """The key id of every record in the store, by the record's key."""
    every = [key async for key in store.keys("")]
    return {key: key_id((await store.inner.read(key)).record.value) for key in every}


async def lived_in(store: Store, vendor: Vendor, **kwargs: Any) -> Worker:
    """A worker that has written one record of each kind."""
    worker = Worker(store, vendor, **kwargs)
    await logged_in(worker, "ada")
    await (await logged_in(worker, "bob")).logout()
    client = worker.credential(CLIENT)
    await client.token()
    await client.rotate_secret()
    key = answer_key(CLIENT)
    record = worker.context.codec.open(secret_key(CLIENT), (await store.read(secret_key(CLIENT))).record)
    await store.commit(key, 99, worker.context.codec.close(key, 99, record))
    await worker.credential(PAGE, "eve").authorization_url("http://127.0.0.1/callback")
    await worker.keep_alive(USER, rounds=1)
    return worker


@virtual
async def test_everything_is_written_under_the_newest_key():
    """Tokens, marks, client secrets, kept answers, authorizations, rounds: counted, once, and the old key may go."""
    store, vendor = Store(), Vendor()
    await lived_in(store, vendor, keys=OLD)
    before = await ids(store)
    assert {key.partition("/")[0] for key in before} == {"token", "secret", "answer", "state", "begun", "round"}
    worker = Worker(store, vendor, keys=[NEW, OLD])
    assert await worker.reseal() == len(before) - 1  # all but the list of what was begun, which holds no secret
    after = await ids(store)
    assert {name for key, name in after.items() if not key.startswith("begun/")} == {worker.context.codec.newest}
    assert await worker.reseal() == 0
    later = Worker(store, vendor, keys=NEW)
    assert (await later.credential(USER, "ada").token()).access_token
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await later.credential(USER, "bob").token()
    assert (await later.credential(CLIENT, "another").token()).access_token  # by the rotated secret
    assert await later.credential(CLIENT).unread_answer() is not None
    assert vendor.counts["reuse"] == 0


@virtual
async def test_what_is_in_clear_is_encrypted():
    """With ``plain`` among the keys; without it what is in clear is left, and told."""
    store, vendor = Store(), Vendor()
    await lived_in(store, vendor)
    assert await Worker(store, vendor, keys=NEW).reseal() == 0
    worker = Worker(store, vendor, keys=[NEW, PLAIN])
    assert await worker.reseal() == len(await ids(store)) - 1
    assert (await Worker(store, vendor, keys=NEW).credential(USER, "ada").token()).access_token
    with pytest.raises(ConfigurationError, match="no keys"):
        await Worker(store, vendor).reseal()


@virtual
async def test_what_cannot_be_read_is_left_and_told(caplog):
    """Another environment's: neither changed nor held, and all else is done."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor, keys=OTHER), "hers")
    await logged_in(Worker(store, vendor, keys=OLD), "ours")
    before = (await store.read(token_key(USER, "hers"))).record
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 1
    assert (await store.read(token_key(USER, "hers"))).record == before
    assert f"left as it is: record {token_key(USER, 'hers')}" in caplog.text
    assert isinstance(await store.inner.claim(token_key(USER, "hers"), "x", 1, before.version, b""), Granted)


@virtual
async def test_a_record_of_a_newer_linkauth_keeps_what_only_that_knows():
    """Sealed anew as it is, whatever is in it."""
    store, vendor = Store(), Vendor()
    old = Worker(store, vendor, keys=OLD).context.codec
    key, value = token_key(USER, "ada"), b'{"linkauth":2,"kind":"wonder"}'
    await store.commit(key, 1, old._sealer.seal(value, f"linkauth record 1 1 {key}".encode()))
    new = Worker(store, vendor, keys=[NEW, OLD])
    assert await new.reseal() == 1
    found = (await store.read(key)).record
    assert new.context.codec._sealer.open(found.value, f"linkauth record 1 2 {key}".encode(), "it") == value


@virtual
async def test_who_holds_the_token_goes_on_with_it_and_refreshes_as_ever():
    """A record that was written anew is the same token: nothing is told as adopted, and ``refresh`` brings another one."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    credential = await logged_in(worker)
    token = await credential.token()
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 1
    assert credential.peek() is token
    worker.events.clear()
    fresh = await credential.refresh()
    assert fresh.access_token != token.access_token
    assert worker.heard() == ["renewed"]
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 1
    assert (await credential.replacement(fresh)).access_token != fresh.access_token
    assert vendor.counts["/auth/refresh"] == 2


@virtual
async def test_a_doubt_stands_though_the_record_is_written_anew():
    """The note says that a refresh token may be spent: written anew it still does, in words under the newest key."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    credential = await logged_in(worker)
    vendor.fails(NoAnswer("cut off"), acts=True)
    with pytest.raises(NoAnswer):
        await credential.refresh()
    before = (await store.read(credential.replica.key)).note
    assert Note.decode(before).doubt
    newer = Worker(store, vendor, keys=[NEW, OLD])
    assert await newer.reseal() == 1
    after = (await store.read(credential.replica.key)).note
    opened = Worker(store, vendor, keys=NEW).context.codec.open_note(credential.replica.key, after)
    was = worker.context.codec.open_note(credential.replica.key, before)
    assert attrs.evolve(opened, sealed="") == attrs.evolve(was, sealed="")
    assert opened.description == "cut off"


@virtual
async def test_a_renewal_that_is_under_way_is_waited_for():
    """Its answer is what stands; it is the one that is then written anew."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))
    renewal, gate = await renewing(credential, vendor)
    resealing = asyncio.create_task(Worker(store, vendor, keys=[NEW, OLD]).reseal())
    await asyncio.sleep(1)
    assert not resealing.done()
    gate.set()
    fresh = await renewal
    assert await resealing == 1
    assert await Worker(store, vendor, keys=NEW).credential(USER).token() == fresh


@virtual
async def test_who_is_at_work_for_longer_is_left_alone(caplog):
    """A record that is held all the time holds up nothing else for long."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor, keys=OLD))
    version = (await store.read(token_key(USER, "default"))).record.version
    await store.inner.claim(token_key(USER, "default"), "somebody", 3600, version, b"")
    begun = monotonic()
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 0
    assert monotonic() - begun <= 30
    assert "being worked on all the time" in caplog.text


def lease_ends(store: Store, key: str) -> None:
    """Its holder was stopped for so long."""
    store.inner._slots[key] = store.inner._slots[key].lapse()


@virtual
async def test_keep_alive_writes_what_is_quiet_under_the_newest_key():
    """A token that nobody renews for days, a client's secret, a mark: after one round the old key may go."""
    store, vendor = Store(), Vendor()
    vendor.lifetime = 4 * WEEK
    await lived_in(store, vendor, keys=OLD)
    keeper = Worker(store, vendor, keys=[NEW, OLD])
    requests = vendor.counts["requests"]
    await asyncio.sleep(3601)
    assert await keeper.keep_alive(USER, rounds=1) == 0
    lasting = {name for key, name in (await ids(store)).items() if key.startswith(("token/", "secret/", "answer/"))}
    assert lasting == {keeper.context.codec.newest}
    assert vendor.counts["requests"] == requests
    assert (await Worker(store, vendor, keys=NEW).credential(CLIENT, "another").token()).access_token


@virtual
async def test_keep_alive_does_not_stop_at_a_round_that_it_cannot_read():
    """Another environment's, on the same store: rounds are made all the same, an interval apart."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor, keys=OTHER).keep_alive(USER, rounds=1)
    worker = Worker(store, vendor, keys=OLD)
    theirs = Worker(store, vendor, keys=OTHER)
    begun = monotonic()
    await asyncio.gather(worker.keep_alive(USER, every=600.0, rounds=3), theirs.keep_alive(USER, every=600.0, rounds=3))
    assert 1200 <= monotonic() - begun <= 1300


@virtual
async def test_statuses_say_which_keys_are_needed_still():
    """Of credentials, and of client secrets and kept answers beside them."""
    store, vendor = Store(), Vendor()
    old = await lived_in(store, vendor, keys=OLD)
    new = Worker(store, vendor, keys=[NEW, OLD])
    await logged_in(new, "new")
    told = {status.key: status async for status in new.statuses()}
    assert {key.partition("/")[0] for key in told} == {"token", "secret", "answer"}
    needed = {key for key, status in told.items() if status.key_id == old.context.codec.newest}
    assert told.keys() - needed == {token_key(USER, "new")}
    await new.reseal()
    assert {status.key_id async for status in new.statuses()} == {new.context.codec.newest}
    assert {status.key_id async for status in Worker(store, vendor).statuses()} == {new.context.codec.newest}
    clear = Store()
    await logged_in(Worker(clear, vendor))
    assert [status.key_id async for status in Worker(clear, vendor).statuses()] == [""]


@virtual
async def test_what_waits_in_escrow_is_not_held_back():
    """An answer that a store would not take is offered though the record was written anew under its very number."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    credential = await logged_in(worker)
    await asyncio.sleep(1)
    store.down.add("commit")
    fresh = await credential.refresh()
    assert credential.replica.outbox.kept is not None
    assert isinstance(credential.replica.outbox, Outbox)
    await asyncio.sleep(20)
    store.down.clear()
    await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    await asyncio.sleep(5)
    assert await Worker(store, vendor, keys=[NEW, OLD]).credential(USER).token() == fresh


@virtual
async def test_a_secret_that_waits_in_escrow_is_not_held_back():
    """Killed before the store took it; the one before it, which is dead, was written anew under its very number."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    credential = Worker(store, vendor, keys=[OLD, NEW], escrow=escrow).credential(CLIENT)
    await credential.token()
    await credential.rotate_secret()
    await asyncio.sleep(1)
    store.down.add("commit")
    doomed = Worker(store, vendor, keys=[OLD, NEW], escrow=escrow)
    with pytest.raises(StoreUnavailable):
        await doomed.credential(CLIENT).rotate_secret()
    await doomed.killed()
    store.down.clear()
    lease_ends(store, secret_key(CLIENT))
    await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    later = Worker(store, vendor, keys=[NEW, OLD], escrow=escrow)
    assert (await later.credential(CLIENT, "another").token()).access_token
    assert (await Worker(store, vendor, keys=[NEW, OLD]).credential(CLIENT, "third").token()).access_token


@virtual
async def test_a_store_that_is_away_is_told():
    """``StoreUnavailable``; what was done is done."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor, keys=OLD))
    store.down.add("claim")
    with pytest.raises(StoreUnavailable):
        await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    version = (await store.read(token_key(USER, "default"))).record.version
    assert isinstance(await store.inner.claim(token_key(USER, "default"), "x", 1, version, b""), Granted)
