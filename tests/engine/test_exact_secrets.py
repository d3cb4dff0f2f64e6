"""Rotating secrets, keeping answers and logging out, call by call: where mutants survived the rest."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING

import attrs
import pytest

from linkauth.engine.escrow import Kept
from linkauth.engine.events import EventKind
from linkauth.engine.outbox import Outbox
from linkauth.errors import InvalidClient, NoAnswer, StoreUnavailable, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.records import SecretRecord, answer_key, secret_digest, secret_key
from linkauth.store import Granted
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, UNSTATED, USER, Escrow, Fault, Store, Vendor, Worker, logged_in
from tests.engine.virtual import monotonic, virtual, wall

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential

KEY = secret_key(CLIENT)


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
async def test_a_rotation_that_was_stalled_past_its_lease_is_carried_out_under_another():
    """Stopped between its claim and the sending: nothing goes out under the lost lease, and the caller sees no error."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.token()
    inner_claim = store.inner.claim

    async def claim_and_stop(*args):
        store.inner.claim = inner_claim
        granted = await inner_claim(*args)
        worker.slept -= 20  # stopped for longer than the lease, which somebody else took and gave back meanwhile
        await store.inner.release(KEY, granted.number)
        return granted

    store.inner.claim = claim_and_stop
    claims = store.counts["claim"]
    await credential.rotate_secret()
    assert store.counts["claim"] - claims == 2
    assert [path.rpartition("/")[2] for _, path, _ in vendor.sent].count("rotate") == 1
    assert isinstance(await store.inner.claim(KEY, "next", 1, 99, b""), Granted)


@virtual
async def test_who_is_refused_while_a_rotation_is_under_way_waits_for_its_secret():
    """The vendor has killed the old secret, and its answer is on its way to the other worker."""
    store, vendor = Store(), Vendor()
    rotating, refused = Worker(store, vendor).credential(CLIENT), Worker(store, vendor, timeout=4.0)
    other = refused.credential(CLIENT)
    await rotating.token()
    await other.token()
    vendor.faults.append(Fault(None, acts=True, delay=4))
    rotation = asyncio.create_task(rotating.rotate_secret())
    await asyncio.sleep(1)
    begun = monotonic()
    assert (await other.refresh()).access_token
    assert monotonic() - begun == pytest.approx(3, abs=0.1)
    assert "store lost" not in refused.heard()  # it waits longer than the store may hang, and knows why
    await rotation


@virtual
async def test_who_is_refused_and_finds_a_newer_secret_waits_for_nobody():
    """One look at the store, one more request."""
    store, vendor = Store(), Vendor()
    rotating, other = Worker(store, vendor).credential(CLIENT), Worker(store, vendor).credential(CLIENT)
    await other.token()
    await rotating.rotate_secret()
    store.counts.clear()
    await other.refresh()
    assert (store.counts["read"], store.counts["wait_for_change"]) == (1, 0)


@virtual
async def test_a_secret_under_a_number_that_was_given_before_is_another():
    """The store lost its data and counts anew: who has another secret under that number goes on with the one that lives."""
    store, vendor = Store(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.rotate_secret()
    number = worker.context.client_secrets.version(CLIENT)
    store.inner = MemoryStore(clock=clock.wall)
    vendor.secret = "the one that lives"
    value = other.context.codec.close(KEY, number, SecretRecord(vendor=CLIENT.name, client_secret=vendor.secret))
    await store.inner.commit(KEY, number, value)
    assert (await credential.refresh()).access_token


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
    assert late.context.client_secrets.version(CLIENT) == 9


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


# -- answers that the store would not take -----------------------------------------------------------------------------


def outbox(store: Store) -> Outbox:
    context = Worker(store, Vendor()).context
    world = attrs.evolve(context.world, random=SimpleNamespace(random=lambda: 0.0))
    return Outbox("token/x/1", context.store_client, world, context.flights, None, 15.0)


@virtual
async def test_offers_move_apart_but_not_far():
    """Whoever comes back to an emptied store waits little longer for what is kept here: half a second at the most."""
    store, offered = Store(), []
    store.before = lambda name: offered.append(monotonic()) if name == "commit" else None
    store.down.add("commit")
    keeping = outbox(store)
    with pytest.raises(StoreUnavailable):
        await keeping.commit(1, b"answer")
    offered.clear()
    insisting = asyncio.create_task(keeping.insist())
    await asyncio.sleep(2)
    store.down.clear()
    await insisting
    gaps = [round(after - before, 6) for before, after in itertools.pairwise(offered)]
    assert gaps == [0.1, 0.2, 0.4, 0.5, 0.5, 0.5]


@virtual
async def test_only_the_newest_answer_is_offered_on():
    """Nothing kept: nothing is offered. Something newer kept meanwhile: the older one is let go of."""
    store = Store()
    keeping = outbox(store)
    assert await keeping.insist() is None
    store.down.add("commit")
    await keeping.keep(1, b"older")
    insisting = asyncio.create_task(keeping.insist())
    await asyncio.sleep(0.05)
    await keeping.keep(2, b"newer")
    store.down.clear()
    assert await insisting is None
    assert (await store.inner.read("token/x/1")).record is None
    await keeping.insist()
    assert (await store.inner.read("token/x/1")).record.value == b"newer"


# -- logging out -------------------------------------------------------------------------------------------------------


@virtual
async def test_a_worker_that_holds_nothing_revokes_what_the_store_has():
    """``linkauth logout`` in a fresh process: the session ends at the vendor, too."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    await Worker(store, vendor).credential(USER).logout()
    assert vendor.counts["/auth/logout"] == 1


@virtual
async def test_a_logout_without_an_answer_is_asked_for_again():
    """Logging out twice harms nobody."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.fails(NoAnswer("cut off"))
    await credential.logout()
    assert vendor.counts["/auth/logout"] == 2
    assert "adopted" not in worker.heard()


async def held_back(worker: Worker, store: Store, newest: str) -> Credential:
    """A credential whose client secret the vendor has refused to the fleet a moment ago; ``newest`` is in the store."""
    credential = worker.credential(UNSTATED)
    await credential.token()
    refusal = InvalidClient("invalid_client", "no", status=401)
    gate = worker.context.admission.gate(worker.context, UNSTATED)
    await gate.refused(refusal, "another account", secret_digest(UNSTATED), wall())
    key = secret_key(UNSTATED)
    record = SecretRecord(vendor=UNSTATED.name, client_secret=newest)
    await store.commit(key, 99, worker.context.codec.close(key, 99, record))
    return credential


@virtual
async def test_who_is_held_back_for_an_old_secret_asks_with_a_newer_one():
    """The fleet knows that the secret is refused, and the store has its successor: only that is shown, and at once."""
    store, vendor = Store(), Vendor()
    credential = await held_back(Worker(store, vendor), store, "new")
    vendor.secret = "new"
    vendor.sent.clear()
    begun = monotonic()
    assert (await credential.refresh()).access_token
    assert [secret for _, _, secret in vendor.sent] == ["new"]
    assert monotonic() == begun


@virtual
async def test_who_is_held_back_and_finds_no_newer_secret_is_told_of_the_refusal():
    """The store has the very secret that was refused: nothing is sent."""
    store, vendor = Store(), Vendor()
    credential = await held_back(Worker(store, vendor), store, "first-secret")
    vendor.sent.clear()
    with pytest.raises(InvalidClient):
        await credential.refresh()
    assert vendor.sent == []


@virtual
async def test_two_dead_secrets_are_asked_about_once_each():
    """The store's and the constructor's are both refused: a worker sends each once, and for its other accounts nothing."""
    store, vendor = Store(), Vendor()
    fleet = [Worker(store, vendor) for _ in range(2)]
    record = SecretRecord(vendor=UNSTATED.name, client_secret="stored")
    key = secret_key(UNSTATED)
    await store.commit(key, 99, fleet[0].context.codec.close(key, 99, record))
    vendor.secret = "neither"
    for number in range(20):
        with pytest.raises(InvalidClient):
            await fleet[number % 2].credential(UNSTATED, f"a{number}").token()
    assert [secret for _, _, secret in vendor.sent] == ["stored", "first-secret"] * 2
    await asyncio.sleep(timing.CLIENT_HOLD[0])
    vendor.secret = "first-secret"  # an operator has put it right at the vendor
    for number in range(20):
        assert (await fleet[number % 2].credential(UNSTATED, f"b{number}").token()).access_token
    assert [secret for _, _, secret in vendor.sent[4:]].count("stored") <= 2


@virtual
async def test_a_refused_secret_is_not_tried_for_another_that_is_refused():
    """The fleet knows that the constructor's is refused: the store's is asked with, refused too, and that is all."""
    store, vendor = Store(), Vendor()
    credential = await held_back(Worker(store, vendor), store, "stored")
    vendor.sent.clear()
    vendor.secret = "neither"
    for _ in range(2):
        with pytest.raises(InvalidClient):
            await credential.refresh()
        await asyncio.sleep(1)
    assert [secret for _, _, secret in vendor.sent] == ["stored"]
