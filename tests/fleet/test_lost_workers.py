"""Workers that die or stall in the middle of a renewal leave the session alive, wherever that is possible at all."""

from __future__ import annotations

import asyncio
import base64
import os

import pytest

from tests.fleet.fleet import Refused, until
from tests.fleet.link import Link
from tests.loopback import closed_port

pytestmark = pytest.mark.long


async def sending(worker) -> None:
    """Return once the worker is about to send: it has its lease, and its note stands."""

    async def sends() -> bool:
        return (await worker.ask("state"))["sends"] > 0

    await until(sends)


async def test_killed_before_it_sends(scene) -> None:
    """kill -9 of the worker that holds the lease and has sent nothing: another takes over and renews."""
    nowhere = f"http://127.0.0.1:{closed_port()}"
    other = await scene.fleet.worker()
    await scene.expired(other)
    victim = await scene.fleet.worker(detour=[scene.sandbox.url, nowhere])
    victim.ask("token")
    await sending(victim)
    victim.kill()
    await scene.served(other)
    assert scene.counts["refresh_token"] == 1
    assert scene.untouched()


async def test_killed_when_the_vendor_had_not_acted(scene) -> None:
    """kill -9 after sending, but the vendor never acted on it: the token in doubt is tried once, and lives."""
    victim, other = await scene.fleet.grow(2)
    await scene.expired(other)
    with scene.vendor.hold("refresh", times=1, drop=True) as held:
        victim.ask("token")
        await held.arrived()
        victim.kill()
    await scene.served(other)
    assert scene.counts["refresh_requests"] == 2
    assert scene.untouched()


async def test_killed_after_it_committed(scene) -> None:
    """kill -9 the moment that the new record stands: the others adopt it, and nobody renews again."""
    victim, other = await scene.fleet.grow(2)
    await scene.expired(other)
    before = await scene.stored()
    victim.ask("token")

    async def stored() -> bool:
        return await scene.stored() > before

    await until(stored)
    victim.kill()
    await scene.served(other)
    assert scene.counts["refresh_token"] == 1
    assert scene.untouched()


async def test_stopped_before_it_sends(scene) -> None:
    """SIGSTOP for longer than the lease: another renews, and who wakes up sends nothing, overwrites nothing, adopts."""
    way = closed_port()
    victim = await scene.fleet.worker(detour=[scene.sandbox.url, f"http://127.0.0.1:{way}"])
    other = await scene.fleet.worker()
    await scene.expired(other)
    victim.ask("token")
    await sending(victim)
    victim.freeze()
    await scene.served(other)
    async with Link(int(scene.sandbox.port), port=way):
        victim.thaw()
        await scene.served(victim)
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()


async def test_stopped_behind_the_vendors_answer(scene) -> None:
    """SIGSTOP while the answer is under way, the old token still good: it is waited out, and the late answer stored."""
    victim, other = await scene.fleet.grow(2)
    scene.lifetime(25.0)
    await scene.login(victim)
    scene.lifetime(900.0)
    await scene.served(other)
    with scene.vendor.hold("refresh", when="after", times=1) as held:
        victim.ask("refresh")
        await held.arrived()
        victim.freeze()
    lease = asyncio.get_running_loop().time() + scene.lease + 0.5
    with pytest.raises(Refused, match="VendorUnavailable"):
        while asyncio.get_running_loop().time() < lease:
            await other.ask("refresh")
    victim.thaw()
    await scene.served(victim, other)
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()


async def test_killed_before_anything_was_stored(scene) -> None:
    """kill -9 after the vendor acted, nothing stored anywhere: the user is sent for, with the reason, and no loop."""
    victim, *others = await scene.fleet.grow(4)
    await scene.expired(victim)
    with scene.vendor.hold("refresh", when="after", times=1) as held:
        victim.ask("token")
        await held.arrived()
        victim.kill()
    for other in others * 3:
        async with asyncio.timeout(60):
            while True:
                with pytest.raises(Refused) as refused:
                    await other.ask("token")
                if refused.value.kind == "ReauthorizationRequired":
                    break
                assert refused.value.kind == "VendorUnavailable"
                await asyncio.sleep(0.05)
        assert "the answer to an earlier renewal may have been lost" in refused.value.words
    assert scene.counts["refresh_requests"] == 2  # the one that was lost, and the one try in doubt
    await scene.login(others[0])
    await scene.served(*others, patient={"ReauthorizationRequired"})  # they look twice a second


@pytest.mark.parametrize("escrow", [True, False], ids=["with escrow", "without escrow"])
async def test_killed_with_the_answer_in_hand(redis_scene, tmp_path, escrow) -> None:
    """kill -9 with an answer that the store could not take: a restarted process has it from escrow, or it is lost."""
    scene = redis_scene
    scene.fleet.order["engine"]["keys"] = base64.b64encode(os.urandom(32)).decode()
    own = {**scene.fleet.order["engine"], **({"escrow": str(tmp_path / "escrow")} if escrow else {})}
    async with Link(scene.valkey.port) as way:
        victim = await scene.fleet.worker(store=f"redis://127.0.0.1:{way.port}/0", engine=own)
        await scene.expired(victim)
        with scene.vendor.hold("refresh", times=1) as held:
            victim.ask("token")
            await held.arrived()
            way.refuse = True
            way.cut()

        async def kept() -> bool:
            if escrow:  # the worker knows before the disk does
                return any((tmp_path / "escrow").glob("*.answer"))
            return (await victim.ask("state"))["kept"]

        await until(kept)
        victim.kill()
    restarted = await scene.fleet.worker(engine=own)
    if not escrow:
        with pytest.raises(AssertionError, match="an earlier renewal may have been lost"):
            await scene.served(restarted)
        assert scene.counts["refresh_reuse"] == 1
        return
    await scene.served(restarted)
    assert scene.counts["refresh_requests"] == 1
    assert scene.untouched()
    assert list((tmp_path / "escrow").iterdir()) == []
