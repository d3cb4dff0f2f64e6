"""Machines and the processes on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential
    from linkauth.engine.engine import Engine
    from linkauth.engine.escrow import Kept
    from linkauth.vendors.vendor import Vendor
    from tests.simulation.loop import Node
    from tests.simulation.store import StoreClient
    from tests.simulation.vendor import Grant

__all__ = ["Escrow", "Host", "Machine", "Worker"]


@attrs.define
class Escrow:
    """A host's disk: it outlives its processes."""

    kept: dict[tuple[str, int], Kept] = attrs.field(factory=dict)

    async def put(self, kept: Kept) -> None:
        await asyncio.sleep(0.001)
        self.kept[kept.key, kept.number] = kept

    async def drop(self, key: str, number: int) -> None:
        await asyncio.sleep(0)
        for known in [k for k in self.kept if k[0] == key and k[1] <= number]:
            del self.kept[known]

    async def everything(self) -> list[Kept]:
        await asyncio.sleep(0)
        newest = {kept.key: kept for _, kept in sorted(self.kept.items(), key=lambda item: item[0])}
        return list(newest.values())

    async def find(self, key: str) -> Kept | None:
        await asyncio.sleep(0)
        mine = [kept for (whose, _), kept in sorted(self.kept.items(), key=lambda item: item[0]) if whose == key]
        return mine[-1] if mine else None


@attrs.define(eq=False)
class Machine:
    """Its kernel, which knows of each process whether it lives, and its disk."""

    name: str
    escrow: Escrow = attrs.field(factory=Escrow)
    nodes: dict[str, Node] = attrs.field(factory=dict)
    """Of all the processes that it had, by name."""

    def process(self, node: Node) -> Process:
        found = Process(self, f"{self.name}.{node.name}")
        self.nodes[found.name] = node
        return found


@attrs.frozen
class Process:
    """What one of its processes can tell (``engine.world.Processes``)."""

    machine: Machine
    name: str

    def own(self) -> str:
        return self.name

    def is_alive(self, name: str) -> bool | None:
        node = self.machine.nodes.get(name)
        return None if node is None else node.alive


@attrs.define(eq=False)
class Host:
    """Where one worker runs after another: a machine, or a part of one, and its clocks."""

    number: int
    machine: Machine
    wall: float = 0.0
    """By how much its wall clock is wrong, seconds."""
    lag: float = 0.0
    """How long it has slept: its monotonic clock stood still meanwhile."""
    lives: int = 0


@attrs.define(eq=False)
class Worker:
    """A process."""

    host: Host
    node: Node
    client: StoreClient
    engine: Engine
    registration: Vendor
    closing: bool = False
    callers: list[asyncio.Task[None]] = attrs.field(factory=list)
    known: dict[str, Grant] = attrs.field(factory=dict)
    """What its callers were last given, by account."""
    _credentials: dict[str, Credential] = attrs.field(factory=dict)

    def credential(self, account: str) -> Credential:
        found = self._credentials.get(account)
        if found is None:
            found = self._credentials[account] = self.engine.credential(self.registration, account)
        return found
