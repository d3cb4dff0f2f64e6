"""Processes, a real Valkey and the sandbox, and one thing after another that goes wrong, by seed.

Each worker reaches store and vendor by links of its own, which can be cut, silenced, delayed or made to drip. Valkey is a
master and a replica: a failover kills the one, promotes the other and moves the links over, as a virtual address does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import attrs
import redis.asyncio as aioredis

from linkauth import LinkXGUser
from linkauth.engine.records import token_key
from linkauth.sandbox import Sandbox
from linkauth.sandbox.tokens import NotGood
from tests.chaos.witness import Disturbance, Exchange, Reuse, Witness
from tests.fleet.fleet import Died, Fleet, Nursery, Refused, Worker
from tests.fleet.link import Link
from tests.servers import Server, replicated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

LIFETIME = 3.0
"""Seconds of an access token."""
REST = (0.5, 2.5)
"""Seconds between two disturbances, at least and at most."""
STALL = 0.3
"""Seconds from which a pause of the machine's own counts."""
LASTS = (0.3, 4.0)
"""Seconds that one lasts."""


@attrs.define(eq=False)
class Host:
    """A place where a worker runs, with its links."""

    name: str
    store: Link
    vendor: Link
    worker: Worker | None = None
    told: Counter[str] = attrs.field(factory=Counter)
    """What it heard, as of the last look."""
    memory: list[tuple[float, float]] = attrs.field(factory=list)
    """When (s) the worker had how many MB."""


class Campaign:
    """``async with Campaign(folder, seed) as campaign: report = await campaign.run(seconds)``."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        hosts: int = 4,
        accounts: int = 10,
        constants: dict[str, float] | None = None,
        nursery: Nursery | None = None,
        aloud: bool = False,
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self._chance = random.Random(seed)  # another one, for what happens at its own time
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.complaints: list[str] = []
        self.logins = 0
        self._folder = folder
        self._count = hosts
        self._names = [f"account{number}" for number in range(accounts)]
        self._constants = constants or {}
        self._nursery = nursery
        self._aloud = aloud
        self._stack = AsyncExitStack()
        self._expected: set[Worker] = set()
        self._story: list[str] = []

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        servers = self._stack.enter_context(ExitStack())
        self.servers: list[Server] = await asyncio.to_thread(servers.enter_context, replicated(self._folder))
        limits = {"login_limit": None, "refresh_limit": None, "user_token_lifetime": LIFETIME}
        self.sandbox = Sandbox(linkxg=limits)
        self.witness = Witness(self.sandbox)  # before the sandbox opens its doors
        await enter(self.sandbox)
        self.vendor = LinkXGUser(base_url=self.sandbox.linkxg.base_url)
        for name in self._names:
            self.sandbox.linkxg.add_user(email=f"{name}@example.com")
        if self._nursery is None:
            self._nursery = Nursery()
            self._stack.callback(self._nursery.close)
        order = {"vendor": {"class": "LinkXGUser", "base_url": self.vendor.base_url}, "constants": self._constants}
        self.fleet = await enter(Fleet(self._nursery, engine={"timeout": 3.0}, **order))
        self.hosts = [
            Host(f"host{number}", await enter(Link(self.master.port)), await enter(Link(self.sandbox.port)))
            for number in range(self._count)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def master(self) -> Server:
        return self.servers[0]

    async def run(self, seconds: float) -> dict[str, Any]:
        """Disturb for so long, then let everything settle and look what is left."""
        self._begun = time.monotonic()
        for host in self.hosts:
            await self._populate(host)
        for name in self._names:
            await self._login(name)
        background = [
            asyncio.create_task(work)
            for work in (self._look_on(), self._nurse(), self._watch_the_store(), self._clock())
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(self.random.uniform(*REST))
            await self._disturb(min(self.random.uniform(*LASTS), max(end - time.monotonic(), 0.2)))
        await asyncio.sleep(LIFETIME + 1)
        self._tell("now all is mended")
        newcomer = await self.fleet.worker(store=self.master.url, name="newcomer")
        living = await asyncio.gather(*(self._lives(newcomer, name) for name in self._names))
        await self._ask_around()
        for host in self.hosts:
            host.worker.ask("rest")
        await asyncio.sleep(1)  # for what is in the air
        for task in background:
            task.cancel()
        for outcome in await asyncio.gather(*background, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                self.failures.append(f"the campaign itself failed: {outcome!r}")
        return self._report(seconds, sum(living))

    def _tell(self, words: str) -> None:
        self._story.append(words)
        if self._aloud:
            print(words, flush=True)

    # -- workers ---------------------------------------------------------------------------------------------------

    async def _populate(self, host: Host) -> None:
        worker = await self.fleet.worker(
            store=f"redis://127.0.0.1:{host.store.port}/0",
            detour=[self.sandbox.url, f"http://127.0.0.1:{host.vendor.port}"],
            name=host.name,
        )
        host.worker, host.memory = worker, []
        worker.ask("work", tasks=40, pace=0.2, accounts=self._names, calls=0.7)

    async def _login(self, name: str) -> None:
        """By whichever worker can."""
        self.logins += 1
        user = self.sandbox.linkxg.users[f"{name}@example.com"]
        while True:
            worker = self._chance.choice(self.hosts).worker
            with suppress(Refused, Died, TimeoutError):
                async with asyncio.timeout(10):
                    await worker.ask("login", email=user.email, password=user.password, account=name)
                    return
            await asyncio.sleep(0.1)

    async def _nurse(self) -> None:
        """Whose session the vendor has ended logs in again, as a user would."""
        while True:
            for name in self._names:
                if self.witness.sessions[name].revoked:
                    await self._login(name)
            await asyncio.sleep(0.2)

    async def _look_on(self) -> None:
        """Look after the workers: none dies of itself, none complains; how much memory they take."""
        while True:
            await self._ask_around()
            await asyncio.sleep(1)

    async def _clock(self) -> None:
        """A machine that runs nobody for a while, the vendor in this very process included, is a disturbance, too."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            if (now := time.monotonic()) > before + STALL:
                mark = Disturbance(what="the machine stalled", begun=before, ended=now)
                self.witness.disturbances.append(mark)
                self.done[mark.what] += 1

    async def _ask_around(self) -> None:
        for host in self.hosts:
            worker = host.worker
            if worker is None or worker in self._expected:
                continue
            try:
                async with asyncio.timeout(1):
                    state = await worker.ask("state", account=self._names[0])
            except TimeoutError:
                continue
            except Died:
                if worker not in self._expected:
                    self.failures.append(f"{host.name}'s worker died of itself")
                continue
            host.told = Counter(state["heard"])
            host.memory.append((time.monotonic() - self._begun, worker.memory()))
            self.complaints += [each for each in state["complaints"] if each not in self.complaints]

    async def _watch_the_store(self) -> None:
        """What is in it, twenty times a second."""
        keys = [f"linkauth:{{{token_key(self.vendor, name)}}}" for name in self._names]
        while True:
            with suppress(aioredis.RedisError, OSError, TimeoutError):
                async with (
                    asyncio.timeout(1),
                    aioredis.Redis(host="127.0.0.1", port=self.master.port, socket_timeout=0.5) as client,
                ):
                    while True:
                        pipeline = client.pipeline(transaction=False)
                        for key in keys:
                            pipeline.hget(key, "value")
                        for value in await pipeline.execute():
                            if value is not None:
                                self.witness.saw_in_store(value)
                        await asyncio.sleep(0.05)
            await asyncio.sleep(0.05)

    async def _lives(self, newcomer: Worker, name: str) -> bool:
        """Whether a worker that has never heard of the account is given a token that the vendor honours."""
        words = ""
        try:
            async with asyncio.timeout(30):
                while True:
                    try:
                        token = await newcomer.ask("token", account=name)
                        self.sandbox.linkxg.tokens.check(token["access_token"])
                    except (Refused, NotGood) as refused:
                        words = f"{type(refused).__name__}: {refused}"
                        await asyncio.sleep(0.2)
                    else:
                        return True
        except TimeoutError:
            over = "over" if self.witness.sessions[name].revoked else "alive"
            self.failures.append(f"{name}, whose session is {over} at the vendor's, gets no token: {words}")
            return False

    # -- disturbances ----------------------------------------------------------------------------------------------

    async def _disturb(self, seconds: float) -> None:
        host = self.random.choice(self.hosts)
        deeds: list[tuple[int, str, Callable[[Host, float], Awaitable[None]], bool]] = [
            (4, "kill", self._kill, True),
            (4, "stop", self._stop, True),
            (6, "link to the store", self._store_link, True),
            (6, "link to the vendor", self._vendor_link, True),
            (2, "store hangs", self._store_hangs, False),
            (1, "store restarts with its data", self._restart, False),
            (1, "store restarts empty", self._restart_empty, False),
            (1, "store restarts with old data", self._restart_old, False),
            (2, "failover", self._failover, False),
            (3, "vendor says 503", self._vendor_down, False),
            (1, "vendor loses an answer", self._vendor_loses, False),
            (2, "vendor is slow", self._vendor_slow, False),
        ]
        _, what, deed, single = self.random.choices(deeds, weights=[deed[0] for deed in deeds])[0]
        loses = what in {"store restarts empty", "store restarts with old data", "failover"}
        mark = Disturbance(what=what, worker=host.name if single else "", begun=time.monotonic(), loses=loses)
        self.witness.disturbances.append(mark)
        try:
            await deed(host, seconds)
        finally:
            mark.ended = time.monotonic()
        self.done[what] += 1
        self._tell(f"{mark.begun - self._begun:8.2f} s  {what} {mark.worker} {mark.ended - mark.begun:.2f} s")

    async def _kill(self, host: Host, seconds: float) -> None:
        if host is self.hosts[0]:
            return await self._stop(host, seconds)  # one lives from beginning to end, and tells of the memory
        assert host.worker
        self._expected.add(host.worker)
        host.worker.kill()
        await asyncio.sleep(min(seconds, 1.0))
        await self._populate(host)
        return None

    async def _stop(self, host: Host, seconds: float) -> None:
        assert host.worker
        host.worker.freeze()
        await asyncio.sleep(seconds)
        host.worker.thaw()

    async def _store_link(self, host: Host, seconds: float) -> None:
        await self._trouble(host.store, seconds)

    async def _vendor_link(self, host: Host, seconds: float) -> None:
        await self._trouble(host.vendor, seconds)

    async def _trouble(self, link: Link, seconds: float) -> None:
        match self.random.choice(["cut", "refuse", "silence", "half open", "delay", "drip"]):
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
                link.delay = self.random.uniform(0.05, 0.3)
                await asyncio.sleep(seconds)
            case _:
                link.drip = self.random.uniform(0.005, 0.03)
                await asyncio.sleep(seconds)
        link.mend()

    async def _store_hangs(self, _: Host, seconds: float) -> None:
        self.master.freeze()
        await asyncio.sleep(seconds)
        self.master.thaw()

    async def _restart(self, _: Host, seconds: float) -> None:
        await self._command("SAVE")
        await self._restarted(seconds)

    async def _restart_old(self, _: Host, seconds: float) -> None:
        await self._command("SAVE")
        await asyncio.sleep(min(seconds, 1.5))
        await self._restarted(seconds)

    async def _restart_empty(self, _: Host, seconds: float) -> None:
        (self.master.folder / "dump.rdb").unlink(missing_ok=True)
        await self._restarted(seconds)

    async def _restarted(self, seconds: float) -> None:
        self.master.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.master.start)
        (self.master.folder / "dump.rdb").unlink(missing_ok=True)

    async def _failover(self, _: Host, seconds: float) -> None:
        old, new = self.servers
        if new.client().info("replication").get("master_link_status") != "up":
            return  # it has yet to catch up with the last one
        old.kill()
        await asyncio.sleep(min(seconds, 1.5))
        self.servers = [new, old]
        await self._command("REPLICAOF", "NO", "ONE")
        for host in self.hosts:
            host.store.target = new.port
            host.store.cut()
        (old.folder / "dump.rdb").unlink(missing_ok=True)
        old.args = ("--replicaof", f"127.0.0.1 {new.port}")
        new.args = ("--repl-diskless-sync-delay", "0")
        await asyncio.to_thread(old.start)

    async def _command(self, *words: str) -> None:
        async with aioredis.Redis(host="127.0.0.1", port=self.master.port) as client:
            await client.execute_command(*words)

    async def _vendor_down(self, _: Host, seconds: float) -> None:
        self.sandbox.linkxg.fault("*", times=None, status=503)
        await asyncio.sleep(seconds)
        self.sandbox.linkxg.faults.clear()

    async def _vendor_loses(self, _: Host, seconds: float) -> None:
        self.sandbox.linkxg.fault("refresh", times=1, act=True, drop=True)
        await asyncio.sleep(seconds)
        self.sandbox.linkxg.faults.clear()

    async def _vendor_slow(self, _: Host, seconds: float) -> None:
        self.sandbox.linkxg.fault("refresh", times=None, delay=self.random.uniform(0.2, 1.5), when="after")
        await asyncio.sleep(seconds)
        self.sandbox.linkxg.faults.clear()

    # -- the end ---------------------------------------------------------------------------------------------------

    def _story_of(self, told: Exchange | Reuse) -> str:
        """What befell an account: each of its last exchanges, in seconds since the beginning."""
        last = [each for each in self.witness.exchanges if each.account == told.account]
        shown = [
            f"{each.worker} spent {each.spent[-4:]} for {each.issued[-4:]} at {each.arrived - self._begun:.2f}, stored "
            + (f"at {each.stored - self._begun:.2f}" if each.stored else "never")
            for each in last
            if abs(each.arrived - (told.at if isinstance(told, Reuse) else told.arrived)) < 15
        ]
        again = [
            f"{each.worker} spent {each.spent[-4:]} again at {each.at - self._begun:.2f}"
            for each in self.witness.reuses
            if each.account == told.account
        ]
        return "; ".join([told.account, *shown, *again])

    def _report(self, seconds: float, living: int) -> dict[str, Any]:
        reuses = Counter(self.witness.judge(reuse) or "no excuse" for reuse in self.witness.reuses)
        unstored = Counter(bool(why) for _, why in self.witness.unstored())
        counts = self.sandbox.linkxg.counts
        first, *_, last = (mb for _, mb in self.hosts[0].memory[1:] or [(0, 0.0), (0, 0.0)])
        if counts["refresh_token"] != len(self.witness.exchanges):
            self.failures.append("the vendor's count of exchanges is not the witness's")
        if counts["refresh_reuse"] != len(self.witness.reuses):
            self.failures.append("the vendor's count of reuse is not the witness's")
        ended = sum(session.revoked for session in self.witness.sessions.values())
        for reuse in self.witness.reuses:
            if not self.witness.judge(reuse):
                self.failures.append(f"a spent token was sent without an excuse: {self._story_of(reuse)}")
        for exchange, why in self.witness.unstored():
            if not why:
                self.failures.append(
                    f"an answer was not stored, and nothing stood in its way: {self._story_of(exchange)}"
                )
        if self.complaints:
            self.failures.append(f"asyncio complained: {self.complaints}")
        return {
            "seed": self.seed,
            "seconds": seconds,
            "workers": self._count,
            "accounts": len(self._names),
            "disturbances": dict(self.done),
            "exchanges": len(self.witness.exchanges),
            "logins": self.logins,
            "sessions lost": {why: count for why, count in reuses.items() if count},
            "answers never stored": unstored[True] + unstored[False],
            "living at the end": living,
            "ended at the end": ended,
            "memory of host0 (MB)": [round(first, 1), round(last, 1)],
            "heard by host0": dict(self.hosts[0].told),
            "failures": self.failures,
            "story": self._story,
        }
