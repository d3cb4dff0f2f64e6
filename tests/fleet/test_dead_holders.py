"""A worker that is killed while it holds a lease on a real Redis: the other workers of its machine do not wait it out."""

from __future__ import annotations

import asyncio

import pytest

from tests.fleet.conftest import OLD
from tests.fleet.fleet import Fleet, Refused
from tests.fleet.scene import Scene

pytestmark = pytest.mark.long


@pytest.fixture
async def shipped(nursery, sandbox, valkey):
    """LinkXG users on one Valkey, with the engine's own time-out and the leases as they are shipped."""
    async with Fleet(nursery, store=valkey.url, constants=OLD) as fleet:
        yield Scene(sandbox, fleet, valkey)


async def test_nobody_fails_where_tokens_rotate(shipped) -> None:
    """The vendor takes 2 s. Those who waited already and those who come later, in two processes, have one and the same token.

    A lease that was waited out would end 4 s after the last of them had given up.
    """
    scene = shipped
    victim, *others = await scene.fleet.grow(3)
    await scene.expired(victim)
    with scene.vendor.hold("refresh", times=1, drop=True) as held:
        victim.ask("token")
        await held.arrived()
        scene.vendor.fault("refresh", times=None, delay=2.0)
        before = [worker.ask("crowd", tasks=20) for worker in others]
        assert all(await asyncio.gather(*(worker.ask("state") for worker in others)))  # they have begun to wait
        victim.kill()
        after = [worker.ask("crowd", tasks=20) for worker in others]
        found = await asyncio.gather(*before, *after)
    assert [(each["served"], each["errors"]) for each in found] == [(20, {})] * 4
    assert len({token for each in found for token in each["tokens"]}) == 1
    assert scene.counts["refresh_requests"] == 2  # the dead one's, on which the vendor never acted, and one more
    assert scene.counts["refresh_reuse"] == 0


async def test_nobody_fails_where_nothing_rotates(nursery, sandbox, valkey) -> None:
    """A client's token, and a lease that would outlast every caller: what they have they have because the holder is dead."""
    client = {"client_id": sandbox.linkxg.client_id, "client_secret": sandbox.linkxg.client_secret}
    vendor = {"class": "LinkXG", "base_url": sandbox.linkxg.base_url, **client}
    constants = {**OLD, "LEASE_CHEAP": 600.0}
    async with Fleet(nursery, store=valkey.url, vendor=vendor, constants=constants) as fleet:
        victim, other = await fleet.grow(2)
        with sandbox.linkxg.hold("token", times=1, drop=True) as held:
            victim.ask("token")
            await held.arrived()
            before = other.ask("crowd", tasks=20)
            assert await other.ask("state")
            victim.kill()
            found = [await before, await other.ask("crowd", tasks=20)]
    assert [(each["served"], each["errors"]) for each in found] == [(20, {})] * 2
    assert sandbox.linkxg.counts["token_requests"] == 2  # the dead one's, and one more


async def test_who_is_stopped_is_not_dead(redis_scene) -> None:
    """SIGSTOP while the vendor is asked: nobody takes the lease; callers are told who has it, and the late answer is stored."""
    scene = redis_scene
    victim, other = await scene.fleet.grow(2, constants={**OLD, "LEASE_MORE": 120.0})
    await scene.expired(victim)
    with scene.vendor.hold("refresh", times=1) as held:
        victim.ask("token")
        await held.arrived()
        victim.freeze()
        with pytest.raises(Refused, match="another worker holds the lease"):
            await other.ask("token")
        victim.thaw()
    await scene.served(victim, other)
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()
