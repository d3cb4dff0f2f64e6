"""How credentials are doing, as operators see it: in words and times, never a secret."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from linkauth.engine.status import Status
from linkauth.errors import CorruptRecord, MalformedResponse, NoAnswer, RateLimited, StoreUnavailable, VendorUnavailable
from linkauth.oauth.token import Token
from linkauth.protocol.intent import Note
from linkauth.protocol.keys import token_key
from linkauth.protocol.records import DeadRecord, RoundRecord, TokenRecord
from tests.engine.fakes import CLIENT, LATER, USER, Store, Vendor, Worker, logged_in, refusal
from tests.engine.scenes import killed_while_renewing
from tests.engine.test_keys import NEW, OLD, OTHER
from tests.engine.virtual import virtual, wall


async def all_of(worker: Worker) -> dict[str, Status]:
    return {status.account or status.key: status async for status in worker.statuses()}


@virtual
async def test_each_credential_is_told_once():
    """Whose it is, until when it is good, and that all is well."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    token = await (await logged_in(worker, "ada")).token()
    await worker.credential(CLIENT, "shop").token()
    told = await all_of(Worker(store, vendor))
    assert set(told) == {"ada", "shop"}
    ada = told["ada"]
    assert (ada.vendor, ada.expires_at, ada.refresh_expires_at) == (
        USER.name,
        token.expires_at,
        token.refresh_expires_at,
    )
    assert (ada.error, ada.needs_user, ada.in_doubt, ada.retry_at) == ("", False, False, None)
    assert ada.version >= 1
    assert (ada.scope, told["shop"].scope) == (token.scope, CLIENT.scope)
    assert ada.now == wall()
    assert token.access_token not in repr(ada)


@virtual
async def test_what_went_wrong_is_told():
    """A vendor that fails, a worker that never came back, a session that is over, a record that nobody can read."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    for name in ("fails", "over", "broken", "odd"):
        await logged_in(worker, name)
    await logged_in(worker)
    vendor.fails(refusal(503, "DOWN"), times=9)
    with pytest.raises(VendorUnavailable):
        await worker.credential(USER, "fails").refresh()
    vendor.faults.clear()
    await worker.credential(USER, "over").logout()
    broken, odd = token_key(USER, "broken"), token_key(USER, "odd")
    await store.inner.commit(broken, LATER, b"broken")
    await store.inner.commit(odd, LATER, worker.context.codec.close(odd, LATER, RoundRecord(next_at=0)))
    doomed = Worker(store, vendor)
    await doomed.credential(USER).token()
    await killed_while_renewing(doomed, vendor)
    told = await all_of(Worker(store, vendor))
    assert "503" in told["fails"].error
    assert told["fails"].retry_at > wall() - 2
    assert (told["over"].needs_user, told["over"].error) == (True, "logged out")
    assert told["over"].expires_at is None
    assert told["default"].in_doubt
    assert broken in told[broken].error
    assert told[odd].error == "of another kind than its key"
    assert {told[broken].vendor, told[odd].vendor} == {USER.name}


@virtual
async def test_a_vendor_is_told_by_its_own_name():
    """A record's key has it quoted, and of a long one the beginning only."""
    store = Store()
    worker = Worker(store, Vendor())
    vendor = SimpleNamespace(name="Somebody & Co" * 9, identity=tuple)
    key, whose = token_key(vendor, "shop"), {"vendor": vendor.name, "account": "shop"}
    token = Token(access_token="a", issued_at=wall(), expires_at=wall() + 60)
    for number, record in enumerate((TokenRecord(token=token, **whose), DeadRecord(reason="over", **whose)), 1):
        await store.inner.commit(key, number, worker.context.codec.close(key, number, record))
        assert (await all_of(worker))["shop"].vendor == vendor.name


@virtual
async def test_a_record_that_goes_away_meanwhile_is_not_told():
    """It was there when the keys were listed, and is deleted before it is read."""
    store = Store()
    worker = Worker(store, Vendor())
    await worker.credential(CLIENT).token()

    def gone(name):
        return store.inner.delete(worker.credential(CLIENT).replica.key, 99) if name == "read_many" else None

    store.before = gone
    assert await all_of(worker) == {}


@pytest.mark.parametrize("error", [RateLimited(retry_after=5), MalformedResponse("not JSON"), NoAnswer("gone")])
def test_a_failure_is_passed_on_as_what_it_was(error):
    """The worker that reads the note raises what the one that wrote it saw, or its nearest kin."""
    note = Note.decode(Note().failing(error, 60.0).encode())
    found = note.failure(7.0)
    assert isinstance(error, type(found))
    assert str(error) in str(found)
    assert getattr(found, "retry_after", 7.0) == 7.0


@virtual
async def test_one_credentials_truth_costs_one_read():
    """Of what is stored, broken or missing: whose it is, how it is doing, and nothing is asked of the vendor."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    ada = await logged_in(worker, "ada")
    asked, other = dict(vendor.counts), Worker(store, vendor).credential(USER, "ada")
    store.counts.clear()
    told = await other.status()
    assert (told.account, told.vendor, told.expires_at) == ("ada", USER.name, (await ada.token()).expires_at)
    assert told.version >= 1
    assert store.counts == {"read": 1}
    nobody = await worker.credential(USER, "nobody").status()
    assert (nobody.version, nobody.account, nobody.expires_at, nobody.error) == (0, "nobody", None, "")
    broken = token_key(USER, "ada")
    await store.inner.commit(broken, LATER, b"broken")
    assert broken in (await other.status()).error
    assert (await other.status()).account == "ada"
    assert vendor.counts == asked
    store.down.add("*")
    with pytest.raises(StoreUnavailable):
        await other.status()


@virtual
async def test_statuses_of_one_vendor_or_account():
    """By a name, by a registration, by an account; what cannot be read is told where a vendor is asked for alone."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await logged_in(worker, "ada")
    await logged_in(worker, "grace")
    await worker.credential(CLIENT, "ada").token()
    broken = token_key(USER, "broken")
    await store.inner.commit(broken, LATER, b"broken")

    async def told(**asked: Any) -> list[tuple[str, str]]:
        return sorted([(each.vendor, each.account) async for each in worker.statuses(**asked)])

    ada, grace, odd, client = (USER.name, "ada"), (USER.name, "grace"), (USER.name, ""), (CLIENT.name, "ada")
    assert await told() == sorted([ada, grace, odd, client])
    assert await told(vendor=USER.name) == sorted([ada, grace, odd])
    assert await told(vendor=USER) == [ada, grace]
    assert await told(vendor=CLIENT) == [client]
    assert await told(account="ada") == sorted([ada, client])
    assert await told(vendor=USER, account="grace") == [grace]
    assert await told(vendor="nobody") == []


@virtual
async def test_whether_a_store_is_fit_for_work():
    """It can be read and written, and the keys open what is in it, or one hears which of that is not so."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=NEW)
    await worker.check()
    await asyncio.gather(worker.check(), worker.check(), Worker(store, vendor, keys=[NEW, OLD]).check())
    with pytest.raises(CorruptRecord):
        await Worker(store, vendor, keys=OTHER).check()
    for call in ("read", "commit"):
        store.down = {call}
        with pytest.raises(StoreUnavailable):
            await worker.check()


@virtual
async def test_a_store_that_was_never_checked_shows_by_its_tokens_whether_the_keys_open_it():
    """A first look finds what others wrote with other keys, before any caller does."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor, keys=OLD), "ada")
    with pytest.raises(CorruptRecord):
        await Worker(store, vendor, keys=NEW).check()
    await Worker(store, vendor, keys=[NEW, OLD]).check()


@virtual
async def test_a_token_that_goes_away_during_a_check_is_passed_by():
    """It was there when the keys were listed, and is deleted before it is read: the next one shows what the keys are worth."""
    store, vendor = Store(), Vendor()
    for account in ("ada", "grace"):
        await logged_in(Worker(store, vendor, keys=OLD), account)
    first, second = [key async for key in store.keys("token/")]
    store.counts.clear()
    # What is read first is the record of the checks.
    store.before = lambda name: store.inner.delete(first, LATER) if store.counts["read"] == 2 else None
    with pytest.raises(CorruptRecord, match=second):
        await Worker(store, vendor, keys=NEW).check()


@pytest.mark.parametrize(("keys", "opens"), [([NEW, OLD], True), (OTHER, False)], ids=["known", "foreign"])
@virtual
async def test_whoever_is_overtaken_in_a_check_opens_what_the_other_has_written(keys, opens):
    """Another worker checks between this one's look and its word: what keys that one has is heard now, not at the next check."""
    store, vendor = Store(), Vendor()

    async def overtakes() -> None:
        store.before = lambda name: None
        await Worker(store, vendor, keys=OLD).check()

    store.before = lambda name: overtakes() if name == "commit" else None
    with contextlib.nullcontext() if opens else pytest.raises(CorruptRecord, match="check/store"):
        await Worker(store, vendor, keys=keys).check()
    assert store.counts["commit"] == 2


@virtual
async def test_a_check_outlives_a_change_of_keys():
    """``reseal`` writes its record anew, too, so the older key may go though nobody checked meanwhile."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor, keys=OLD).check()
    await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    await Worker(store, vendor, keys=NEW).check()
