"""A lease whose holder is dead for certain is not waited out; of everybody else's nothing is taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from linkauth.engine.world import Unknown
from linkauth.errors import StoreUnavailable, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.intent import Note
from linkauth.protocol.keys import secret_key
from linkauth.store import Busy
from tests.engine.fakes import CLIENT, LIFETIME, USER, Escrow, Fault, Machine, Store, Vendor, Worker, logged_in
from tests.engine.scenes import killed_while_renewing
from tests.engine.virtual import monotonic, virtual

if TYPE_CHECKING:
    from collections.abc import Coroutine

LEASE = 10.0 + timing.LEASE_MORE


async def begun(vendor: Vendor, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
    """``work`` as a task, once the vendor has been asked, who does not answer."""
    fault = Fault(None, gate=asyncio.Event())
    vendor.faults.append(fault)
    task = asyncio.create_task(work)
    await asyncio.sleep(0.1)
    assert fault not in vendor.faults
    return task


async def dies(worker: Worker, task: asyncio.Task[object]) -> None:
    task.cancel()
    await worker.killed()
    await asyncio.gather(task, return_exceptions=True)


async def expired(store: Store, vendor: Vendor, *workers: Worker) -> None:
    """All know a user's token that is over."""
    await logged_in(Worker(store, vendor))
    for worker in workers:
        await worker.credential(USER).token()
    await asyncio.sleep(LIFETIME + 1)


@virtual
async def test_where_nothing_rotates_the_next_has_a_token_at_once():
    """Killed while the vendor was asked: who comes then asks at once, and not when the lease ends."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    await dies(victim, await begun(vendor, victim.credential(CLIENT).token()))
    died = monotonic()
    assert await other.credential(CLIENT).token()
    assert monotonic() == died
    assert vendor.counts["requests"] == 2


@virtual
async def test_who_waits_already_sees_the_holder_die():
    """A caller that was there before: within a second of the death, and the grace, he has a token; nothing is spent twice."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    await expired(store, vendor, victim, other)
    renewal = await begun(vendor, victim.credential(USER).token())
    waiting = asyncio.create_task(other.credential(USER).token())
    await asyncio.sleep(1.5)
    await dies(victim, renewal)
    died = monotonic()
    assert await waiting
    assert monotonic() - died <= timing.HOLDER_LOOK + timing.GRACE + timing.LOOK_AGAIN
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (2, 0)


@virtual
async def test_nobody_fails_for_a_dead_holder_where_tokens_rotate():
    """With the default time-out and a vendor that takes 2 s, callers of every worker of the machine have one and the same token."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, *others = [Worker(store, vendor, machine) for _ in range(4)]
    await expired(store, vendor, victim, *others)
    vendor.delay = 2.0
    await dies(victim, await begun(vendor, victim.credential(USER).token()))
    tokens = await asyncio.gather(*(worker.credential(USER).token() for worker in others for _ in range(5)))
    assert len({token.access_token for token in tokens}) == 1
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (2, 0)


@virtual
async def test_what_was_in_doubt_stays_in_doubt():
    """The dead one's note stands when his lease is given back: while the token is good nobody spends what he may have spent."""
    store, vendor, machine = Store(), Vendor(), Machine()
    await logged_in(Worker(store, vendor))
    await asyncio.sleep(700)
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    await killed_while_renewing(victim, vendor)
    key = other.credential(USER).replica.key
    left = Note.decode((await store.read(key)).note)
    await other.credential(USER).token()
    with pytest.raises(VendorUnavailable, match="did not come back"):
        await other.credential(USER).refresh()
    found = Note.decode((await store.read(key)).note)
    assert left.doubt
    assert (found.doubt, found.since) == (left.doubt, left.since)
    assert vendor.counts["/auth/refresh"] == 1
    await asyncio.sleep(LIFETIME - 701)
    assert await other.credential(USER).token()
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (2, 0)


@virtual
@pytest.mark.parametrize("where", ["another machine", "stopped"])
async def test_who_may_live_is_waited_out(where):
    """A process elsewhere, or one that is stopped, may come back: his lease runs to its end, and callers are told whose it is."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim = Worker(store, vendor, machine)
    other = Worker(store, vendor, machine if where == "stopped" else Machine("elsewhere"))
    await expired(store, vendor, victim, other)
    await dies(victim, await begun(vendor, victim.credential(USER).token()))
    if where == "stopped":
        machine.dead.clear()
    died = monotonic()
    with pytest.raises(VendorUnavailable, match=r"another worker holds the lease .* ends in 3\.9 s") as told:
        await other.credential(USER).token()
    assert told.value.retry_after == pytest.approx(LEASE - 11.1)
    assert vendor.counts["/auth/refresh"] == 1
    assert await other.credential(USER).token()
    assert LEASE - 1 < monotonic() - died <= LEASE + timing.GRACE + timing.LOOK_AGAIN
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (2, 0)


@virtual
async def test_a_slow_vendor_is_still_called_slow():
    """Where this worker holds the lease itself nobody else is named."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await expired(store, vendor, worker)
    renewal = await begun(vendor, worker.credential(USER).token())
    with pytest.raises(VendorUnavailable, match=r"no token within 10 s$"):
        await renewal
    await worker.killed()


@virtual
async def test_a_machines_escrow_comes_before_spending():
    """Killed with an answer that the store had not taken: another worker of the machine finds it, though it had looked before."""
    store, vendor, machine, escrow = Store(), Vendor(), Machine(), Escrow()
    victim, other = [Worker(store, vendor, machine, escrow=escrow) for _ in range(2)]
    await expired(store, vendor, victim, other)
    store.down.add("commit")
    kept = await victim.credential(USER).token()
    await victim.killed()
    store.down.clear()
    assert (await other.credential(USER).token()).access_token == kept.access_token
    assert (vendor.counts["/auth/refresh"], escrow.kept) == (1, {})


@virtual
async def test_a_rotation_of_the_clients_secret_goes_on():
    """Killed while the vendor was asked for a new secret: the next who rotates does not wait for the lease's end."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    for worker in (victim, other):
        await worker.credential(CLIENT).token()
    await dies(victim, await begun(vendor, victim.credential(CLIENT).rotate_secret()))
    died = monotonic()
    await other.credential(CLIENT).rotate_secret()
    assert monotonic() == died
    assert (await store.read(secret_key(CLIENT))).record is not None


@virtual
async def test_a_login_waits_for_no_dead_renewal():
    """Killed while it renewed: the user's word does not even wait the 2 s that it waits for the living."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    await expired(store, vendor, victim, other)
    await dies(victim, await begun(vendor, victim.credential(USER).token()))
    died = monotonic()
    await logged_in(other)
    assert monotonic() == died


@virtual
async def test_a_round_of_keep_alive_goes_on():
    """Killed in the middle of a round: another worker of the machine makes it within a second, not within a minute."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    await logged_in(victim)
    await asyncio.sleep(0.8 * 7 * 86400.0)
    await dies(victim, await begun(vendor, victim.keep_alive(USER, rounds=1)))
    died = monotonic()
    assert await other.keep_alive(USER, rounds=1) == 1
    assert monotonic() - died < timing.GRACE + 2 * timing.HOLDER_LOOK
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (2, 0)


@virtual
async def test_two_who_find_the_dead_one_at_once_ask_once():
    """Each gives the lease back in his name; one is granted the next, and the other waits for what that brings."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, *others = [Worker(store, vendor, machine) for _ in range(3)]
    await dies(victim, await begun(vendor, victim.credential(CLIENT).token()))
    vendor.delay = 1.0
    one, two = await asyncio.gather(*(worker.credential(CLIENT).token() for worker in others))
    assert one == two
    assert vendor.counts["requests"] == 2


@virtual
async def test_somebody_may_be_faster_than_who_gives_it_back():
    """Before he does somebody else has the lease: that one's is left alone, and waited for."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    credential = other.credential(CLIENT)
    await dies(victim, await begun(vendor, victim.credential(CLIENT).token()))

    async def takes(name: str) -> None:
        if name == "release":
            store.before = lambda _: None
            await asyncio.sleep(timing.LEASE_CHEAP)
            await store.inner.claim(credential.replica.key, "somebody", 5.0, 0, b"")

    store.before = takes
    died = monotonic()
    assert await credential.token()
    assert monotonic() - died == pytest.approx(timing.LEASE_CHEAP + 5.0, abs=0.1)


@virtual
async def test_a_store_that_fails_meanwhile_is_told():
    """Where the lease cannot be given back nothing is spent: a store that is away is what callers hear."""
    store, vendor, machine = Store(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    await expired(store, vendor, victim, other)
    await dies(victim, await begun(vendor, victim.credential(USER).token()))
    store.down.add("release")
    with pytest.raises(StoreUnavailable):
        await other.credential(USER).token()
    assert vendor.counts["/auth/refresh"] == 1


class Silent(Store):
    """A store that does not tell the number of a lease that somebody else has: another's, from before that was asked for."""

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)

        async def claim(*args: Any) -> Any:
            found = await method(*args)
            return attrs.evolve(found, number=0) if isinstance(found, Busy) else found

        return claim if name == "claim" else method


@virtual
async def test_a_store_that_tells_no_number_is_waited_for():
    """What cannot be given back is waited out, as ever, and the store is not asked over and over."""
    store, vendor, machine = Silent(), Vendor(), Machine()
    victim, other = Worker(store, vendor, machine), Worker(store, vendor, machine)
    await dies(victim, await begun(vendor, victim.credential(CLIENT).token()))
    died, asked = monotonic(), store.counts["claim"]
    assert await other.credential(CLIENT).token()
    assert monotonic() - died == pytest.approx(timing.LEASE_CHEAP, abs=0.2)
    assert store.counts["claim"] - asked == 2


@virtual
async def test_where_nothing_is_told_of_processes_an_owner_is_a_random_id_alone():
    """An engine whose world names none: so are the owners of every earlier release, of which nothing can be told."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    world = attrs.evolve(worker.context.world, processes=Unknown())
    context = attrs.evolve(worker.context, world=world)
    owner = context.owner()
    assert len(owner) == 24
    assert set(owner) <= set("0123456789abcdef")
    busy = Busy(record=None, now=0.0, holder=owner, remaining=1.0, number=1)
    assert context.is_alive(busy) is None
    assert worker.context.is_alive(busy) is None
