"""A vendor whose tokens are over in no time is asked once a second in the fleet, and whoever waits is given what comes."""

from __future__ import annotations

import asyncio
import json

import pytest

from linkauth.errors import MalformedResponse
from linkauth.protocol import timing
from tests.engine.fakes import CLIENT, USER, Fault, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import monotonic, virtual

SECONDS = 10


async def callers(workers: list[Worker], kind, *, tasks: int) -> list[float]:
    """So many tasks of each worker that want a token all the time: how long each call took. None of them fails."""
    end, waited = monotonic() + SECONDS, []

    async def caller(worker: Worker) -> None:
        while monotonic() < end:
            begun = monotonic()
            assert (await worker.credential(kind).token()).access_token
            waited.append(monotonic() - begun)
            await asyncio.sleep(0.02)

    await asyncio.gather(*(caller(worker) for worker in workers for _ in range(tasks)))
    return waited


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("lifetime", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("kind", [CLIENT, USER], ids=["client", "user"])
@virtual
async def test_once_a_second_in_the_fleet(kind, lifetime, workers):
    """However many call, and in however many workers: nobody fails, and nobody waits longer than the gap and the answer."""
    store, vendor = Store(), Vendor()
    vendor.lifetime, vendor.delay = lifetime, 0.2
    fleet = [Worker(store, vendor) for _ in range(workers)]
    if kind is USER:
        await logged_in(fleet[0])
    waited = await callers(fleet, kind, tasks=10)
    asked = vendor.counts["/oauth/token" if kind is CLIENT else "/auth/refresh"]
    assert SECONDS / (timing.LEAST_GAP + lifetime) / 2 < asked <= SECONDS / timing.LEAST_GAP + 1
    assert max(waited) <= timing.LEAST_GAP + vendor.delay + 0.01
    assert vendor.counts["reuse"] == 0


@virtual
async def test_with_the_store_away_no_faster():
    """Each process fetches for itself then, once a second."""
    store, vendor = Store(), Vendor()
    vendor.lifetime, vendor.delay = 0.01, 0.2
    store.down.add("*")
    await callers([Worker(store, vendor)], CLIENT, tasks=10)
    assert vendor.counts["/oauth/token"] <= SECONDS / timing.LEAST_GAP + 1


@virtual
async def test_who_asks_for_a_new_one_waits_for_no_gap():
    """A token that is good and was refused, or that somebody wants replaced, is renewed at once."""
    vendor = Vendor()
    credential = await logged_in(Worker(Store(), vendor))
    begun = monotonic()
    token = await credential.refresh()
    assert await credential.replacement(token) != token
    assert monotonic() == begun
    assert vendor.counts["/auth/refresh"] == 2


@virtual
async def test_a_long_lead_asks_no_faster():
    """``refresh_ahead`` may be longer than a token lives: it is renewed behind once a second, and nobody waits."""
    vendor = Vendor()
    vendor.lifetime, vendor.delay = 3.0, 0.2
    worker = Worker(Store(), vendor, refresh_ahead=300.0)
    waited = await callers([worker], CLIENT, tasks=10)
    assert vendor.counts["/oauth/token"] <= SECONDS / timing.LEAST_GAP + 1
    assert [each for each in waited if each > 0] == [pytest.approx(vendor.delay)] * 10  # the first token


@virtual
async def test_nobody_is_handed_a_token_with_nothing_to_serve():
    """An unusable answer that brought a refresh token, after the access token's end: who waited elsewhere renews with that."""
    vendor, store = Vendor(), Store()
    one = await logged_in(Worker(store, vendor))
    two = Worker(store, vendor).credential(USER)
    await two.token()
    await asyncio.sleep(1000)
    good = vendor._pair(50, "session-1")
    gate = asyncio.Event()
    body = {"success": True, "data": {"refreshToken": json.loads(good.body)["data"]["refreshToken"], "accessToken": ""}}
    vendor.faults.append(Fault(answer(200, body), acts=False, gate=gate))
    first = asyncio.create_task(one.token())
    await asyncio.sleep(0.5)
    second = asyncio.create_task(two.token())
    await asyncio.sleep(0.5)
    gate.set()
    with pytest.raises(MalformedResponse):
        await first
    assert (await second).access_token
