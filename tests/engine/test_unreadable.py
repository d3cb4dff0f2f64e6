"""Records that cannot be read, for another key or a fault: who goes on without them, and who is told what."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import (
    CorruptRecord,
)
from linkauth.protocol.keys import token_key
from linkauth.store import Record
from tests.engine.fakes import (
    CLIENT,
    LATER,
    USER,
    Store,
    Vendor,
    Worker,
    logged_in,
)
from tests.engine.test_keys import NEW, OLD, OTHER, key_id
from tests.engine.virtual import virtual

BROKEN = {
    "nothing": b"",
    "garbage": b"\xff\x00garbage",
    "not an object": b"[1]",
    "no format": b'{"kind":"token"}',
    "newer": b'{"linkauth":2,"kind":"token"}',
    "another kind": b'{"linkauth":1,"kind":"secret","vendor":"x","client_secret":"canary"}',
    "unknown kind": b'{"linkauth":1,"kind":"dragon"}',
    "wrong types": b'{"linkauth":1,"kind":"token","vendor":1,"account":"a","token":{"access_token":["canary"]}}',
    "unprintable": b'{"linkauth":1,"kind":"reauthorize","vendor":"x","account":"a","reason":"canary\\u001b"}',
    "deep": b'{"linkauth":1,"kind":"token","token":' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("kind", BROKEN)
@virtual
async def test_a_record_that_cannot_be_read(kind):
    """A user's session, broken or of a newer linkauth: ``CorruptRecord`` that names it and shows nothing of it; the vendor is not asked."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    key = credential.replica.key
    claim = await store.claim(key, "x", 1, 0, b"")
    await store.commit(key, claim.number, BROKEN[kind])
    with pytest.raises(CorruptRecord) as caught:
        await credential.token()
    assert key in str(caught.value)
    assert "canary" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    assert caught.value.who == "the operator"
    assert vendor.counts["requests"] == 0
    if kind == "newer":
        assert "upgrade" in str(caught.value)


@virtual
async def test_a_note_that_cannot_be_read_counts_as_none():
    """A note is advice: garbage in its place holds nobody up."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    claim = await store.claim(credential.replica.key, "x", 1, 0, b"\xffgarbage")
    await store.release(credential.replica.key, claim.number, b"\xffgarbage")
    assert (await credential.token()).access_token


@virtual
async def test_a_users_record_that_cannot_be_read_is_nobodys_to_replace():
    """Somebody has renewed the session under a key that is not given here: the caller is told, and nothing is spent."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))
    await asyncio.sleep(1)
    other = Worker(store, vendor, keys=[OTHER, OLD]).credential(USER)
    await other.token()
    fresh = await other.refresh()
    await asyncio.sleep(1)
    with pytest.raises(CorruptRecord, match="key"):
        await credential.refresh()
    assert vendor.counts["/auth/refresh"] == 1
    assert await other.token() == fresh


@virtual
async def test_a_record_that_cannot_be_read_is_not_known_to_be_later():
    """So who has a request in the air goes on saying so. What can be read, and is held, is not later under any number."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=OLD))
    replica, found = credential.replica, (await store.read(credential.replica.key)).record
    other = Worker(store, vendor, keys=OTHER).context.codec
    unread = other.close(replica.key, LATER, replica.held().record)
    assert not replica.is_later(Record(LATER, unread))
    again = replica.context.codec.close(replica.key, LATER, replica.held().record)
    assert not replica.is_later(Record(LATER, again))
    await (newer := Worker(store, vendor, keys=OLD).credential(USER)).token()
    await newer.refresh()
    assert replica.is_later((await store.read(replica.key)).record)
    assert not newer.replica.is_later(found)


@virtual
async def test_who_needs_no_user_goes_on_without_the_key():
    """Half of the fleet has ``[new, old]``, half ``[old]``: no caller sees an error, and it is told once, in words."""
    store, vendor = Store(), Vendor()
    old, new = Worker(store, vendor, keys=OLD), Worker(store, vendor, keys=[NEW, OLD])
    await old.credential(CLIENT).token()
    await asyncio.sleep(901)
    shared = await new.credential(CLIENT).token()
    for _ in range(4):
        assert (await old.credential(CLIENT).token()).access_token != shared.access_token
        await asyncio.sleep(901)
        shared = await new.credential(CLIENT).token()
    told = [event for event in old.events if event.kind.value == "record unreadable"]
    assert len(told) == 1
    assert f"encrypted with key {new.context.codec.newest}" in told[0].outcome
    assert "record unreadable" not in new.heard()
    assert key_id((await store.read(token_key(CLIENT, "default"))).record.value) == new.context.codec.newest


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0], ids=["behind", "ahead"])
@virtual
async def test_what_is_fetched_without_the_key_has_its_times_by_the_store(ahead):
    """It answers, so a host whose clock is wrong keeps its token for as long as anybody does."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor, keys=NEW).credential(CLIENT).token()
    asked = vendor.counts["requests"]
    (other := Worker(store, vendor, keys=OLD)).wall_ahead = ahead
    fetched = await other.credential(CLIENT).token()
    await asyncio.sleep(600)
    assert await other.credential(CLIENT).token() == fetched
    assert vendor.counts["requests"] == asked + 1


@virtual
async def test_who_gets_the_key_shares_again_and_is_told_anew_when_it_is_gone():
    """Readable again, the fleet's token is adopted; the next time that it is not is another story."""
    store, vendor = Store(), Vendor()
    old, new = Worker(store, vendor, keys=OLD), Worker(store, vendor, keys=[NEW, OLD])
    for _ in range(2):
        await new.credential(CLIENT).token()
        await old.credential(CLIENT).token()
        await asyncio.sleep(901)
        await new.credential(CLIENT).token()
        key = token_key(CLIENT, "default")
        record = (await store.read(key)).record
        value = old.context.codec.close(key, record.version + 1, new.context.codec.open(key, record))
        await store.commit(key, record.version + 1, value)
        assert await old.credential(CLIENT).token() == await new.credential(CLIENT).token()
        await asyncio.sleep(901)
    assert old.heard().count("record unreadable") == 2


@virtual
async def test_a_store_that_finds_its_record_broken_is_as_one_that_is_away():
    """The store itself cannot read its own record: a client's token is fetched for this process alone."""
    store, vendor = Store(), Vendor()

    def broken(name: str) -> None:
        if name in {"read", "claim"}:
            raise CorruptRecord("the file is broken")

    store.before = broken
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token


@virtual
async def test_a_users_session_says_which_key_is_needed():
    """It is another's to give: the error names the key, and what to do; nothing was sent, nothing is changed."""
    store, vendor = Store(), Vendor()
    new = Worker(store, vendor, keys=NEW)
    await logged_in(new)
    requests = vendor.counts["requests"]
    with pytest.raises(CorruptRecord, match=f"key {new.context.codec.newest}.*add that key.*prefix"):
        await Worker(store, vendor, keys=OLD).credential(USER).token()
    assert vendor.counts["requests"] == requests
