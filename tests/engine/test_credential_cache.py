"""Credentials are let go of when nobody holds them, and never while they know what the store cannot tell."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from threading import Lock
from weakref import ref

import pytest

from linkauth.engine import credential_cache
from linkauth.engine.credential import Credential
from linkauth.errors import LinkAuthError, ReauthorizationRequired
from tests.engine.fakes import CLIENT, USER, Fault, Store, Vendor, Worker, answer, logged_in, refusal
from tests.engine.virtual import virtual

RECENT = 20


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many are kept that nobody holds."""
    monkeypatch.setattr(credential_cache, "RECENT", RECENT)


def alive() -> int:
    """How many credentials there are in this process."""
    gc.collect()
    return sum(isinstance(each, Credential) for each in gc.get_objects())


def passes_by(worker: Worker, count: int = 3 * RECENT) -> None:
    """So many other accounts are named once."""
    for number in range(count):
        worker.credential(USER, f"passer-by {number}")
    gc.collect()


@pytest.mark.slow
@virtual
async def test_accounts_named_once_leave_nothing_behind():
    """Objects and bytes: after three thousand accounts there are no more than after a hundred."""
    worker, before = Worker(Store(), Vendor()), alive()
    passes_by(worker, 100)
    tracemalloc.start()
    try:
        passes_by(worker, 3_000)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert alive() == before + RECENT
    assert grown < 10_000 * RECENT  # bytes


@pytest.mark.slow
@virtual
async def test_used_accounts_leave_nothing_behind():
    """Those that had a token and a renewal are let go of as well, when these have landed."""
    worker, before = Worker(Store(), Vendor()), alive()
    for number in range(3 * RECENT):
        await logged_in(worker, f"user {number}")
        await worker.credential(USER, f"user {number}").refresh()
    assert alive() == before + RECENT


@virtual
async def test_whoever_holds_one_is_given_the_same_again():
    """However many others were named since."""
    worker = Worker(Store(), Vendor())
    held = worker.credential(CLIENT, "held")
    passes_by(worker)
    assert worker.credential(CLIENT, "held") is held


@pytest.mark.slow
@virtual
async def test_named_for_each_request_it_is_served_from_memory():
    """Nobody holds it between two requests, others come and go, and the store is not asked again."""
    store = Store()
    worker = Worker(store, Vendor())
    await logged_in(worker)
    store.counts.clear()
    for number in range(3 * RECENT):
        assert (await worker.credential(USER).token()).access_token
        worker.credential(USER, f"another {number}")
        if number % RECENT == RECENT // 2:
            gc.collect()
    assert store.counts == {}


@virtual
async def test_named_again_it_costs_one_read():
    """Its token lies in the store, and so does its dead mark: nobody asks the vendor in vain."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    token = await (await logged_in(worker)).token()
    dead = await logged_in(worker, "dead")
    vendor.faults.append(Fault(refusal(401, "TOKEN_INVALID")))
    with pytest.raises(ReauthorizationRequired):
        await dead.refresh()
    gone = ref(dead)
    del dead
    await asyncio.sleep(1)  # so long a failure is kept in mind
    passes_by(worker)
    assert gone() is None
    store.counts.clear()
    asked = vendor.counts["requests"]
    assert await worker.credential(USER).token() == token
    with pytest.raises(ReauthorizationRequired):
        await worker.credential(USER, "dead").token()
    assert store.counts == {"read": 2}
    assert vendor.counts["requests"] == asked


async def answer_kept(worker: Worker, store: Store, vendor: Vendor) -> Credential:
    credential = await logged_in(worker)
    store.down.add("commit")
    await credential.refresh()
    return credential


async def left_behind_by_a_loop(worker: Worker, store: Store, vendor: Vendor) -> Credential:
    credential = await answer_kept(worker, store, vendor)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return credential


async def fetched_alone(worker: Worker, store: Store, vendor: Vendor) -> Credential:
    store.down.add("*")
    await worker.credential(CLIENT).token()
    return worker.credential(CLIENT)


async def refused_unheard(worker: Worker, store: Store, vendor: Vendor) -> Credential:
    credential = await logged_in(worker)
    vendor.faults.append(Fault(refusal(401, "TOKEN_INVALID"), delay=1))
    asking = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.5)
    store.down.add("*")
    with pytest.raises(ReauthorizationRequired):
        await asking
    return credential


async def replaced_just_now(worker: Worker, store: Store, vendor: Vendor) -> Credential:
    credential = await logged_in(worker)
    await credential.replacement(await credential.token())
    return credential


async def failed_just_now(worker: Worker, store: Store, vendor: Vendor) -> Credential:
    credential = await logged_in(worker)
    vendor.fails(answer(503, {}), times=99)
    with pytest.raises(LinkAuthError):
        await credential.refresh()
    return credential


async def in_the_air(worker: Worker, store: Store, vendor: Vendor) -> Credential:
    credential = await logged_in(worker)
    vendor.holds()
    caller = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    return credential


@pytest.mark.parametrize(
    "what",
    [
        answer_kept,
        left_behind_by_a_loop,
        fetched_alone,
        refused_unheard,
        replaced_just_now,
        failed_just_now,
        in_the_air,
    ],
)
@virtual
async def test_what_the_store_cannot_tell_is_not_let_go(what):
    """Nobody holds it and others come and go: it is there, and is what is given when it is named again."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await what(worker, store, vendor)
    known = ref(credential)
    vendor_, account = credential.vendor, credential.account
    del credential
    passes_by(worker)
    assert known() is not None
    assert worker.credential(vendor_, account) is known()


@pytest.mark.slow
@virtual
async def test_what_had_to_stay_is_let_go_in_the_end():
    """The store was away for many: when it is back, and their tokens are in it or over, they go as others come."""
    store, vendor = Store(), Vendor()
    worker, before = Worker(store, vendor), alive()
    store.down.add("commit")
    for number in range(2 * RECENT):
        credential = worker.credential(USER, f"user {number}")
        await credential.login(email="ada@example.com", password="correct horse")
    del credential
    passes_by(worker)
    assert alive() >= before + 2 * RECENT
    store.down.clear()
    await asyncio.sleep(5)
    passes_by(worker, 10 * RECENT)
    assert alive() == before + RECENT


@virtual
async def test_keep_alive_knows_the_vendors_of_those_that_went():
    """Accounts of a vendor that was named long ago are renewed, though none of its credentials is in memory."""
    worker = Worker(Store(), Vendor())
    worker.credential(CLIENT)
    passes_by(worker)
    assert list(worker._credentials.vendors) == [CLIENT, USER]
    assert await worker.keep_alive(rounds=1) == 0


def test_two_threads_that_name_the_same_account_are_given_the_same_credential():
    """Neither finds one; whoever comes second into the room where they are made finds the first one's there."""

    class Faster:
        """The room's lock, before which another thread is let in."""

        def __enter__(self) -> None:
            worker._credentials._making = Lock()
            made.append(worker.credential(CLIENT))

        def __exit__(self, *_: object) -> None: ...

    worker, made = Worker(Store(), Vendor()), []
    worker._credentials._making = Faster()
    assert worker.credential(CLIENT) is made[0]
    assert worker.credential(CLIENT) is made[0]
