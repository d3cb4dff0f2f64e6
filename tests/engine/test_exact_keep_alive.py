"""When keep-alive renews, and how it waits for a store: where a mutant of ``keep_alive`` survived the quick tests."""

from __future__ import annotations

import asyncio
import itertools

from linkauth.protocol.records import RoundRecord, round_key
from tests.engine.fakes import USER, Store, Vendor, Worker
from tests.engine.test_keep_alive import WEEK, grown, renewals
from tests.engine.virtual import monotonic, virtual, wall

HOUR = 3600.0


@virtual
async def test_a_credential_is_renewed_between_half_and_three_quarters_of_its_refresh_tokens_life():
    """Once, by a worker that never had it, though its access token is good for long; and the rounds are counted."""
    vendor, store = Vendor(), Store()
    vendor.lifetime = 4 * WEEK
    begun = monotonic()
    await grown(Worker(store, vendor), 3)
    keeper = asyncio.create_task(Worker(store, vendor).keep_alive(USER, every=HOUR, rounds=130))
    assert await keeper == 3
    times = [at - begun for at in renewals(vendor)]
    assert len(times) == len(set(times)) == 3
    assert all(0.5 * WEEK <= at <= 0.75 * WEEK + 2 * HOUR for at in times)
    assert 129 * HOUR <= monotonic() - begun <= 129 * HOUR + 130 * 2


@virtual
async def test_what_began_together_is_not_due_together():
    """Half way between the earliest moment and the latest about half of it is."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await grown(worker, 20)
    await asyncio.sleep(0.625 * WEEK)
    assert 5 <= await worker.keep_alive(USER, every=HOUR, rounds=1) <= 15


@virtual
async def test_a_round_that_another_has_made_a_moment_ago_is_not_made_again():
    """The very first one, written between this worker's look and its claim: the next is an hour away."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await grown(worker, 1)
    key, begun = round_key([USER]), monotonic()

    def faster(name):
        if name == "claim":
            store.before = lambda _: None
            value = worker.context.codec.close(key, 1, RoundRecord(next_at=wall() + HOUR))
            return store.inner.commit(key, 1, value)
        return None

    store.before = faster
    await worker.keep_alive(USER, every=HOUR, rounds=1)
    assert monotonic() - begun >= HOUR


@virtual
async def test_another_workers_round_is_waited_for():
    """As long as its lease: that is no fault of the store, and nothing is asked meanwhile."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await store.inner.claim(round_key([USER]), "other", 60, 0, b"")
    store.counts.clear()
    begun = monotonic()
    assert await worker.keep_alive(USER, every=HOUR, rounds=1) == 0
    assert monotonic() - begun == 60
    assert store.counts["claim"] == 2
    assert worker.heard() == []


@virtual
async def test_a_round_in_which_nothing_is_due_is_a_round():
    """As many as were asked for, an hour apart; nothing was renewed."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await grown(worker, 1)
    begun = monotonic()
    assert await worker.keep_alive(USER, every=HOUR, rounds=2) == 0
    assert HOUR <= monotonic() - begun <= HOUR + 2


@virtual
async def test_a_store_that_is_away_is_looked_at_less_and_less_often():
    """Two seconds, four, eight …, and from the beginning when it was away anew."""
    vendor, store, looked = Vendor(), Store(), []
    worker = Worker(store, vendor)
    await grown(worker, 1)
    store.before = lambda name: looked.append(monotonic())
    for _ in range(2):
        store.down.add("*")
        looked.clear()
        keeping = asyncio.create_task(worker.keep_alive(USER, every=1.0))
        await asyncio.sleep(40)
        gaps = [after - before for before, after in itertools.pairwise(looked)]
        assert all(2.0**at <= gap <= 2.0 ** (at + 1) for at, gap in enumerate(gaps[:4]))
        store.down.clear()
        await asyncio.sleep(60)
        store.down.add("*")
        looked.clear()
        await asyncio.sleep(10)
        gaps = [after - before for before, after in itertools.pairwise(looked)]
        assert 1.0 <= gaps[0] <= 2.0
        keeping.cancel()
        await asyncio.wait({keeping})
