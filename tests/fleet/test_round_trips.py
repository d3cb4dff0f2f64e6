"""What the store is asked: nothing while tokens are good, two steps for who renews, at most two for who waits."""

from __future__ import annotations

import asyncio

import pytest

from tests.fleet.conftest import CALM

pytestmark = pytest.mark.long


async def test_nothing_while_the_token_is_good(redis_scene) -> None:
    """Workers whose tasks ask without pause, and idle ones, cost the store one subscription each and no command."""
    scene = redis_scene
    workers = await scene.fleet.grow(3)
    await scene.login(workers[0])
    await scene.served(*workers)
    await asyncio.sleep(0.2)  # the last subscription
    before = scene.commands()
    found = await asyncio.gather(*(worker.ask("work", tasks=100, pace=0.01, seconds=1.0) for worker in workers[:2]))
    assert all(each["served"] == each["asked"] > 100 for each in found)
    assert scene.commands() == before
    assert scene.valkey.client().pubsub_numsub("linkauth:changes")[0][1] == len(workers)


async def test_two_round_trips_to_renew_and_two_to_wait(redis_scene) -> None:
    """Four at once: two for the one that renews, at most two for each of the others. One worker alone: two steps."""
    scene = redis_scene
    workers = await scene.fleet.grow(4, constants=CALM)
    await scene.login(workers[0])
    await scene.served(*workers)
    before = scene.calls()
    with scene.vendor.hold("refresh", times=1) as held:
        asking = [worker.ask("refresh") for worker in workers]
        await held.arrived()
        await asyncio.sleep(0.3)  # so that the others have begun to wait
    await asyncio.gather(*asking)
    assert scene.calls() - before <= 2 * len(workers)
    before = scene.calls()
    await workers[0].ask("refresh")
    assert scene.calls() - before == 2
    assert scene.counts["refresh_requests"] == 2
    assert scene.untouched()
