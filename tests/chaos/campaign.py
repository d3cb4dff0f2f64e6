"""Processes, a real Valkey and the sandbox, and one thing after another that goes wrong, by seed."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from linkauth.sandbox.tokens import NotGood
from tests.chaos.deeds import Deeds
from tests.chaos.evidence import Disturbance
from tests.chaos.judge import TOLD, Judge
from tests.chaos.scene import LIFETIME, Host, Scene
from tests.fleet.fleet import Died, Refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fleet.fleet import Worker

AT_ONCE = 2
"""Disturbances, at the most."""
REST = (0.5, 2.5)
"""Seconds from a disturbance to the next, at least and at most."""
IDLE = 8.0
"""Seconds without a token from the vendor, after which an account is asked after."""
STALL = 0.3
"""Seconds from which a pause of the machine's own counts."""
GROWTH = 4.0
"""MB by which a worker may have more in the last quarter of an hour-long life than in the second."""
HARMLESS = {"socket.send() raised exception."}
"""What asyncio says of a connection that was cut while something was being sent."""
LONG = 300.0
"""Seconds from which a worker's life tells about its memory."""


class Campaign:
    """``async with Campaign(folder, seed) as campaign: report = await campaign.run(seconds)``."""

    def __init__(self, folder: Path, seed: int, *, aloud: bool = False, **scene: Any) -> None:
        self.seed = seed
        self.failures: list[str] = []
        self.done: Counter[str] = Counter()
        # A chance of its own for what happens at its own time, so that the disturbances depend on the seed alone.
        self.scene = Scene(folder, random.Random(seed), **scene)
        self._aloud = aloud
        self._complaints: list[str] = []
        self._memory: dict[str, list[float]] = {}

    async def __aenter__(self) -> Self:
        await self.scene.__aenter__()
        self.evidence = self.scene.evidence
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.scene.__aexit__(*exception)

    async def run(self, seconds: float) -> dict[str, Any]:
        """Disturb for so long, then let everything settle and look what is left."""
        for name in self.scene.names:
            await self.scene.log_in(name)
        background = [
            asyncio.create_task(work)
            for work in (self._look_on(), self._nurse(), self.scene.watch_the_store(), self._clock())
        ]
        end = time.monotonic() + seconds
        chances = [random.Random(f"{self.seed}/{number}") for number in range(AT_ONCE)]
        await asyncio.gather(*(self._disturb(end, Deeds(self.scene, chance), chance) for chance in chances))
        await asyncio.sleep(LIFETIME + 1)
        self._tell("now all is mended")
        self.evidence.ended = time.monotonic()
        newcomer = await self.scene.newcomer()
        living = await asyncio.gather(*(self._lives(newcomer, name) for name in self.scene.names))
        await self._ask_around()
        for host in self.scene.hosts:
            assert host.worker
            host.worker.ask("rest")
        await asyncio.sleep(1)  # for what is in the air
        working = set(background)
        # redis-py may keep a cancellation to itself, where a time-out of its own came at the same moment.
        while working:
            for task in working:
                task.cancel()
            _, working = await asyncio.wait(working, timeout=1)
        for outcome in await asyncio.gather(*background, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                self.failures.append(f"the campaign itself failed: {outcome!r}")
        return self._report(seconds, sum(living))

    async def _disturb(self, end: float, deeds: Deeds, chance: random.Random) -> None:
        while time.monotonic() < end:
            await asyncio.sleep(chance.uniform(*REST))
            try:
                mark = await deeds.disturb(max(end - time.monotonic(), 0.2))
            except Exception as error:  # an hour is not thrown away for it; it fails in the end
                self.failures.append(f"a disturbance failed: {error!r}")
                self._tell(traceback.format_exc())
                continue
            if mark is not None:
                self.done[mark.what] += 1
                at = mark.begun - self.evidence.begun
                self._tell(f"{at:8.2f} s  {mark.what} {mark.host} {mark.ended - mark.begun:.2f} s")

    def _tell(self, words: str) -> None:
        if self._aloud:
            print(words, flush=True)

    # -- at the same time ------------------------------------------------------------------------------------------

    async def _nurse(self) -> None:
        """Whose session the vendor has ended logs in again, as a user would, and whoever is told to."""
        while True:
            for name in self.scene.names:
                if self.scene.witness.sessions[name].revoked:
                    await self.scene.log_in(name, why="the vendor ended it")
                elif time.monotonic() > self.scene.witness.heard[name] + IDLE and (by := await self._is_sent_for(name)):
                    await self.scene.log_in(name, why=TOLD, told=time.monotonic(), by=by)
            await asyncio.sleep(0.2)

    async def _is_sent_for(self, name: str) -> str:
        """The host whose worker, asked for the account's token, sends for the user; empty: it does not."""
        host = random.choice(self.scene.hosts)
        worker = host.worker
        assert worker
        try:
            async with asyncio.timeout(1):
                await worker.ask("token", account=name)
        except Refused as refused:
            return host.name * (refused.kind == "ReauthorizationRequired")
        except (Died, TimeoutError):
            pass
        return ""

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
                self.evidence.disturbances.append(mark)
                self.done[mark.what] += 1

    async def _ask_around(self) -> None:
        for host in self.scene.hosts:
            worker = host.worker
            if worker is None or host.expected:
                continue
            try:
                async with asyncio.timeout(1):
                    state = await worker.ask("state", account=self.scene.names[0])
            except TimeoutError:
                continue
            except Died:
                if worker is host.worker and not host.expected:
                    self.failures.append(f"{host.name}'s worker died of itself")
                    host.expected = True
                continue
            host.told = Counter(state["heard"])
            host.memory.append((time.monotonic() - self.evidence.begun, worker.memory()))

    async def _lives(self, newcomer: Worker, name: str) -> bool:
        """Whether a worker that has never heard of the account is given a token that the vendor honours."""
        words = ""
        try:
            async with asyncio.timeout(30):
                while True:
                    try:
                        token = await newcomer.ask("token", account=name)
                        self.scene.sandbox.linkxg.tokens.check(token["access_token"])
                    except (Refused, NotGood) as refused:
                        words = f"{type(refused).__name__}: {refused}"
                        await asyncio.sleep(0.2)
                    else:
                        return True
        except TimeoutError:
            over = "over" if self.scene.witness.sessions[name].revoked else "alive"
            self.failures.append(f"{name}, whose session is {over} at the vendor's, gets no token: {words}")
            return False

    # -- the end ---------------------------------------------------------------------------------------------------

    def _report(self, seconds: float, living: int) -> dict[str, Any]:
        evidence, counts = self.evidence, self.scene.sandbox.linkxg.counts
        if counts["refresh_token"] != len(evidence.exchanges):
            self.failures.append("the vendor's count of exchanges is not the witness's")
        if counts["refresh_reuse"] != len(evidence.reuses):
            self.failures.append("the vendor's count of reuse is not the witness's")
        judge = Judge(evidence)
        cases = list(judge.cases())
        stories = [judge.story(case) for case in cases if not case.verdict]
        self.failures += [f"{case.account}: {case.what}: {case.why_not}" for case in cases if not case.verdict]
        complaints = sorted({mark.more for mark in evidence.marks if mark.what == "complaint"})
        if serious := [each for each in complaints if each not in HARMLESS]:
            self.failures.append(f"asyncio complained: {serious}")
        self.failures += [f"{host.name} grew" for host in self.scene.hosts if _grown(host) > GROWTH]
        verdicts = Counter(f"{case.what}: {case.verdict or 'no excuse'}" for case in cases)
        return {
            "seed": self.seed,
            "seconds": seconds,
            "store": "redis" if self.scene.on_redis else "file",
            "hosts": len(self.scene.hosts),
            "accounts": len(self.scene.names),
            "disturbances": dict(sorted(self.done.items())),
            "exchanges": len(evidence.exchanges),
            "logins": self.scene.logins,
            "reuse seen by the vendor": len(evidence.reuses),
            "sessions lost, and answers never stored": dict(verdicts),
            "living at the end": living,
            "workers stood still": sum(mark.what == "stood still" for mark in evidence.marks),
            "asyncio complained": complaints,
            "memory (MB), first and last of each living worker": {
                host.name: [round(mb, 1) for _, mb in (host.memory[1:] or host.memory)[:: max(len(host.memory) - 2, 1)]]
                for host in self.scene.hosts
            },
            "heard by host0": dict(self.scene.hosts[0].told),
            "failures": self.failures,
            "stories": stories,
        }


def _grown(host: Host) -> float:
    """MB between the second and the last quarter of its life, if that was long."""
    if not host.memory or host.memory[-1][0] - host.memory[0][0] < LONG:
        return 0.0
    quarter = len(host.memory) // 4
    levels = [mb for _, mb in host.memory]
    return median(levels[-quarter:]) - median(levels[quarter : 2 * quarter])
