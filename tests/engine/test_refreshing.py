"""``refresh()``: a token that was sent for after the call, or was in the air then; whatever else there is does not count."""

from __future__ import annotations

import asyncio

import pytest

from linkauth_stores.memory import MemoryStore
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, logged_in
from tests.engine.virtual import virtual, wall

ASKED = {USER: "/auth/refresh", CLIENT: "/oauth/token"}


def fleet(workers: int, *, delay: float = 0.2) -> tuple[list[Worker], list[Store], Vendor]:
    """Workers with a way of their own, that takes no time yet, to one store; the vendor takes ``delay`` seconds."""
    inner, vendor = MemoryStore(clock=wall), Vendor()
    vendor.delay = delay
    stores = [Store(inner) for _ in range(workers)]
    return [Worker(store, vendor) for store in stores], stores, vendor


def takes(store: Store, seconds: float) -> None:
    """Each call to ``store`` is so long on its way there."""
    store.before = lambda _: asyncio.sleep(seconds)


@pytest.mark.parametrize("kind", [USER, CLIENT], ids=["user", "client"])
@virtual
async def test_a_process_that_holds_nothing_yet_renews(kind):
    """What the store had, another claim above that, the commit; and the old token is not returned."""
    (first, fresh), (_, store), vendor = fleet(2)
    old = await logged_in(first) if kind is USER else first.credential(kind)
    stored = await old.token()
    await asyncio.sleep(60)
    before = vendor.counts[ASKED[kind]]
    assert await fresh.credential(kind).refresh() != stored
    assert vendor.counts[ASKED[kind]] == before + 1
    if kind is USER:
        assert store.counts.total() == 3
    else:  # looks at the client's secret and limits, too
        assert store.counts["claim"] == 2


@virtual
async def test_where_the_version_is_known_it_takes_two_round_trips():
    """Nothing is read first, and what came a moment ago does not count, though it was this worker that brought it."""
    (worker,), (store,), vendor = fleet(1)
    credential = await logged_in(worker)
    first = await credential.refresh()
    store.counts.clear()
    assert await credential.refresh() != first
    assert store.counts == {"claim": 1, "commit": 1}
    assert vendor.counts["/auth/refresh"] == 2


@pytest.mark.parametrize("late", [0.0, 0.1, 1.0], ids=["no later", "a little later", "a second later"])
@pytest.mark.parametrize("workers", [2, 3])
@virtual
async def test_called_at_once_they_share_one_renewal(workers, late):
    """Also with him whose way to the store is so slow that the renewal has ended when his claim comes there."""
    several, stores, vendor = fleet(workers)
    await logged_in(several[0])
    for worker in several:
        await worker.credential(USER).token()
    await asyncio.sleep(60)
    for store in stores:
        takes(store, 0.01)
    takes(stores[-1], 0.01 + late)
    tokens = await asyncio.gather(*(worker.credential(USER).refresh() for worker in several))
    assert len({token.access_token for token in tokens}) == 1
    assert vendor.counts["/auth/refresh"] == 1


@pytest.mark.parametrize("holds", [True, False], ids=["holds the version before", "holds nothing"])
@virtual
async def test_what_was_renewed_before_the_call_does_not_count(holds):
    """Another worker's renewal of a minute ago is adopted and renewed: who calls knows of something newer than that."""
    (first, second), _, vendor = fleet(2)
    await logged_in(first)
    if holds:
        await second.credential(USER).token()
    renewed = await first.credential(USER).refresh()
    await asyncio.sleep(60)
    assert await second.credential(USER).refresh() != renewed
    assert vendor.counts["/auth/refresh"] == 2


@pytest.mark.parametrize("holds", [True, False], ids=["holds the version before", "holds nothing"])
@virtual
async def test_what_is_in_the_air_at_the_call_counts(holds):
    """Sent for before the call, and not answered then: whoever calls meanwhile, in any worker, is given that."""
    (first, second, third), _, vendor = fleet(3, delay=1.0)
    await logged_in(first)
    if holds:
        await second.credential(USER).token()
        await third.credential(USER).token()
    await asyncio.sleep(60)
    calls = [asyncio.create_task(first.credential(USER).refresh())]
    for worker in (second, third, third, first):
        await asyncio.sleep(0.2)
        calls.append(asyncio.create_task(worker.credential(USER).refresh()))
    tokens = await asyncio.gather(*calls)
    assert len({token.access_token for token in tokens}) == 1
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_what_was_not_there_at_a_look_since_the_call_was_in_the_air():
    """Though its times say that it was sent for before: they are known within a round trip only, and taken on the early side."""
    (first, second), (slow, store), vendor = fleet(2)
    await logged_in(first)
    await asyncio.sleep(60)
    slow.after = lambda name: asyncio.sleep(0.3) if name == "claim" else None
    renewing = asyncio.create_task(first.credential(USER).refresh())
    await asyncio.sleep(0.1)  # its lease is granted, it has yet to hear of that
    takes(store, 0.3)
    assert await second.credential(USER).refresh() == await renewing
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_flight_that_only_adopts_does_not_count_for_who_joins_it():
    """It was begun for somebody who wants any token that is good; all who call ``refresh`` meanwhile share one more."""
    (first, second), (_, store), vendor = fleet(2)
    await logged_in(first)
    stored = await first.credential(USER).refresh()
    await asyncio.sleep(60)
    takes(store, 0.5)
    credential = second.credential(USER)
    any_token = asyncio.create_task(credential.token())
    await asyncio.sleep(0.1)
    tokens = await asyncio.gather(*(credential.refresh() for _ in range(5)))
    assert await any_token == stored
    assert len({token.access_token for token in tokens}) == 1
    assert tokens[0] != stored
    assert vendor.counts["/auth/refresh"] == 2


@pytest.mark.parametrize("holds", [True, False], ids=["holds the version before", "holds nothing"])
@pytest.mark.parametrize("jump", [-3600.0, -30.0, 30.0, 3600.0])
@virtual
async def test_after_a_jump_of_the_stores_clock_it_renews(jump, holds):
    """What is stored may seem to come from after the call, where the clock was set back; then it is renewed, too."""
    ahead = 0.0
    store, vendor = Store(MemoryStore(clock=lambda: wall() + ahead)), Vendor()
    first, second = (Worker(store, vendor).credential(USER) for _ in range(2))
    await first.login(email="ada@example.com", password="correct horse")
    if holds:
        await second.token()
    await asyncio.sleep(60)
    stored = await first.refresh()
    await asyncio.sleep(10)
    ahead = jump
    assert await second.refresh() != stored
    assert vendor.counts["/auth/refresh"] == 2


@pytest.mark.parametrize(("slept", "renewals"), [(0.0, 1), (1.5, 2)], ids=["awake", "asleep"])
@virtual
async def test_who_slept_between_call_and_answer_renews(slept, renewals):
    """Its clock stood still meanwhile: what others renewed while it slept is not known to come from after the call."""
    (first, second), (_, store), vendor = fleet(2)
    await logged_in(first)
    await second.credential(USER).token()
    await asyncio.sleep(60)
    takes(store, 2.0)
    asking = asyncio.create_task(second.credential(USER).refresh())
    await asyncio.sleep(1)
    await first.credential(USER).refresh()
    second.slept = slept
    await asking
    assert vendor.counts["/auth/refresh"] == renewals
