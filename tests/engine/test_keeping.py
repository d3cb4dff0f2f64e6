"""What must not be lost: answers that the store would not take are kept, served, and stored in the end."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from linkauth.errors import (
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.protocol import timing
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as virtually
from tests.engine.fakes import CLIENT, USER, Escrow, Store, Vendor, Worker, logged_in, remembered
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_an_answer_that_the_store_does_not_take_is_served_kept_and_stored():
    """Commit fails for a minute: everybody here is served, nothing is spent, and then the store has it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    kept = await credential.refresh()
    for _ in range(60):
        assert await credential.token() == kept
        await asyncio.sleep(1)
    with pytest.raises(StoreUnavailable, match="waits for the store"):
        await credential.refresh()
    store.down.clear()
    await asyncio.sleep(1)
    other = Worker(store, vendor)
    assert (await other.credential(USER).token()).access_token == kept.access_token
    assert (await other.credential(USER).refresh()).access_token
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 0


@virtual
@pytest.mark.parametrize("misses", [set(), {"extend"}], ids=["", "and an extension fails"])
async def test_a_kept_answer_keeps_its_lease(misses):
    """The store answers, but takes nothing of one worker for a minute: no other spends the refresh token that was spent for it."""
    store, vendor = Store(), Vendor()
    other = Worker(Store(store.inner), vendor).credential(USER)
    credential = await logged_in(Worker(store, vendor))
    await other.token()
    store.down.add("commit")
    await credential.refresh()
    with pytest.raises(VendorUnavailable):
        await other.refresh()  # goes on behind: whoever has the lease may be waiting for an answer
    store.down |= misses
    await asyncio.sleep(5)
    store.down -= misses
    await asyncio.sleep(45)
    store.down.clear()
    await asyncio.sleep(1)
    assert (await other.token()).access_token == (await credential.token()).access_token
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_kept_answer_leaves_a_lease_that_is_lost_to_others():
    """The store has ended it, and somebody else has another: nothing is extended any more."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down |= {"commit", "extend"}
    await credential.refresh()
    await asyncio.sleep(20)
    store.down.discard("extend")
    await asyncio.sleep(10)
    store.counts.clear()
    await asyncio.sleep(60)
    assert set(store.counts) == {"commit"}
    store.down.clear()
    await asyncio.sleep(1)


@virtual
async def test_a_store_that_hangs_is_offered_the_answer_as_often():
    """An extension that nobody answers does not hold up the next offer, which comes half a second later at the most."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    store.hung.add("extend")
    offered: list[float] = []
    store.before = lambda name: offered.append(monotonic()) if name == "commit" else None
    await credential.refresh()
    await asyncio.sleep(60)
    assert max(after - before for before, after in itertools.pairwise(offered)) <= 2 * timing.OFFER_LONGEST
    store.down.clear()
    await asyncio.sleep(1)


@virtual
async def test_a_store_that_was_emptied_meanwhile_takes_the_answer_too():
    """The store restarts empty while the answer waits: it is committed under its number, and the session lives."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await credential.refresh()
    store.down.add("commit")
    kept = await credential.refresh()
    store.inner = MemoryStore(clock=virtually.wall)
    store.down.clear()
    await asyncio.sleep(1)
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept.access_token


@virtual
async def test_a_commit_whose_answer_was_lost_is_no_loss():
    """The store did it and the answer was lost: offered again it is the same commit, and nothing is spent again."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.lost.add("commit")
    kept = await credential.refresh()
    await asyncio.sleep(1)
    store.lost.clear()
    await asyncio.sleep(1)
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept.access_token
    assert (await credential.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_claim_whose_answer_was_lost_spends_nothing():
    """Whether the claim happened is not known: nothing is sent, and the lease ends by itself."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.lost.add("claim")
    with pytest.raises(StoreUnavailable):
        await credential.refresh()
    store.lost.clear()
    assert vendor.counts["/auth/refresh"] == 0
    await asyncio.sleep(901)
    assert (await credential.token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_commit_that_is_being_made_is_no_answer_that_waits():
    """Another thread's loop is committing at this moment: nobody is told that the store is away."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    gate = asyncio.Event()
    store.before = lambda name: gate.wait() if name == "commit" else None
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    assert credential.replica.outbox.kept is not None
    assert not await credential.replica.settle()
    gate.set()
    await renewal


@virtual
async def test_an_answer_that_waits_in_another_loop_is_not_waited_for():
    """Its flight cannot be joined from here, and nothing is spent until it is stored: that is said at once."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    await credential.refresh()
    saving = credential.replica.outbox.saving
    saving.loop, here = asyncio.SelectorEventLoop(), saving.loop
    before = monotonic()
    with pytest.raises(StoreUnavailable, match="an answer waits"):
        await credential.replica.settle()
    assert monotonic() == before
    saving.loop.close()
    saving.loop = here
    store.down.clear()
    await asyncio.sleep(1)
    assert credential.replica.outbox.kept is None


@virtual
async def test_a_login_takes_the_place_of_an_answer_that_waits():
    """An answer waits for the store, and the user logs in: the login is what is held, stored and served from then on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    await credential.refresh()
    login = await credential.login(email="ada@example.com", password="correct horse")
    await asyncio.sleep(2)
    store.down.clear()
    await asyncio.sleep(2)
    assert await credential.token() == login
    assert (await Worker(store, vendor).credential(USER).token()).access_token == login.access_token
    assert (await credential.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_an_answer_that_can_be_had_again_is_not_kept():
    """A client's token that the store did not take serves this process, holds nothing up and lies nowhere."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    credential = Worker(store, vendor, escrow=escrow).credential(CLIENT)
    store.down.add("commit")
    tokens = [await credential.token() for _ in range(3)]
    assert tokens[0] == tokens[2]
    assert remembered(credential).stored is False
    assert (credential.replica.outbox.kept, escrow.kept) == (None, {})
    store.down.clear()
    await asyncio.sleep(20)
    assert (await credential.refresh()).access_token != tokens[0].access_token
    assert remembered(credential).stored is True
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_kept_answer_is_known_not_to_be_in_the_store():
    """So nobody takes the store for one that lost it."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    await credential.refresh()
    assert remembered(credential).stored is False
    assert not credential.replica.is_newer_than(0)
    store.down.clear()
    await asyncio.sleep(2)
    assert remembered(credential).stored is True
    assert credential.replica.is_newer_than(0)


@virtual
async def test_nothing_is_spent_while_an_answer_waits():
    """The store takes it in the end: whoever asked meanwhile gets that token, and the vendor is asked no second time."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    fresh = await credential.refresh()
    asking = asyncio.create_task(credential.refresh())
    await asyncio.sleep(3)
    assert vendor.counts["/auth/refresh"] == 1
    store.down.clear()
    assert (await asking).access_token == fresh.access_token
    assert vendor.counts["/auth/refresh"] == 1


@pytest.mark.parametrize("login", [False, True], ids=["lost", "replaced by a login"])
@virtual
async def test_closing_says_that_an_answer_is_lost(login, caplog):
    """The store never took it, and the process ends; an answer whose place a login has taken is none to speak of."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    await credential.refresh()
    if login:
        store.down.clear()
        await logged_in(worker)
    await worker.aclose()
    assert ("closing, and the store has not taken the last answer" in caplog.text) is not login
