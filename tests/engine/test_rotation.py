"""Replacing a client's secret: what other workers do meanwhile, and what goes wrong."""

from __future__ import annotations

import asyncio
import logging

import pytest

from linkauth.engine.events import EventKind
from linkauth.errors import (
    CorruptRecord,
    MalformedResponse,
    NoAnswer,
    OAuthError,
)
from linkauth.protocol.keys import answer_key, secret_key
from linkauth.protocol.records import PendingRecord, SecretRecord
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.announcing import Telling
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, refusal
from tests.engine.test_newest_secret import KEY
from tests.engine.virtual import monotonic, virtual, wall

ROTATE = "/oauth/clients/shop/rotate"


async def free(store: Store) -> bool:
    """Whether the lease on the secret was given back."""
    begun = monotonic()
    await store.inner.wait_for_change(secret_key(CLIENT), 99, 60)
    return monotonic() == begun


@virtual
async def test_a_lost_answer_is_told_and_the_next_rotation_mends_it(caplog):
    """The old secret may be dead: the log says what to do, and the lease is given back so that it can be done at once."""
    caplog.set_level(logging.ERROR)
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor, timeout=1).credential(CLIENT)
    await credential.token()
    vendor.fails(NoAnswer("cut off"), times=9, acts=True)
    with pytest.raises(NoAnswer):
        await credential.rotate_secret()
    assert "rotate again" in caplog.text
    assert await free(store)
    vendor.faults.clear()
    await credential.rotate_secret()
    assert (await credential.refresh()).access_token


@virtual
async def test_a_renewal_without_an_answer_is_none_of_a_rotation(caplog):
    """It was the token that could not be had: nothing was rotated, nobody is told to rotate again, nobody is held up."""
    caplog.set_level(logging.ERROR)
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor, timeout=1).credential(CLIENT)
    vendor.fails(NoAnswer("cut off"), times=9)
    with pytest.raises(NoAnswer):
        await credential.rotate_secret()
    assert vendor.counts[ROTATE] == 0
    assert "rotat" not in caplog.text
    assert await free(store)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [(refusal(403, "FORBIDDEN"), OAuthError), (MalformedResponse("too large"), MalformedResponse)],
    ids=["refused", "nothing to keep"],
)
@virtual
async def test_a_rotation_that_fails_holds_nobody_up(outcome, kind):
    """The lease is given back; the old secret goes on."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    vendor.fails(outcome)
    with pytest.raises(kind):
        await credential.rotate_secret()
    assert await free(store)
    assert await credential.unread_answer() is None
    assert (await credential.refresh()).access_token


@virtual
async def test_a_rotation_that_nobody_told_of_does_not_count_as_this_one():
    """The secret was rotated before: who rotates now learns of that, and rotates once more as it was asked to."""
    store, vendor = Store(), Vendor()
    one, other = Worker(store, vendor).credential(CLIENT), Worker(store, vendor).credential(CLIENT)
    await other.token()
    await one.rotate_secret()
    await other.rotate_secret()
    assert vendor.counts[ROTATE] == 2
    assert (await one.refresh()).access_token
    assert (await other.refresh()).access_token


@virtual
async def test_a_token_that_ends_while_a_rotation_waits_is_renewed_before_it_is_shown():
    """Somebody held the lease for so long: the vendor would refuse what was good when the rotation was asked for."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor, timeout=100).credential(CLIENT)
    old = await credential.token()
    await asyncio.sleep(715)
    await store.inner.claim(secret_key(CLIENT), "somebody", 200, 0, b"")
    await credential.rotate_secret()
    assert [path for _, path, _ in vendor.sent] == ["/oauth/token", "/oauth/token", ROTATE]
    assert await credential.token() != old


@virtual
async def test_a_rotation_waits_for_secrets_that_may_be_put_back():
    """The store restarted empty, and gives low numbers again: what stands above is not rotated under a lease below."""
    store, vendor = Telling(), Vendor()
    behind, ahead = Worker(store, vendor).credential(CLIENT), Worker(store, vendor).credential(CLIENT, "another")
    await behind.token()
    await ahead.rotate_secret()
    await ahead.rotate_secret()
    store.empty()
    store.tell(None)
    await behind.rotate_secret()
    assert vendor.counts[ROTATE] == 3
    await asyncio.sleep(1)  # by then everybody has put back what he holds
    await Worker(store, vendor).credential(CLIENT, "third").token()
    assert vendor.sent[-1][2] == vendor.secret


@virtual
async def test_a_rotation_that_has_waited_shows_a_token_that_is_good():
    """The one that it had before the wait has ended since."""
    store, vendor = Telling(), Vendor()
    vendor.lifetime = 60
    worker = Worker(store, vendor)
    await worker.credential(CLIENT).token()
    await asyncio.sleep(54)
    worker.context.read_repair.beware()
    begun = monotonic()
    await worker.credential(CLIENT).rotate_secret()
    assert monotonic() - begun == 3
    assert vendor.counts[ROTATE] == 1


@virtual
async def test_a_secret_is_stored_though_its_number_was_given_twice():
    """The store lost its data while two rotated: the first to be stored must not hide the one that lives."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential, key = worker.credential(CLIENT), secret_key(CLIENT)
    await credential.token()

    async def twin():
        record = SecretRecord(vendor=CLIENT.name, client_secret="dead")
        await store.inner.commit(key, 1, worker.context.codec.close(key, 1, record))

    def first(name):
        if name == "commit":
            store.before = lambda _: None
            return twin()
        return None

    store.before = first
    await credential.rotate_secret()
    assert vendor.counts[ROTATE] == 1
    other = Worker(store, vendor).credential(CLIENT)
    await other.token()
    assert (await other.refresh()).access_token
    assert vendor.sent[-1][2] == vendor.secret
    assert await free(store)


@virtual
async def test_a_secret_whose_number_was_given_twice_gives_way_to_a_later_rotation():
    """Somebody rotates while it is to be stored anew: he is waited for, and his secret is the one that lives."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential, key = worker.credential(CLIENT), secret_key(CLIENT)
    await credential.token()

    def record(secret: str, number: int) -> bytes:
        return worker.context.codec.close(key, number, SecretRecord(vendor=CLIENT.name, client_secret=secret))

    async def twin():
        await store.inner.commit(key, 1, record("dead", 1))
        later = await store.inner.claim(key, "other", 10, 1, b"")
        vendor.secret = "later"
        asyncio.get_running_loop().call_later(2, lambda: begun.append(asyncio.create_task(stores(later.number))))

    async def stores(number: int) -> None:
        await store.inner.commit(key, number, record("later", number))

    def first(name):
        if name == "commit":
            store.before = lambda _: None
            return twin()
        return None

    begun: list[asyncio.Task[None]] = []
    store.before = first
    await credential.rotate_secret()
    assert (await credential.refresh()).access_token
    assert vendor.sent[-1][2] == "later"


@virtual
async def test_a_secret_whose_number_was_given_twice_gives_way_to_one_that_is_stored_already():
    """A later rotation is stored before the claim to store this one anew: the vendor has killed this one since."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential, key = worker.credential(CLIENT), secret_key(CLIENT)
    await credential.token()

    async def stores(secret: str, number: int) -> None:
        vendor.secret = secret
        record = SecretRecord(vendor=CLIENT.name, client_secret=secret)
        await store.inner.commit(key, number, worker.context.codec.close(key, number, record))

    def first(name):
        if name == "commit":
            store.before = lambda name: stores("later", 2) if name == "claim" else None
            return stores("dead", 1)
        return None

    store.before = first
    await credential.rotate_secret()
    store.before = lambda _: None
    assert (await Worker(store, vendor).credential(CLIENT, "another").token()).access_token
    assert vendor.sent[-1][2] == "later"


@virtual
async def test_a_record_of_another_kind_is_no_secret():
    """Named, and nothing of it shown; and no rotation takes the place of what nobody could read."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    key = secret_key(CLIENT)
    record = PendingRecord(
        vendor="x", account="a", token_key="k", state="canary", redirect_uri="r", scope="", verifier=None, expires_at=0
    )
    await store.inner.commit(key, 1, worker.context.codec.close(key, 1, record))
    with pytest.raises(CorruptRecord, match="another kind") as caught:
        await worker.credential(CLIENT).rotate_secret()
    assert "canary" not in str(caught.value)
    assert vendor.secret == "first-secret"


@virtual
async def test_a_secret_that_was_rotated_since_a_loss_is_not_overwritten_by_the_one_before():
    """The store lost its data and counts anew: the later secret has a lower number, and lives. Who holds the dead one learns it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    for _ in range(2):
        await credential.rotate_secret()
        await asyncio.sleep(1)
    key = secret_key(CLIENT)
    assert (await store.inner.read(key)).record.version > 1
    store.inner = MemoryStore(clock=wall)
    vendor.secret = "the one that lives"
    lives = SecretRecord(vendor=CLIENT.name, client_secret=vendor.secret, rotated_at=wall())
    await store.inner.commit(key, 1, worker.context.codec.close(key, 1, lives))
    await worker.context.client_secrets.of(CLIENT).put_back()
    assert (await store.inner.read(key)).record.version == 1
    vendor.counts.clear()
    assert (await credential.refresh()).access_token
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_secret_that_was_stored_in_the_future_is_ordered_by_its_number():
    """A clock was wrong when it was stored: it does not take the place of what is rotated from then on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    key, credential = secret_key(CLIENT), worker.credential(CLIENT)
    early = SecretRecord(vendor=CLIENT.name, client_secret=vendor.secret, rotated_at=wall() + 10**9)
    await store.inner.commit(key, 1, worker.context.codec.close(key, 1, early))
    await credential.token()
    other = Worker(store, vendor).credential(CLIENT)
    await other.rotate_secret()
    vendor.counts.clear()
    await credential.refresh()
    assert vendor.counts["requests"] == 1
    assert worker.context.client_secrets.of(CLIENT).version == (await store.inner.read(key)).record.version


@virtual
async def test_a_vendor_that_keeps_its_secrets_has_none_to_look_for():
    """Its refusals of the client are the caller's: nothing is looked up, nothing waited for."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    assert await worker.context.client_secrets.newest(USER) is USER
    assert await worker.context.client_secrets.newer(USER, USER) is None
    assert not store.counts


@virtual
async def test_a_rotation_is_told_with_the_time_that_it_took():
    """One event, when the secret is stored."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.token()
    vendor.delay = 3.0
    await credential.rotate_secret()
    told = [event.duration for event in worker.events if event.kind is EventKind.SECRET_ROTATED]
    assert told == [3.0]


@virtual
async def test_a_rotation_without_an_answer_is_asked_for_again():
    """The lost answer took the secret with it: while the token lives there is a way to another."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    vendor.fails(NoAnswer("cut off"), acts=True)
    await credential.rotate_secret()
    assert [path.rpartition("/")[2] for _, path, _ in vendor.sent].count("rotate") == 2
    assert (await credential.refresh()).access_token


@virtual
async def test_a_secret_under_a_number_that_was_given_before_is_another():
    """The store lost its data and counts anew: who has another secret under that number goes on with the one that lives."""
    store, vendor = Store(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.rotate_secret()
    number = worker.context.client_secrets.of(CLIENT).version
    store.inner = MemoryStore(clock=clock.wall)
    vendor.secret = "the one that lives"
    value = other.context.codec.close(KEY, number, SecretRecord(vendor=CLIENT.name, client_secret=vendor.secret))
    await store.inner.commit(KEY, number, value)
    assert (await credential.refresh()).access_token


@virtual
async def test_a_rotation_that_succeeds_clears_away_an_answer_that_nobody_read():
    """What it may have held is dead by now."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    key = answer_key(CLIENT)
    value = worker.context.codec.close(key, 1, SecretRecord(vendor=CLIENT.name, client_secret="who knows"))
    await store.inner.commit(key, 1, value)
    credential = worker.credential(CLIENT)
    assert await credential.unread_answer() is not None
    await credential.rotate_secret()  # its number is 1, too
    await credential.rotate_secret()
    assert await credential.unread_answer() is None
