"""What is done to the hosts, their links, the store and the vendor.

Each host reaches store and vendor by links of its own, which can be cut, silenced, delayed or made to drip. Valkey is a
master and a replica: a failover kills the one, promotes the other and moves the links over, as a virtual address does.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs
import redis.asyncio as aioredis
from redis.exceptions import ResponseError

from tests.chaos.evidence import Disturbance

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from tests.chaos.scene import Host, Scene
    from tests.fleet.link import Link
    from tests.servers import Server

LASTS = (0.3, 4.0)
"""Seconds that a disturbance lasts, at least and at most."""
LINK_TROUBLES = ("cut", "refuse", "silence", "half open", "delay", "drip")
PROBED = 2.0
"""Seconds after which a connection that leads nowhere is noticed by TCP's keep-alive, as ``RedisStore`` asks for it."""
EVERYWHERE = ""


@attrs.frozen
class Deed:
    """``weight``: how often it is chosen. ``on``: what it needs for itself while it lasts."""

    weight: int
    what: str
    do: Callable[[Scene, Host, Disturbance, float], Awaitable[None]]
    on: str
    loses: bool = False


class Deeds:
    """Disturbs a scene, by seed."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self._scene = scene
        self._chance = chance
        known = [*ANYWHERE, *(ON_REDIS if scene.on_redis else ())]
        self._deeds = [deed for deed in known if re.match(scene.only, deed.what)]

    async def disturb(self, longest: float) -> Disturbance | None:
        """Do something, for at most so many seconds. None: nothing came of it."""
        deed = self._chance.choices(self._deeds, weights=[deed.weight for deed in self._deeds])[0]
        host = self._chance.choice(self._scene.hosts)
        seconds = min(self._chance.uniform(*LASTS), longest)
        name = EVERYWHERE if deed.on in {"store", "vendor"} else host.name
        place, busy = f"{name}/{deed.on}", self._scene.busy
        if place in busy:
            return None
        busy.add(place)
        try:
            return await self._do(deed, host, name, seconds)
        finally:
            busy.discard(place)

    async def _do(self, deed: Deed, host: Host, name: str, seconds: float) -> Disturbance | None:
        what, do = deed.what, deed.do
        if what == "kill" and host is self._scene.hosts[0]:
            what, do = "stop", _stop  # one lives from beginning to end, and tells of the memory
        if deed.on.endswith("link"):
            what += f": {self._chance.choice(LINK_TROUBLES)}"
        mark = Disturbance(what=what, host=name, begun=time.monotonic(), loses=deed.loses)
        evidence = self._scene.evidence.disturbances
        evidence.append(mark)
        try:
            await do(self._scene, host, mark, seconds)
        finally:
            mark.ended = min(mark.ended, time.monotonic())
        if mark.ended < mark.begun:  # not done after all
            evidence.remove(mark)
            return None
        return mark


async def _kill(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    assert host.worker
    host.expected = True
    host.worker.kill()
    await asyncio.sleep(min(seconds, 1.0))
    await scene.populate(host)


async def _stop(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    assert host.worker
    host.worker.freeze()
    await asyncio.sleep(seconds)
    host.worker.thaw()


async def _store_link(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    assert host.store
    await _trouble(host.store, mark, seconds)


async def _vendor_link(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    await _trouble(host.vendor, mark, seconds)


async def _trouble(link: Link, mark: Disturbance, seconds: float) -> None:
    match mark.what.partition(": ")[2]:
        case "cut":
            link.cut()
        case "refuse":
            link.refuse = True
            link.cut()
            await asyncio.sleep(seconds)
        case "silence":
            link.silence()
            await asyncio.sleep(seconds)
        case "half open":  # what was sent is gone for ever, and nobody is told for a while
            link.silence()
            await asyncio.sleep(seconds)
            link.cut()
        case "delay":
            link.delay = 0.05 + 0.25 * (seconds / LASTS[1])
            await asyncio.sleep(seconds)
        case _:
            link.drip = 0.005 + 0.025 * (seconds / LASTS[1])
            await asyncio.sleep(seconds)
    link.mend()


async def _store_hangs(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    scene.master.freeze()
    await asyncio.sleep(seconds)
    scene.master.thaw()


async def _killed_in_the_dark(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    """The store hangs until a worker has answers in hand that it could not store; then that worker is killed."""
    scene.master.freeze()
    await asyncio.sleep(min(seconds, 1.0))
    if host is not scene.hosts[0] and f"{host.name}/host" not in scene.busy:
        scene.busy.add(f"{host.name}/host")
        kill = Disturbance(what="kill", host=host.name, begun=time.monotonic())
        scene.evidence.disturbances.append(kill)
        await _kill(scene, host, kill, 0.3)
        kill.ended = time.monotonic()
        scene.busy.discard(f"{host.name}/host")
    scene.master.thaw()


async def _restart(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    await _save(scene)
    await _restarted(scene, seconds)


async def _restart_old(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    await _save(scene)
    await asyncio.sleep(min(seconds, 1.5))
    await _restarted(scene, seconds)


async def _restart_empty(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    (scene.master.folder / "dump.rdb").unlink(missing_ok=True)
    await _restarted(scene, seconds)


async def _restarted(scene: Scene, seconds: float) -> None:
    await asyncio.to_thread(scene.master.kill)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(scene.master.start)
    (scene.master.folder / "dump.rdb").unlink(missing_ok=True)


async def _failover(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    old, new = scene.servers
    if not await _caught_up(new, mark):
        return
    scene.servers = [new, old]
    await _command(scene, "REPLICAOF", "NO", "ONE")
    await asyncio.sleep(min(seconds, 1.5) / 2)  # what is written meanwhile is lost: the replica was that far behind
    await asyncio.to_thread(old.kill)
    await asyncio.sleep(min(seconds, 1.5) / 2)
    for each in scene.hosts:
        assert each.store
        each.store.target = new.port
        each.store.cut()
    mark.ended = time.monotonic()
    await _follow(old, new)


async def _caught_up(new: Server, mark: Disturbance) -> bool:
    async with aioredis.Redis(host="127.0.0.1", port=new.port) as client:
        if (await client.info("replication")).get("master_link_status") == "up":
            return True
    mark.ended = mark.begun - 1  # it has yet to catch up with the last one
    return False


async def _follow(old: Server, new: Server) -> None:
    (old.folder / "dump.rdb").unlink(missing_ok=True)
    old.args = ("--replicaof", f"127.0.0.1 {new.port}")
    new.args = ("--repl-diskless-sync-delay", "0")
    await asyncio.to_thread(old.start)


async def _quiet_failover(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    """Connections stay open, and lead nowhere: each is refused when next something is sent on it."""
    old, new = scene.servers
    if not await _caught_up(new, mark):
        return
    scene.servers = [new, old]
    await _command(scene, "REPLICAOF", "NO", "ONE")
    await asyncio.sleep(min(seconds, 1.5))
    for each in scene.hosts:
        assert each.store
        each.store.move(new.port, probed=PROBED)
    mark.ended = time.monotonic()
    await asyncio.to_thread(old.kill)
    await _follow(old, new)


async def _save(scene: Scene) -> None:
    """Once what it writes for a replica that begins anew is written."""
    while True:
        with suppress(ResponseError):
            return await _command(scene, "SAVE")
        await asyncio.sleep(0.05)


async def _command(scene: Scene, *words: str) -> None:
    async with aioredis.Redis(host="127.0.0.1", port=scene.master.port) as client:
        await client.execute_command(*words)


async def _vendor_down(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    scene.sandbox.linkxg.fault("*", times=None, status=503)
    await asyncio.sleep(seconds)
    scene.sandbox.linkxg.faults.clear()


async def _vendor_loses(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    scene.sandbox.linkxg.fault("refresh", times=1, act=True, drop=True)
    await asyncio.sleep(seconds)
    scene.sandbox.linkxg.faults.clear()


async def _vendor_slow(scene: Scene, host: Host, mark: Disturbance, seconds: float) -> None:
    delay = 0.2 + 1.3 * (seconds / LASTS[1])
    scene.sandbox.linkxg.fault("refresh", times=None, delay=delay, when="after")
    await asyncio.sleep(seconds)
    scene.sandbox.linkxg.faults.clear()


ANYWHERE = (
    Deed(4, "kill", _kill, "host"),
    Deed(4, "stop", _stop, "host"),
    Deed(6, "link to the vendor", _vendor_link, "vendor's link"),
    Deed(3, "vendor says 503", _vendor_down, "vendor"),
    Deed(1, "vendor loses an answer", _vendor_loses, "vendor"),
    Deed(2, "vendor is slow", _vendor_slow, "vendor"),
)
ON_REDIS = (
    Deed(6, "link to the store", _store_link, "store's link"),
    Deed(2, "store hangs", _store_hangs, "store"),
    Deed(2, "store hangs, and a worker is killed", _killed_in_the_dark, "store"),
    Deed(1, "store restarts with its data", _restart, "store"),
    Deed(1, "store restarts empty", _restart_empty, "store", loses=True),
    Deed(1, "store restarts with old data", _restart_old, "store", loses=True),
    Deed(2, "failover", _failover, "store", loses=True),
    Deed(2, "failover without a word", _quiet_failover, "store", loses=True),
)
