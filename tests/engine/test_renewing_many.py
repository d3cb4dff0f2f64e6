"""Many renewals: several at a time, within what the vendor bears, and what one raises ends the others."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from linkauth.engine.renew_many import AT_ONCE, Pace, each
from linkauth.errors import StoreUnavailable
from linkauth.vendors.linkxg_user import LinkXGUser
from tests.engine.fakes import USER, Store, Vendor, Worker, logged_in
from tests.engine.virtual import monotonic, virtual

WEEK = 7 * 86400.0


class Stating(LinkXGUser):
    """A vendor that states how often it may be asked."""

    token_rate = (12, 60.0)


STATED = Stating(base_url="https://stated.example/api/v1")


async def items(count):
    for number in range(count):
        yield number


@virtual
async def test_a_round_renews_several_at_a_time():
    """Of a vendor that takes four seconds for each: twenty within those of three, and two a second at the most."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    for number in range(20):
        await logged_in(worker, f"account{number}")
    await asyncio.sleep(0.8 * WEEK)
    vendor.delay, begun = 4.0, monotonic()
    assert await worker.keep_alive(USER, rounds=1) == 20
    assert monotonic() - begun < 3 * 4 + 4
    times = [at for at, path, _ in vendor.sent if path == "/auth/refresh"]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.5


@virtual
async def test_a_round_leaves_half_of_what_the_vendor_states():
    """Twelve a minute: one in ten seconds, whoever else asks meanwhile; and a round reads all records in one batch."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    for number in range(10):
        await worker.credential(STATED, f"account{number}").login(email="ada@example.com", password="correct horse")
        await asyncio.sleep(10)
    await asyncio.sleep(0.8 * WEEK)
    store.counts.clear()
    begun = monotonic()
    assert await Worker(store, vendor).keep_alive(STATED, rounds=1) == 10
    times = [at - begun for at, path, _ in vendor.sent if path == "/auth/refresh"]
    assert [round(at / 10) for at in times] == list(range(10))
    assert store.counts["read_many"] == 1


@virtual
async def test_no_more_than_so_many_at_once_and_all_in_the_end():
    """A hundred pieces of work, of which each takes a second."""
    running = most = done = 0

    async def work(number: int) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running, done = running - 1, done + 1

    begun = monotonic()
    await each(items(100), work)
    assert (most, done) == (AT_ONCE, 100)
    assert monotonic() - begun == pytest.approx(100 / AT_ONCE, abs=1)


@virtual
async def test_what_one_raises_ends_the_others():
    """At once, and nothing more is begun; it comes out as it is."""
    begun, ended = [], []

    async def work(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.sleep(1 if number == 3 else 100)
        finally:
            ended.append(number)
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await each(items(100), work)
    assert sorted(begun) == sorted(ended) == list(range(AT_ONCE))


@virtual
async def test_each_client_has_a_pace_of_its_own():
    """A vendor that states a rate holds up no other."""
    pace = Pace(Worker(Store(), Vendor()).context.clock, 1.0, 0.0)
    begun = monotonic()
    for _ in range(3):
        await pace.turn(STATED)
        await pace.turn(USER)
    assert monotonic() - begun == pytest.approx(10.0, abs=0.1)


@virtual
async def test_who_waits_for_a_turn_finds_that_the_lease_is_lost():
    """It cannot be extended and ends after a minute, with some still in line: they are the next round's, and nobody renews twice."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    for number in range(8):
        await worker.credential(STATED, f"account{number}").login(email="ada@example.com", password="correct horse")
        await asyncio.sleep(10)
    await asyncio.sleep(0.8 * WEEK)
    store.down.add("extend")
    keeper = asyncio.create_task(Worker(store, vendor).keep_alive(STATED, rounds=1))
    await asyncio.sleep(75)
    assert vendor.counts["/auth/refresh"] < 8
    store.down.clear()
    assert 0 < await keeper < 8  # in the round that came to its end
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (8, 0)
