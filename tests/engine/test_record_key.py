"""A session that an earlier release keeps under another key, and workers of both releases beside one another."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth import LinkXGUser
from linkauth.engine.escrow import Kept
from linkauth.engine.record_key import RecordKey
from linkauth.errors import ReauthorizationRequired
from linkauth.oauth.token import Token
from linkauth.protocol.keys import token_key
from linkauth.protocol.records import TokenRecord
from tests.engine.fakes import BASE, USER, Escrow, Store, Vendor, Worker, logged_in, remembered
from tests.engine.virtual import virtual


@attrs.frozen(kw_only=True)
class Renamed(LinkXGUser):
    """What ``USER`` is to a release that has another formula for its key."""

    def identity(self):
        return (*LinkXGUser.identity(self), "otherwise")

    def former_identities(self):
        return (LinkXGUser.identity(self),)


TODAY = Renamed(base_url=BASE)


async def _keys(store):
    return {key async for key in store.keys("token/")}


@virtual
async def test_workers_of_both_releases_share_a_session():
    """They renew in turn, and at once: no refresh token is spent twice, and there is one record."""
    vendor, store = Vendor(), Store()
    earlier, today = Worker(store, vendor), Worker(store, vendor)
    old = await logged_in(earlier)
    new = today.credential(TODAY)
    assert await new.token() == await old.token()
    for first, second in ((old, new), (new, old), (new, new)):
        await first.refresh()
        await second.refresh()
    await new.login(email="ada@example.com", password="correct horse")
    assert await Worker(store, vendor).credential(USER).token() == await new.token()
    assert vendor.counts["reuse"] == 0
    assert await _keys(store) == {token_key(USER, "default")}
    await new.logout()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_what_is_begun_today_is_kept_under_todays_key():
    """Nothing was stored: each release has a session of its own, and none is spent twice."""
    vendor, store = Vendor(), Store()
    new = Worker(store, vendor).credential(TODAY)
    with pytest.raises(ReauthorizationRequired):
        await new.token()
    await new.login(email="ada@example.com", password="correct horse")
    old = await logged_in(Worker(store, vendor))
    assert await _keys(store) == {token_key(USER, "default"), token_key(TODAY, "default")}
    for credential in (old, new, Worker(store, vendor).credential(TODAY)):
        await credential.refresh()
    assert await Worker(store, vendor).credential(TODAY).token() != await Worker(store, vendor).credential(USER).token()
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_session_that_comes_later_is_found():
    """A worker that has looked in vain sees a login at a worker of the earlier release."""
    vendor, store = Vendor(), Store()
    new = Worker(store, vendor).credential(TODAY)
    with pytest.raises(ReauthorizationRequired):
        await new.token()
    old = await logged_in(Worker(store, vendor))
    await asyncio.sleep(1)
    assert await new.token() == await old.token()


@virtual
async def test_a_lease_and_its_record_have_one_key():
    """A look that was under way when a lease was asked for changes nothing any more."""
    store = Store()
    worker = Worker(store, Vendor())
    await logged_in(worker)
    record_key = RecordKey((token_key(TODAY, "default"), token_key(USER, "default")), worker.context)

    async def claimed_meanwhile():
        record_key.fix()

    reads = []
    store.before = lambda name: reads.append(name) or (claimed_meanwhile() if len(reads) == 2 else None)
    await record_key.find()
    assert (len(reads), record_key.key) == (2, token_key(TODAY, "default"))


@virtual
async def test_an_answer_in_escrow_is_found():
    """What a process of the earlier release left for that key is brought to the store before anything is spent."""
    vendor, store, escrow = Vendor(), Store(), Escrow()
    worker = Worker(store, vendor)
    old = await logged_in(worker)
    key, number = old.replica.key, remembered(old).version + 1
    now = (await store.read(key)).now
    left = Token(access_token="left", refresh_token="left", issued_at=now, expires_at=now + 900)
    record = TokenRecord(vendor=USER.name, account="default", token=left)
    await escrow.put(Kept(key, number, worker.context.codec.close(key, number, record)))
    asked = vendor.counts["requests"]
    credential = Worker(store, vendor, escrow=escrow).credential(TODAY)
    assert (await credential.token()).access_token == "left"
    assert (await store.read(key)).record.version == number
    assert (vendor.counts["requests"], escrow.kept) == (asked, {})
