"""Replacing a client's secret: what other workers do meanwhile, and what goes wrong."""

from __future__ import annotations

import asyncio
import logging

import attrs
import pytest

from linkauth.errors import (
    CorruptRecord,
    InvalidClient,
    MalformedResponse,
    NoAnswer,
    OAuthError,
    StoreUnavailable,
)
from linkauth.protocol.records import PendingRecord, SecretRecord, secret_key
from tests.engine.fakes import CLIENT, USER, Escrow, Store, Vendor, Worker, refusal
from tests.engine.test_lost_store import Telling
from tests.engine.virtual import monotonic, virtual

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
async def test_a_worker_that_closes_says_what_it_leaves_behind(caplog):
    """A rotated secret that the store never took: offered once more, and then the log says so."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.token()
    store.down.add("commit")
    with pytest.raises(StoreUnavailable):
        await credential.rotate_secret()
    await worker.aclose()
    assert "what a rotation brought" in caplog.text


@virtual
async def test_an_unread_answer_waits_for_the_store():
    """Nothing was recognised in it and the store is away: it is offered until the store has it."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    vendor.fails(attrs.evolve(refusal(200, "odd"), body=b'{"odd": "new-one"}'))
    store.down.add("commit")
    with pytest.raises(MalformedResponse):
        await credential.rotate_secret()
    assert await credential.unread_answer() is None
    store.down.clear()
    await asyncio.sleep(2)
    assert "new-one" in (await credential.unread_answer()).reveal()


@virtual
async def test_a_secret_in_escrow_comes_before_the_constructors():
    """Rotated, and dead before the store took it: a restarted process uses what lies in escrow, and stores it."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    doomed = Worker(store, vendor, escrow=escrow)
    await doomed.credential(CLIENT).token()
    store.down.add("commit")
    with pytest.raises(StoreUnavailable):
        await doomed.credential(CLIENT).rotate_secret()
    doomed.context.flights.closing = True
    await asyncio.sleep(1)
    store.down.clear()
    restarted = Worker(store, vendor, escrow=escrow)
    assert (await restarted.credential(CLIENT, "another").token()).access_token
    assert escrow.kept == {}
    assert (await Worker(store, vendor).credential(CLIENT, "third").token()).access_token
    assert [secret for _, path, secret in vendor.sent if path == "/oauth/token"][1:] == [vendor.secret] * 2


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
async def test_a_vendor_that_keeps_its_secrets_has_none_to_look_for():
    """Its refusals of the client are the caller's: nothing is looked up, nothing waited for."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    assert not await worker.context.client_secrets.look(USER)
    assert await worker.context.client_secrets.newest(USER) is USER
    assert await worker.context.client_secrets.newer(USER, USER) is None
    assert not store.counts


@virtual
async def test_a_refused_secret_is_the_constructors_turn():
    """The store's is dead: what an operator has put right by hand is tried, and where it is dead too, that is told."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor).credential(CLIENT).rotate_secret()
    vendor.secret = "by-hand"
    mended = attrs.evolve(CLIENT, client_secret="by-hand")
    assert (await Worker(store, vendor).credential(mended, "mended").token()).access_token
    with pytest.raises(InvalidClient):
        await Worker(store, vendor).credential(CLIENT, "broken").token()
