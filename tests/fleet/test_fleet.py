"""A fleet at work: short tokens, many accounts, wrong clocks, a vendor that is down."""

from __future__ import annotations

import asyncio
import time

import pytest

pytestmark = pytest.mark.long

UNHURRIED = {"engine": {"timeout": 30.0}}
"""Nobody dies here, so no short time-out is needed, and a busy machine meets none."""
on_files_too = pytest.mark.parametrize("scene", ["redis", "file"], indirect=True)


@pytest.mark.parametrize(("processes", "tasks", "seconds"), [(3, 100, 6), (8, 500, 60)])
async def test_one_exchange_for_each_lifetime(redis_scene, processes, tasks, seconds) -> None:
    """Tokens of 2 s under constant use: each is renewed once, ahead of its end, and no request waits for that."""
    scene = redis_scene
    workers = await scene.fleet.grow(processes, **UNHURRIED)
    times = exchanges(scene)
    scene.lifetime(2.0)
    await scene.login(workers[0])
    await scene.served(*workers)
    found = await asyncio.gather(
        *(worker.ask("work", tasks=tasks, pace=0.5, seconds=seconds, calls=0.25) for worker in workers)
    )
    asked, waited = (sum(each[name] for each in found) for name in ("asked", "waited"))
    longest, slowest, lag = (max(each[name] for each in found) for name in ("longest", "slowest", "lag"))
    print(
        f"\n{len(times)} exchanges; {waited} of {asked} waited, {longest:.3f} s at most; others {slowest:.3f} s; {lag=:.3f} s"
    )
    assert scene.untouched()
    assert seconds / 2 - 1 <= len(times) <= seconds / 1.6 + 1  # renewal begins at four fifths of a lifetime
    assert [each["errors"] for each in found] == [{}] * processes
    assert {status for each in found for status in each["statuses"]} == {"200"}
    # None on a quiet machine. Between the last soft moment and the hard one lie 0.13 s: a busy one takes as long for nothing.
    assert waited < asked / 5


def exchanges(scene) -> list[float]:
    """When the vendor rotates a refresh token, as it goes."""
    times: list[float] = []
    rotate = scene.vendor.tokens.rotate

    def noted(*args):
        times.append(time.monotonic())
        return rotate(*args)

    scene.vendor.tokens.rotate = noted
    return times


async def test_clocks_that_are_an_hour_wrong(redis_scene) -> None:
    """Workers whose clocks are an hour ahead and behind: they neither renew early nor serve what the vendor refuses."""
    scene = redis_scene
    workers = [await scene.fleet.worker(wall_ahead=ahead, **UNHURRIED) for ahead in (3600.0, -3600.0, 0.0)]
    times = exchanges(scene)
    scene.lifetime(2.5)
    begun = time.monotonic()
    await scene.login(workers[0])
    await scene.served(*workers)
    found = await asyncio.gather(*(worker.ask("work", tasks=10, pace=0.1, seconds=4, calls=0.2) for worker in workers))
    took = time.monotonic() - begun
    assert [each["errors"] for each in found] == [{}] * 3
    assert {status for each in found for status in each["statuses"]} == {"200"}
    # Whoever took its clock's word for the vendor's would wait for a renewal each time.
    assert sum(each["waited"] for each in found) < sum(each["asked"] for each in found) / 5
    assert 1 <= len(times) <= took / 2 + 1  # renewal begins at four fifths of a lifetime
    assert scene.untouched()


@on_files_too
async def test_a_hundred_accounts_at_once(scene) -> None:
    """A hundred accounts expire together and are asked for by every worker: a hundred exchanges, no reuse."""
    workers = await scene.fleet.grow(3, **UNHURRIED)
    names = [f"account{number}" for number in range(100)]
    scene.lifetime(2.0)
    await asyncio.gather(*(scene.account(workers[0], name) for name in names))
    scene.last(900.0)
    await asyncio.sleep(2.0)
    found = await asyncio.gather(*(worker.ask("crowd", tasks=1, accounts=names) for worker in workers))
    assert [(each["served"], each["errors"]) for each in found] == [(100, {})] * 3
    assert scene.counts["refresh_token"] == 100
    assert scene.counts["refresh_reuse"] == 0


@pytest.mark.parametrize(
    ("scene", "seconds", "most"),
    [
        pytest.param("redis", 3.0, 12, id="redis"),  # three flights of at most four tries, however many ask
        pytest.param("file", 3.0, 12, id="file"),
        pytest.param("as shipped", 300.0, 80, marks=pytest.mark.timeout(500), id="five minutes"),
    ],
    indirect=["scene"],
)
async def test_a_vendor_that_is_down(scene, seconds, most) -> None:
    """503 for a while: the fleet, not each worker, keeps its distance; then all goes on as before."""
    workers = await scene.fleet.grow(3)
    await scene.expired(workers[0])
    fault = scene.vendor.fault("refresh", times=None, status=503)
    found = await asyncio.gather(*(worker.ask("work", tasks=20, pace=0.2, seconds=seconds) for worker in workers))
    assert sum(each["served"] for each in found) == 0
    assert all(words.startswith(("VendorUnavailable", "StoreUn")) for each in found for words in each["errors"]), found
    print(f"\n{fault.hits} attempts in {seconds:g} s")
    assert 1 <= fault.hits <= most
    assert scene.counts["refresh_at_once"] == 1
    scene.vendor.faults.clear("refresh")
    # After a long outage the next try is up to a minute away.
    await scene.served(*workers)
    assert scene.counts["refresh_token"] == 1
    assert scene.untouched()
