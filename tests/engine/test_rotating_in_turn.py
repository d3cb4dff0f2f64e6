"""Workers that replace one client's secret at the same time, or stop while they do."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import (
    VendorUnavailable,
)
from linkauth.protocol.keys import secret_key
from linkauth.protocol.records import SecretRecord
from linkauth.store import Granted
from tests.engine.fakes import CLIENT, Fault, Store, Vendor, Worker
from tests.engine.scenes import stalls_after_its_claim
from tests.engine.test_newest_secret import KEY
from tests.engine.test_rotation import ROTATE
from tests.engine.test_waiting import FOR_EVER
from tests.engine.virtual import monotonic, virtual, wall


@virtual
async def test_two_workers_rotate_at_once():
    """One rotates, the other waits and shares its secret; nobody is left with a dead one."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor) for _ in range(2)]
    for worker in workers:
        await worker.credential(CLIENT).token()
    vendor.delay = 1
    await asyncio.gather(*(worker.credential(CLIENT).rotate_secret() for worker in workers))
    assert vendor.counts["/oauth/clients/shop/rotate"] == 1
    for worker in workers:
        assert (await worker.credential(CLIENT).refresh()).access_token


@virtual
async def test_two_rotations_at_once_are_one():
    """The second waits, and goes on with the secret that the first has brought: it is refused nothing."""
    store, vendor = Store(), Vendor()
    first, second = Worker(store, vendor).credential(CLIENT), Worker(store, vendor).credential(CLIENT)
    await first.token()
    await second.token()
    await second.refresh()  # so it has looked for the secret before
    vendor.delay = 1.0
    await asyncio.gather(first.rotate_secret(), second.rotate_secret())
    vendor.counts.clear()
    await second.refresh()
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_rotation_that_ends_before_the_next_claims_is_shared():
    """Who has looked, and finds another's secret when it claims, was overtaken: nothing is rotated once more."""
    store, vendor = Store(), Vendor()
    slow, fast = (Worker(store, vendor).credential(CLIENT) for _ in range(2))
    await slow.token()

    def first(name):
        if name == "claim":
            store.before = lambda _: None
            return fast.rotate_secret()
        return None

    store.before = first
    await slow.rotate_secret()
    assert vendor.counts[ROTATE] == 1
    assert (await slow.refresh()).access_token


@virtual
async def test_a_rotation_of_long_ago_is_not_shared():
    """This worker has not heard of it, and was told to rotate since: so it does."""
    store, vendor = Store(), Vendor()
    unaware, other = (Worker(store, vendor).credential(CLIENT) for _ in range(2))
    await unaware.token()
    await other.rotate_secret()
    await unaware.rotate_secret()
    assert vendor.counts[ROTATE] == 2


@virtual
async def test_a_rotation_that_was_stalled_past_its_lease_is_carried_out_under_another():
    """Stopped between its claim and the sending: nothing goes out under the lost lease, and the caller sees no error."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.token()
    stalls_after_its_claim(worker, store)
    claims = store.counts["claim"]
    await credential.rotate_secret()
    assert store.counts["claim"] - claims == 2
    assert [path.rpartition("/")[2] for _, path, _ in vendor.sent].count("rotate") == 1
    assert isinstance(await store.inner.claim(KEY, "next", 1, 99, b""), Granted)


@virtual
async def test_a_rotation_waits_for_another_no_longer_than_two_leases():
    """However long the other says that it has it."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    await store.inner.claim(KEY, "other", 600, 0, b"")
    begun = monotonic()
    with pytest.raises(VendorUnavailable, match="for too long"):
        await credential.rotate_secret()
    assert monotonic() - begun == 30


@virtual
async def test_an_answer_that_came_late_gives_way_to_what_was_asked_for_since():
    """Its process was stopped when it had the secret, and another worker has rotated meanwhile: that killed it."""
    store, vendor = Store(), Vendor()
    late, other = Worker(store, vendor), Worker(store, vendor)
    credential = late.credential(CLIENT)
    await credential.token()
    vendor.faults.append(Fault(None, acts=True, delay=2))
    rotation = asyncio.create_task(credential.rotate_secret())
    await asyncio.sleep(1)
    vendor.secret = "the one that lives"
    lives = SecretRecord(vendor=CLIENT.name, client_secret=vendor.secret, rotated_at=wall())
    await store.inner.commit(KEY, 9, other.context.codec.close(KEY, 9, lives))
    await rotation
    assert (await store.inner.read(KEY)).record.version == 9
    vendor.counts.clear()
    await credential.refresh()
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_rotation_that_was_overtaken_goes_on_with_the_secret_that_lives():
    """Another worker rotated later and has stored its secret: the one that comes late does not offer its dead one."""
    store, vendor = Store(), Vendor()
    late, other = Worker(store, vendor), Worker(store, vendor)
    credential = late.credential(CLIENT)
    await credential.token()
    await other.credential(CLIENT).token()
    vendor.faults.append(Fault(None, acts=True, delay=2))
    rotation = asyncio.create_task(credential.rotate_secret())
    await asyncio.sleep(1)
    vendor.secret = "the one that lives"
    value = other.context.codec.close(KEY, 9, SecretRecord(vendor=CLIENT.name, client_secret=vendor.secret))
    await store.inner.commit(KEY, 9, value)
    await rotation
    assert (await late.context.client_secrets.newest(CLIENT)).client_secret.reveal() == "the one that lives"
    assert late.context.client_secrets.of(CLIENT).version == 9


@virtual
async def test_a_rotation_does_not_wait_for_ever():
    """Neither does it begin without the lease: a secret that is not stored must not be made."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    await store.inner.claim(secret_key(CLIENT), "stranger", FOR_EVER, 0, b"")
    with pytest.raises(VendorUnavailable, match="for too long"):
        await credential.rotate_secret()
    assert not any("rotate" in path for path in vendor.counts)


@virtual
async def test_a_late_rotation_gives_way_to_the_later_one():
    """Somebody has rotated after this worker, and stored it first: his secret is the one that lives."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential, key = worker.credential(CLIENT), secret_key(CLIENT)
    await credential.token()

    async def later():
        vendor.secret = "later"
        record = SecretRecord(vendor=CLIENT.name, client_secret="later")
        await store.inner.commit(key, 99, worker.context.codec.close(key, 99, record))

    def first(name):
        if name == "commit":
            store.before = lambda _: None
            return later()
        return None

    store.before = first
    await credential.rotate_secret()
    assert (await credential.refresh()).access_token
    assert vendor.sent[-1][2] == "later"


@virtual
async def test_a_rotation_without_its_lease_asks_for_nothing():
    """Its lease was over while it waited for a token, and no clock told: what it brought could not be stored."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    gate = vendor.holds()
    rotation = asyncio.create_task(credential.rotate_secret())
    await asyncio.sleep(1)
    await store.inner.release(secret_key(CLIENT), 1)
    other = Worker(store, vendor).credential(CLIENT, "another")
    await other.rotate_secret()
    gate.set()
    await rotation
    await Worker(store, vendor).credential(CLIENT, "third").token()
    assert vendor.sent[-1][2] == vendor.secret
    assert vendor.counts[ROTATE] == 2
