"""After a rotation whose answer nobody understood: what was kept is read, and the secret in it taken over by hand."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.engine.client_runtime import adopt
from linkauth.errors import ConfigurationError, MalformedResponse, UnsupportedGrant, VendorUnavailable
from linkauth.oauth.token import Secret
from linkauth.protocol.keys import answer_key, secret_key
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer
from tests.engine.virtual import virtual


@virtual
async def test_a_secret_found_by_hand_is_everybodys():
    """It is in the store, the kept answer is gone, and a worker that has the dead one goes on with it.

    The one that took it over shows it at once, and is refused nothing.
    """
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    other = Worker(store, vendor).credential(CLIENT, "other")
    await credential.token()
    await other.token()
    assert await credential.unread_answer() is None
    vendor.fails(answer(200, {"success": True, "odd": "new-one"}))
    vendor.secret = "new-one"
    with pytest.raises(MalformedResponse):
        await credential.rotate_secret()
    assert "new-one" in (await credential.unread_answer()).reveal()
    await adopt(credential.replica, Secret("new-one"))
    assert await credential.unread_answer() is None
    requests = vendor.counts["requests"]
    assert (await credential.refresh()).access_token
    assert vendor.counts["requests"] == requests + 1
    assert (await other.refresh()).access_token
    assert (await Worker(store, vendor).credential(CLIENT, "third").token()).access_token


@virtual
async def test_a_secret_replaces_one_that_was_stored_before():
    """Rotated once by linkauth, and then by hand at the vendor."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await worker.credential(CLIENT).rotate_secret()
    vendor.secret = "by-hand"
    await adopt(worker.credential(CLIENT).replica, Secret("by-hand"))
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token


@pytest.mark.parametrize("secret", ["", "  ", "a\nb"], ids=["empty", "blank", "unprintable"])
@virtual
async def test_what_can_be_no_secret_is_refused(secret):
    """Nothing is written."""
    store = Store()
    with pytest.raises(ConfigurationError):
        await adopt(Worker(store, Vendor()).credential(CLIENT).replica, Secret(secret))
    assert not store.counts


@virtual
async def test_a_vendor_whose_secrets_are_not_kept_says_so():
    """There would be nobody to read it."""
    with pytest.raises(UnsupportedGrant):
        await adopt(Worker(Store(), Vendor()).credential(USER).replica, Secret("x"))


@virtual
async def test_a_rotation_under_way_is_not_disturbed():
    """Another worker holds the lease: told for how long; nothing is written."""
    store = Store()
    credential = Worker(store, Vendor()).credential(CLIENT)
    await store.inner.claim(secret_key(CLIENT), "rotates", 9, 0, b"")
    with pytest.raises(VendorUnavailable, match="rotating") as caught:
        await adopt(credential.replica, Secret("x"))
    assert caught.value.retry_after == 9
    assert store.counts["commit"] == 0


@virtual
async def test_a_rotation_that_was_faster_is_not_undone():
    """Written between the look and the claim, or between the claim and the commit: the newer secret stays."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential, key = worker.credential(CLIENT), secret_key(CLIENT)
    for moment, number in (("claim", 1), ("claim", 50), ("commit", 99)):

        def faster(name, moment=moment, number=number):
            if name == moment:
                store.before = lambda _: None
                return store.inner.commit(key, number, b"newer")
            return None

        store.before = faster
        with pytest.raises(VendorUnavailable) as caught:
            await adopt(credential.replica, Secret("x"))
        assert caught.value.retry_after is None
        assert (await store.inner.read(key)).record.value == b"newer"
        await asyncio.sleep(20)  # the lease of the first ends
    assert (await store.inner.read(answer_key(CLIENT))).record is None
