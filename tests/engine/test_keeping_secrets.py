"""A rotated secret must not be lost: it is stored before it is used, and kept where the store does not take it."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth.engine.escrow import Kept
from linkauth.errors import (
    MalformedResponse,
    StoreUnavailable,
)
from linkauth.protocol.keys import answer_key, secret_key
from linkauth.protocol.records import SecretRecord
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, Escrow, Store, Vendor, Worker, answer, refusal
from tests.engine.scenes import rotated_unsaved
from tests.engine.test_newest_secret import KEY
from tests.engine.virtual import VirtualLoop, virtual


@virtual
async def test_a_secret_in_escrow_is_used_though_the_store_is_away():
    """An earlier process got it and could store it nowhere else: the constructor's is dead by now."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    worker = Worker(store, vendor, escrow=escrow)
    vendor.secret = "in escrow"
    value = worker.context.codec.close(KEY, 3, SecretRecord(vendor=CLIENT.name, client_secret="in escrow"))
    await escrow.put(Kept(KEY, 3, value))
    store.down.add("*")
    assert (await worker.credential(CLIENT).token()).access_token
    assert vendor.counts["requests"] == 1
    assert list(escrow.kept) == [(KEY, 3)]
    store.down.clear()
    await worker.credential(CLIENT).refresh()  # looks again, for the store may have a newer one
    assert (await store.inner.read(KEY)).record.version == 3
    assert escrow.kept == {}


@virtual
async def test_a_secret_in_escrow_that_a_later_rotation_has_outlived_stays_dead():
    """Another process rotated after the one that died: the store's secret is the one that lives, and stays as it is."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    worker = Worker(store, vendor, escrow=escrow)
    close = worker.context.codec.close
    left = SecretRecord(vendor=CLIENT.name, client_secret="in escrow", rotated_at=clock.wall() - 20)
    await escrow.put(Kept(KEY, 3, close(KEY, 3, left)))
    vendor.secret = "the one that lives"
    lives = SecretRecord(vendor=CLIENT.name, client_secret=vendor.secret, rotated_at=clock.wall() - 10)
    await store.inner.commit(KEY, 4, close(KEY, 4, lives))
    assert (await worker.credential(CLIENT).token()).access_token
    assert vendor.counts["requests"] == 1
    assert (await store.inner.read(KEY)).record.version == 4
    assert escrow.kept == {}


@virtual
async def test_a_secret_in_escrow_comes_before_the_constructors():
    """Rotated, and dead before the store took it: a restarted process uses what lies in escrow, and stores it."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    doomed = Worker(store, vendor, escrow=escrow)
    await rotated_unsaved(doomed.credential(CLIENT), store)
    doomed.context.flights.closing = True
    await asyncio.sleep(1)
    store.down.clear()
    restarted = Worker(store, vendor, escrow=escrow)
    assert (await restarted.credential(CLIENT, "another").token()).access_token
    assert escrow.kept == {}
    assert (await Worker(store, vendor).credential(CLIENT, "third").token()).access_token
    assert [secret for _, path, secret in vendor.sent if path == "/oauth/token"][1:] == [vendor.secret] * 2


@virtual
async def test_a_rotated_secret_is_stored_before_it_is_used_and_found_by_all():
    """``rotate_secret`` returns when the store has it; a worker that holds the old one finds it, and is refused nothing."""
    store, vendor = Store(), Vendor()
    rotating, other = Worker(store, vendor), Worker(store, vendor)
    await other.credential(CLIENT).token()
    await rotating.credential(CLIENT).rotate_secret()
    assert (await store.read(secret_key(CLIENT))).record is not None
    await other.credential(CLIENT).refresh()
    await Worker(store, vendor).credential(CLIENT).refresh()
    spent = [secret for _, path, secret in vendor.sent if path == "/oauth/token"]
    assert spent[0] == "first-secret"
    assert set(spent[1:]) == {vendor.secret}


@virtual
async def test_a_rotated_secret_that_the_store_does_not_take_is_used_and_offered():
    """The store goes away at the worst moment: this is said, this worker goes on with the new one, and it is stored."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await rotated_unsaved(credential, store)
    assert (await credential.refresh()).access_token
    store.down.clear()
    await asyncio.sleep(2)
    assert (await Worker(store, vendor).credential(CLIENT).refresh()).access_token


@virtual
async def test_a_secret_whose_record_somebody_deleted_meanwhile_is_used_here():
    """The store will not have it, for whoever deleted did so later; the vendor has it all the same, and so has this worker."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    store.before = lambda name: store.inner.delete(KEY, 99) if name == "commit" else None
    await credential.rotate_secret()
    assert (await store.inner.read(KEY)).record is None
    vendor.counts.clear()
    assert (await credential.refresh()).access_token
    assert vendor.counts["requests"] == 1


@virtual
async def test_an_answer_without_a_known_secret_is_kept_for_the_operator(caplog):
    """The old secret is dead by now: the answer is in the error, in the store, and in no log."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.token()
    vendor.fails(answer(200, {"success": True, "newSecretValue": "canary-new"}))
    with pytest.raises(MalformedResponse) as caught:
        await credential.rotate_secret()
    assert "canary-new" in caught.value.raw.reveal()
    record = (await store.read(answer_key(CLIENT))).record
    assert "canary-new" in worker.context.codec.open(answer_key(CLIENT), record).client_secret
    assert answer_key(CLIENT) in caplog.text
    assert "canary" not in caplog.text + repr(caught.value) + str(caught.value)


@virtual
async def test_no_rotation_without_the_store():
    """A store that is away keeps a rotation from being begun: a secret that cannot be stored must not be made."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    store.down.add("claim")
    with pytest.raises(StoreUnavailable):
        await credential.rotate_secret()
    assert not any("rotate" in path for path in vendor.counts)


@virtual
async def test_a_worker_that_closes_says_what_it_leaves_behind(caplog):
    """A rotated secret that the store never took: offered once more, and then the log says so."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await rotated_unsaved(credential, store)
    await worker.aclose()
    assert "the client's secret: closing, and the store has not taken the last answer" in caplog.text


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


def test_a_secret_that_waits_for_the_store_is_offered_on_in_the_next_loop():
    """The store did not take it before the loop ended: the next one that asks for a token has it stored for all."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)

    async def rotate() -> None:
        await rotated_unsaved(credential, store)

    async def go_on() -> None:
        store.down.clear()
        await credential.refresh()
        await asyncio.sleep(1)
        assert (await Worker(store, vendor).credential(CLIENT, "another").token()).access_token

    for use in (rotate, go_on):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(use())
    assert vendor.secret != "first-secret"
