"""How credentials are doing, as operators see it: in words and times, never a secret."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from linkauth.engine.status import Status
from linkauth.errors import MalformedResponse, NoAnswer, RateLimited, VendorUnavailable
from linkauth.oauth.token import Token
from linkauth.protocol.intent import Note
from linkauth.protocol.records import DeadRecord, RoundRecord, TokenRecord, token_key
from tests.engine.fakes import CLIENT, LATER, USER, Store, Vendor, Worker, killed_while_renewing, logged_in, refusal
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
        return store.inner.delete(worker.credential(CLIENT).replica.key, 99) if name == "read" else None

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
