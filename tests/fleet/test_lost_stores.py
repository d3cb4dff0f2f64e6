"""A Redis that dies, comes back empty, is flushed, fails over or hangs costs nobody the session."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.fleet.conftest import OLD, SHORT
from tests.fleet.fleet import Fleet, Refused, until
from tests.fleet.scene import Scene
from tests.servers import sentinel

pytestmark = pytest.mark.long


async def newest_and_oldest(scene) -> list:
    """Two workers: the first holds the newest token, the second one whose refresh token is spent."""
    newest, oldest = await scene.fleet.grow(2)
    await scene.login(newest)
    await scene.served(oldest)
    await newest.ask("refresh")
    return [newest, oldest]


async def test_killed_between_answer_and_commit(redis_scene) -> None:
    """The answer is kept, served, and stored when an empty Redis comes back; until then nobody spends anything."""
    await killed_between_answer_and_commit(redis_scene, 2.0)


async def test_killed_between_answer_and_commit_for_half_a_minute(redis_scene) -> None:
    """As above, with Redis away for 30 s."""
    await killed_between_answer_and_commit(redis_scene, 30.0)


async def killed_between_answer_and_commit(scene, seconds: float) -> None:
    holder, other = await scene.fleet.grow(2)
    await scene.expired(holder)
    await other.ask("state")
    with scene.vendor.hold("refresh", when="after", times=1) as held:
        asking = holder.ask("token")
        await held.arrived()
        scene.valkey.kill()
    scene.vendor.tokens.check((await asking)["access_token"])
    assert (await holder.ask("state"))["kept"]
    asking = other.ask("token")
    await asyncio.sleep(seconds)
    assert scene.counts["refresh_requests"] == 1
    await asyncio.to_thread(scene.valkey.start)
    await scene.served(holder)

    async def stored() -> bool:
        return (await holder.ask("state"))["stored"]

    await until(stored)
    await scene.served(other, patient=frozenset({"StoreUnavailable", "ReauthorizationRequired"}))
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()


async def test_restarted_empty(redis_scene) -> None:
    """Workers that hold valid tokens put the newest back, unasked; a newcomer is served, and nothing spent is sent."""
    scene = redis_scene
    newest, oldest = await newest_and_oldest(scene)
    version = await scene.stored()
    scene.valkey.kill()
    await asyncio.to_thread(scene.valkey.start)

    async def back() -> bool:
        return await scene.stored() == version

    await until(back)
    await scene.served(await scene.fleet.worker())
    with contextlib.suppress(Refused):  # it waits for who may have something newer, longer than its caller would
        await oldest.ask("refresh")
    await scene.served(newest, oldest)
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()


@pytest.mark.parametrize("seconds", [0.0, 5.0])
async def test_restarted_with_old_data(redis_scene, seconds) -> None:
    """A snapshot in which a spent token is the newest: who would spend it again is told of the newer one first."""
    scene = redis_scene
    # As shipped: who holds something newer is given three seconds, and tries to listen again every second and a half.
    newest, oldest = await scene.fleet.grow(2, constants={"LEASE_MORE": 1.0, **OLD})
    await scene.login(newest)
    await scene.served(oldest)
    scene.valkey.client().save()
    await newest.ask("refresh")
    scene.valkey.kill()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(scene.valkey.start)
    with contextlib.suppress(Refused):  # the first to ask may meet the old connection's end
        await oldest.ask("refresh")
    await scene.served(oldest, newest)
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()


async def test_flushed(redis_scene) -> None:
    """After FLUSHALL, of which nobody hears, a worker that would spend a spent token is told of the newer one first."""
    scene = redis_scene
    newest, oldest = await newest_and_oldest(scene)
    scene.valkey.client().flushall()
    await oldest.ask("refresh")
    await scene.served(oldest, newest, await scene.fleet.worker())
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()


async def test_failover_during_a_renewal(nursery, sandbox, tmp_path) -> None:
    """The master dies between the vendor's answer and the commit: the answer is stored on the next master."""
    with sentinel(tmp_path / "sentinel") as (watch, (master, replica)):
        order = {"engine": {"timeout": 1.0}, "constants": SHORT}
        async with Fleet(nursery, store=f"redis+sentinel://127.0.0.1:{watch.port}/linkauth", **order) as fleet:
            scene = Scene(sandbox, fleet, replica)
            holder, other = await fleet.grow(2)
            await scene.expired(holder)
            with scene.vendor.hold("refresh", when="after", times=1) as held:
                holder.ask("token")
                await held.arrived()
                master.kill()

            async def stored() -> bool:
                state = await holder.ask("state")
                return state["stored"] and state["valid"]

            await until(stored)
            await scene.served(other)
            assert replica.client().info("replication")["role"] == "master"
            assert scene.counts["refresh_requests"] == 1
            assert scene.untouched()


async def test_a_store_that_hangs_delays_nobody_with_a_token(redis_scene) -> None:
    """A Redis that accepts and never answers, for most of a token's life: nobody waits, and renewal goes on after."""
    scene = redis_scene
    order = {"timeout": 1.0, "refresh_ahead": 8.0}
    workers = await scene.fleet.grow(2, engine=order)
    scene.lifetime(6.0)
    await scene.login(workers[0])
    await scene.served(*workers)
    scene.valkey.freeze()
    try:
        found = await asyncio.gather(*(worker.ask("work", tasks=50, pace=0.1, seconds=4.4) for worker in workers))
        states = [await worker.ask("state") for worker in workers]
    finally:
        scene.valkey.thaw()
    assert [each["waited"] for each in found] == [0, 0]
    assert [each["errors"] for each in found] == [{}, {}]
    assert [state["heard"]["store lost"] for state in states] == [1, 1]  # renewal had begun behind them
    await scene.served(*workers)
    assert scene.untouched()
