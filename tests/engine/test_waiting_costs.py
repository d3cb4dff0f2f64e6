"""Who waits for a renewal: what ten thousand of them cost is what one of them costs, and that is counted."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.engine.flight import Flights
from tests.counts import calls_of, sent
from tests.engine.fakes import CLIENT, Store, Vendor, Worker
from tests.engine.virtual import virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MANY = 200


async def _objects(call: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    """Objects that the collector knows of, for each of ``MANY`` tasks that wait in ``call()``."""
    for _ in range(3):  # what was there before is over
        await asyncio.sleep(0)
        gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        tasks = [asyncio.create_task(call()) for _ in range(MANY)]
        for _ in range(3):
            await asyncio.sleep(0)
        found = (len(gc.get_objects()) - before) / MANY
        assert not any(task.done() for task in tasks)
    finally:
        gc.enable()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


@pytest.mark.slow
@virtual
async def test_who_waits_costs_six_objects_more_than_a_future_of_its_own():
    """A task that waits for a token, beside one that waits for a bare future: each object is one more for the collector."""
    vendor = Vendor()
    gate = vendor.holds()
    credential = Worker(Store(), vendor).credential(CLIENT)
    first = asyncio.create_task(credential.token())
    await asyncio.sleep(1)  # what only the first one makes is there

    async def bare() -> None:
        await asyncio.get_running_loop().create_future()

    await _objects(bare)
    least = await _objects(bare)
    assert least > 4
    assert round(await _objects(credential.token) - least) <= 6
    gate.set()
    await first


@virtual
async def test_who_waits_asks_for_no_more_than_45_calls():
    """From ``token()`` to the future that is waited for, those of asyncio among them; the clocks here are Python's own."""
    vendor = Vendor()
    gate = vendor.holds()
    credential = Worker(Store(), vendor).credential(CLIENT)
    first = asyncio.create_task(credential.token())
    await asyncio.sleep(1)
    call, waiting = credential.token(), list[Any]()
    calls = calls_of(lambda: waiting.append(call.send(None)))
    assert len([name for name in calls if "virtual" not in name]) <= 45
    call.close()
    gate.set()
    await first


@virtual
async def test_who_comes_after_the_landing_waits_for_nothing():
    """A flight that has landed tells its outcome at the first step, with a time limit of no time at all."""

    async def work() -> str:
        return "landed"

    flight = Flights().start(work(), "work")
    await flight.join()
    assert sent(flight.join(0.0)) == "landed"
