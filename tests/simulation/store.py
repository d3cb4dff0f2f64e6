"""The store as a node, and what a worker has of it.

The rules are ``linkauth_stores.slot.Slot``, which the memory store and the file store follow; the client repeats what
was not answered, as a networked store's client does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from linkauth.errors import StoreUnavailable
from linkauth.store import Change, Committed, Granted, Superseded
from linkauth_stores.slot import Slot
from tests.simulation.loop import WHO, Node
from tests.simulation.net import LATE, REFUSED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from linkauth.store import Claim, Commit, Reading
    from tests.simulation.world import Simulation

EPOCH = 1_700_000_000.0
EMPTY = Slot()
TRY = 1.0
"""Seconds that one try may take."""
TRIES = 3
POLL = 5.0
"""Seconds after which a wait looks again, for a wake-up may have been lost."""


class StoreNode:
    """Slots, a clock, and those who wait for a change."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.node = Node("store")
        self.slots: dict[str, Slot] = {}
        self.waiters: dict[str, list[tuple[int, Callable[[object], None]]]] = {}
        self.history: list[tuple[float, dict[str, Slot]]] = [(0.0, {})]
        self.listeners: list[Listener] = []
        self.refuses: set[str] = set()
        self.started = -1e9
        """When its server was started last."""
        self.wrong = sim.plan.wrong
        """By how much its clock is wrong, seconds."""

    def now(self) -> float:
        return EPOCH + self.sim.loop.now + self.wrong

    def slot(self, key: str) -> Slot:
        return self.slots.get(key, EMPTY)

    def serve(self, reply: Callable[[object], None], who: Node, op: str, key: str, args: tuple[Any, ...]) -> None:
        """Do one atomic step and answer."""
        if op in self.refuses:
            return
        if op == "listen":
            self.listeners.append(args[0])
            reply(None)
            return
        if op == "wait":
            if self.slot(key).quiet(args[0], self.now()):
                self.waiters.setdefault(key, []).append((args[0], reply))
            else:
                reply(None)
            return
        if op == "read":
            self.sim.judge.looked_at[who, key] = self.sim.loop.now
        before, now = self.slot(key), self.now()
        after, answer = getattr(self, "do_" + op)(before, now, *args)
        if after is not before:
            self.slots = {**self.slots, key: after}
            self.history.append((self.sim.loop.now, self.slots))
            if after.version != before.version or after.value != before.value:
                self.sim.judge.written(who, key, before, after)
                for listener in self.listeners:
                    listener.hear(Change(key, after.version if after.value else 0))
            if op == "release" and before.lease is not None and after.lease is None:
                self.sim.judge.returned(who, args[0], before.lease)
        if isinstance(answer, Superseded):
            self.sim.judge.superseded(who)
        if isinstance(answer, Granted):
            self.sim.judge.granted(who, key, before, answer)
        self.wake(key)
        reply(answer)

    # Separate methods, so that a planted fault can replace one of them.
    def do_read(self, slot: Slot, now: float) -> tuple[Slot, object]:
        return slot, slot.read(now)

    def do_claim(self, slot: Slot, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        return slot.claim(owner, ttl, newer_than, note, now)

    def do_commit(self, slot: Slot, now: float, number: int, value: bytes, ttl: float | None) -> Any:
        return slot.commit(number, value, ttl, now)

    def do_extend(self, slot: Slot, now: float, number: int, ttl: float) -> Any:
        return slot.extend(number, ttl, now)

    def do_release(self, slot: Slot, now: float, number: int, note: bytes) -> Any:
        return slot.release(number, note, now)

    def do_take(self, slot: Slot, now: float) -> Any:
        return slot.take(now)

    def do_delete(self, slot: Slot, now: float, number: int) -> Any:
        return slot.delete(number, now)

    def do_uptime(self, slot: Slot, _: float) -> tuple[Slot, object]:
        return slot, self.sim.loop.now - self.started

    def wake(self, key: str) -> None:
        slot, now = self.slot(key), self.now()
        left = []
        for newer_than, reply in self.waiters.pop(key, ()):
            if slot.quiet(newer_than, now):
                left.append((newer_than, reply))
            else:
                reply(None)
        if left:
            self.waiters[key] = left

    def disconnect(self, node: Node | None = None) -> None:
        """Connections break: of ``node``, or everybody's."""
        for listener in list(self.listeners):
            if node is None or listener.node is node:
                self.listeners.remove(listener)
                listener.hear(None)

    def lose(self, seconds: float | None) -> None:
        """Go back to what was ``seconds`` ago (a replica took over that was behind); None: to nothing."""
        then = self.sim.loop.now - seconds if seconds is not None else -1.0
        slots: dict[str, Slot] = {}
        for at, kept in self.history:
            if at <= then:
                slots = kept
        lost, self.slots = self.slots, slots
        self.waiters.clear()
        self.history = [(0.0, {}), (self.sim.loop.now, slots)]
        self.sim.judge.data_lost(lost, slots)


class Listener:
    """A subscription of ``node``; None: it broke."""

    def __init__(self, sim: Simulation, node: Node) -> None:
        self.sim = sim
        self.node = node
        self.heard: deque[Change | None] = deque()
        self.waiter: asyncio.Future[None] | None = None

    def hear(self, change: Change | None) -> None:
        self.sim.loop.post(self.node, self.sim.net.delay(), self._heard, change)

    def _heard(self, change: Change | None) -> None:
        self.heard.append(change)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def next(self) -> Change | None:
        while not self.heard:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        return self.heard.popleft()


class StoreClient:
    """A ``TokenStore`` over the simulated network."""

    def __init__(self, sim: Simulation, store: StoreNode) -> None:
        self.sim = sim
        self.store = store
        self.failures = 0
        self.away = False
        self.back_at = -1e9
        """When the store last answered after it had not."""

    def _answered(self, answer: object) -> None:
        """The engine gets this answer; ``REFUSED``: it hears that the store is away."""
        if answer is not REFUSED and self.away:
            self.back_at = self.sim.loop.now
        self.away = answer is REFUSED

    async def _ask(self, op: str, key: str, *args: Any) -> Any:
        me = WHO.get()
        if self.sim.telling:
            self.sim.tell(me.name, f"{op}{_words(op, args)}")
        self.sim.mischief.hook(op, me)
        done = False
        try:
            for _ in range(TRIES):
                answer = await self.sim.net.call(op, self.store.node, self.store.serve, me, op, key, args, patience=TRY)
                if answer is not LATE and answer is not REFUSED:
                    done = True
                    self._answered(answer)
                    if self.sim.telling:
                        self.sim.tell(me.name, f"  {op}: {_told(answer)}")
                    if op in {"read", "claim"}:
                        self.sim.judge.saw(me, key, answer.record)
                    self.sim.mischief.hook(op + " answered", me)
                    return answer
                if answer is REFUSED:
                    await asyncio.sleep(0.2)
        finally:
            if not done:
                self.failures += 1
        self._answered(REFUSED)
        self.sim.tell(me.name, f"  {op}: the store is away")
        raise StoreUnavailable("the simulated store is away")

    async def read(self, key: str) -> Reading:
        return await self._ask("read", key)

    async def claim(self, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Claim:
        return await self._ask("claim", key, owner, ttl, newer_than, note)

    async def commit(self, key: str, number: int, value: bytes, ttl: float | None = None) -> Commit:
        return await self._ask("commit", key, number, value, ttl)

    async def extend(self, key: str, number: int, ttl: float) -> bool:
        return await self._ask("extend", key, number, ttl)

    async def release(self, key: str, number: int, note: bytes = b"") -> bool:
        return await self._ask("release", key, number, note)

    async def take(self, key: str) -> Reading:
        return await self._ask("take", key)

    async def delete(self, key: str, number: int) -> bool:
        return await self._ask("delete", key, number)

    async def wait_for_change(self, key: str, newer_than: int, timeout: float) -> None:
        me = WHO.get()
        if self.sim.telling:
            self.sim.tell(me.name, f"waits for a change, {timeout:.1f} s at the most")
        wait = min(timeout, POLL)
        answer = await self.sim.net.call(
            "wait", self.store.node, self.store.serve, me, "wait", key, (newer_than,), patience=wait
        )
        self._answered(answer)
        if answer is REFUSED:
            self.failures += 1
            raise StoreUnavailable("the simulated store is away")

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        for key in list(self.store.slots):
            if key.startswith(prefix):
                yield key

    async def aclose(self) -> None:
        pass


class AnnouncingClient(StoreClient):
    """One whose store tells of changes, as those must that can lose data."""

    async def uptime(self) -> float:
        found: float = await self._ask("uptime", "")
        return found

    async def changes(self) -> AsyncIterator[Change | None]:
        me = WHO.get()
        listened: set[Node] = set()
        while True:
            listener = Listener(self.sim, me)
            answer = await self.sim.net.call(
                "listen",
                self.store.node,
                self.store.serve,
                me,
                "listen",
                "",
                (listener,),
                patience=TRY,
                repeatable=False,
            )
            if answer is LATE or answer is REFUSED:
                await asyncio.sleep(1.0)
                continue
            self.sim.tell(me.name, "listens for changes")
            if me in listened:
                self.sim.judge.heard[me] = self.sim.loop.now
            listened.add(me)
            yield None
            while (change := await listener.next()) is not None:
                yield change


def _words(op: str, args: tuple[Any, ...]) -> str:
    if op == "claim":
        return f" what is newer than {args[2]}" + (" (with a note)" if args[3] else "")
    if op in {"commit", "extend", "release", "delete"}:
        note = " leaving a note" if op == "release" and args[1] else ""
        return f" number {args[0]}{note}"
    return ""


def _told(answer: object) -> str:
    if isinstance(answer, Granted):
        found = f", version {answer.record.version}" if answer.record else ", no record"
        return f"granted number {answer.number}{found}{', inherited' if answer.inherited else ''}" + (
            ", a note" if answer.note else ""
        )
    if isinstance(answer, Committed | bool):
        return "done" if answer is not False else "refused"
    record = getattr(answer, "record", None)
    return f"{type(answer).__name__.lower()}, {f'version {record.version}' if record else 'no record'}"
