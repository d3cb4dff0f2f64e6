"""Real processes on one file store: one request for all, and kill -9 at the worst moments."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.fleet.fleet import Fleet, Refused
from tests.fleet.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fleet.fleet import Worker

KEY = b64encode(bytes(range(32))).decode()


@pytest.fixture
async def scene(nursery, sandbox, tmp_path) -> AsyncIterator[Scene]:
    """LinkXG users on one folder, with everything as it is shipped."""
    async with Fleet(nursery, store=f"file:{tmp_path / 'store'}") as fleet:
        yield Scene(sandbox, fleet)


async def clients(scene: Scene, count: int) -> list[Worker]:
    """So many workers of a vendor whose token any of them may fetch at any time."""
    part = scene.vendor
    arguments = {"base_url": part.base_url, "client_id": part.client_id, "client_secret": part.client_secret}
    return await scene.fleet.grow(count, vendor={"class": "LinkXG", **arguments})


async def test_four_processes_of_two_hundred_tasks_make_one_token_request(scene) -> None:
    """All ask at once with an empty store: the vendor sees one token request, and everybody has that token."""
    workers = await clients(scene, 4)
    with scene.vendor.hold("token") as held:
        asked = [worker.ask("crowd", tasks=200) for worker in workers]
        await held.arrived()
    found = await asyncio.gather(*asked)
    assert scene.counts["token_requests"] == 1
    assert [(each["served"], each["errors"]) for each in found] == [(200, {})] * 4
    assert len({token for each in found for token in each["tokens"]}) == 1


async def test_kill_9_of_the_process_that_renews(scene) -> None:
    """The renewing process dies while the vendor has its request: the others have a token within their own time-out."""
    doomed, other = await clients(scene, 2)
    held = scene.vendor.hold("token", times=1)
    doomed.ask("token")
    await held.arrived()
    asked = other.ask("crowd", tasks=50)
    doomed.kill()
    killed = time.monotonic()
    found = await asked
    held.release()
    assert time.monotonic() - killed < 10
    assert (found["served"], found["errors"], len(found["tokens"])) == (50, {}, 1)
    assert scene.counts["token_requests"] == 2


async def test_two_processes_refresh_at_the_same_moment(scene) -> None:
    """Both hold a token and both are told to renew it: one exchange, and both have what it brought."""
    workers = await scene.fleet.grow(2)
    await scene.login(workers[0])
    await workers[1].ask("token")
    # Does not count: a token that was over on its way, on a busy machine, and was renewed.
    scene.last(900.0)
    with scene.vendor.hold("refresh") as held:
        asked = [worker.ask("refresh") for worker in workers for _ in range(20)]
        await held.arrived()
        await asyncio.sleep(0.3)  # time for a second request, should there be one
    found = await asyncio.gather(*asked)
    assert scene.counts["refresh_requests"] == 1
    assert len({each["access_token"] for each in found}) == 1


async def test_kill_9_before_the_vendor_acts_keeps_the_session(scene) -> None:
    """Killed with its request on the way: once the token is over, the next one spends the same refresh token, once."""
    doomed, other = await scene.fleet.grow(2, engine={"timeout": 4.0})
    scene.lifetime(1.5)
    await scene.login(doomed)
    scene.last(900.0)
    lost = scene.vendor.hold("refresh", times=1, drop=True)
    doomed.ask("refresh")
    await lost.arrived()
    doomed.kill()
    lost.release()
    await asyncio.sleep(1.5)
    found = await other.ask("crowd", tasks=20)
    assert (found["served"], found["errors"], len(found["tokens"])) == (20, {}, 1)
    assert scene.counts["refresh_requests"] == 2
    assert scene.counts["refresh_reuse"] == 0


@pytest.mark.parametrize(
    "escrow", [True, pytest.param(False, marks=pytest.mark.long)]
)  # its short form: engine/test_dead_sessions
async def test_kill_9_between_the_answer_and_the_commit(scene, tmp_path, escrow) -> None:
    """With escrow a restarted process commits what its predecessor had; without, the loss ends in words, not in a loop."""
    own = {"keys": KEY, "timeout": 5.0} | ({"escrow": str(tmp_path / "escrow")} if escrow else {})
    first = await scene.fleet.worker(engine=own)
    stuck = asyncio.Event()
    doomed = await scene.fleet.worker(engine=own, stuck=True)
    doomed.on_mark = lambda _: stuck.set()
    await scene.expired(first)
    first.kill()
    doomed.ask("token")
    await stuck.wait()
    doomed.kill()
    restarted = await scene.fleet.worker(engine=own)
    for _ in range(3):
        if escrow:
            await restarted.ask("token")
            continue
        with pytest.raises(Refused, match="may have been lost") as refused:
            await restarted.ask("token")
        assert refused.value.kind == "ReauthorizationRequired"
    assert scene.counts["refresh_requests"] == (1 if escrow else 2)
    if escrow:
        assert list((tmp_path / "escrow").iterdir()) == []
