"""What happens in the demo, to both sides at the same moments; each step begins when the one before is seen to be over.

1. The user logs in, the workers begin, and the first token is renewed.
2. A worker is killed with its renewal on the way. The vendor is made to hold renewals *before* it acts, and never does: had it
   acted, its answer would have been lost with the worker, and with it the session, whoever keeps it.
3. The store is emptied, in the middle of a token's life.

Whoever is logged out logs in again after a while, as people do.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from linkauth.cli.demo.crew import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

    from linkauth.cli.demo.crew import Member
    from linkauth.cli.demo.sides import ByHand, Linkauth, Side

__all__ = ["Play"]

T = TypeVar("T")

LOOK: Final = 0.1
"""Seconds between two looks."""
PATIENCE: Final = 60.0
"""Seconds that one step may take on a busy machine."""
AWAY: Final = 1 / 3
"""Share of a token's lifetime for which a user who was logged out stays away."""
LATENCY: Final = {"endpoint": "refresh", "times": None, "delay": 0.25, "when": "after"}
"""A vendor's answer takes its time, on a renewal above all."""
HELD: Final = {"endpoint": "refresh", "times": None, "hold": True, "drop": True}
"""Renewals wait, and are never acted on."""


@attrs.define(eq=False)
class Play:
    """The steps, and what was said of them: ``events``, each with its second since the beginning and a style."""

    linkauth: Linkauth
    by_hand: ByHand
    tasks: int
    http: aiohttp.ClientSession
    events: list[tuple[float, str, str]] = attrs.field(factory=list[tuple[float, str, str]])
    begun: float = attrs.field(factory=time.monotonic)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.linkauth, self.by_hand

    async def run(self, draw: Callable[[Play], None]) -> None:
        """Let it happen; ``draw`` is called at each look. Raises ``Broken`` where something does not come."""
        steps = asyncio.create_task(self._steps())
        users = [asyncio.create_task(self._user(side)) for side in self.sides]
        try:
            running = {steps}
            while running:
                _, running = await asyncio.wait({steps, *users}, timeout=LOOK, return_when=asyncio.FIRST_EXCEPTION)
                running &= {steps}
                for user in users:
                    if user.done():
                        await user  # its fault is the demo's
                await self.look()
                draw(self)
            await steps
        finally:
            for task in (steps, *users):
                task.cancel()
            await asyncio.gather(steps, *users, return_exceptions=True)

    async def look(self) -> None:
        """Hear how both sides stand. Raises ``Broken`` where a worker has ended of itself."""
        for side in self.sides:
            async with self.http.get(f"{side.place.url}/counters") as response:
                side.heard((await response.json())["linkxg"])
            for worker in side.workers:
                worker.check()

    def say(self, words: str, style: str = "") -> None:
        """Something has happened."""
        self.events.append((time.monotonic() - self.begun, words, style))

    async def _steps(self) -> None:
        await self._begin()
        await self._kill()
        await self._empty()

    async def _begin(self) -> None:
        self.begun = time.monotonic()
        for side in self.sides:
            await self._control(side, {"faults": [LATENCY]})
            await side.log_in()
            for worker in side.workers:
                await worker.order({**side.order, "tasks": self.tasks})
        self.say("the user logs in, once on each side")
        await self._renewed(1, "the first renewal")
        self.say("linkauth: one worker has renewed, and all have its token", "green")

    async def _kill(self) -> None:
        before = [await self._control(side, {"clear": True, "faults": [HELD]}) for side in self.sides]
        asked, tokens = before[0].get("refresh_requests", 0), len(self.linkauth.numbers)
        await self._until(lambda: self.linkauth.seen("refresh_requests") > asked, "the renewal that is held")
        since = time.monotonic()
        number = await self._until(lambda: _renewing(self.linkauth, since), "the worker that renews")
        other = _renewing(self.by_hand, since) or number
        await asyncio.gather(self.linkauth.workers[number - 1].kill(), self.by_hand.workers[other - 1].kill())
        self.say("a worker of each side is killed in the middle of a renewal", "bold")
        for side in self.sides:
            await self._control(side, {"clear": True, "faults": [LATENCY]})
        await self._renewed(tokens, "a renewal by another worker")
        self.say("linkauth: another worker has taken over, and renewed", "green")

    async def _empty(self) -> None:
        await self._until(self.linkauth.settled, "a moment at which all workers have the same token")
        tokens = len(self.linkauth.numbers)
        for side in self.sides:
            side.empty()
        self.say("the store of each side is emptied", "bold")
        await self._renewed(tokens, "a renewal after the loss")
        if not await self.linkauth.stored():
            raise Broken("nobody has put the session back into the store")
        self.say("linkauth: the workers have put the session back, and renewed", "green")

    async def _renewed(self, tokens: int, what: str) -> None:
        """Wait until all of linkauth's workers have another token than the first ``tokens`` that they had."""
        await self._until(lambda: len(self.linkauth.numbers) > tokens and self.linkauth.agreed(), what)

    async def _user(self, side: Side) -> None:
        """Log in again whenever a worker finds that only that helps."""
        while True:
            words = await self._until(lambda: [each["error"] for each in side.alive() if each["logged_out"]])
            side.logged_out = True
            self.say(f"{side.title}: the user is logged out ({words[0]})", "bold red")
            await asyncio.sleep(side.lifetime * AWAY)
            await side.log_in()
            await self._until(lambda: not any(each["logged_out"] for each in side.alive()))
            side.logged_out = False
            self.say(f"{side.title}: the user has logged in again")

    async def _control(self, side: Side, orders: Mapping[str, Any]) -> Mapping[str, int]:
        """Give the side's vendor orders (``sandbox.control``); what it has counted until then."""
        async with self.http.post(f"{side.place.url}/_control", json={"linkxg": orders}) as response:
            counts: Mapping[str, int] = (await response.json())["linkxg"]
        return counts

    async def _until(self, seen: Callable[[], T], what: str = "") -> T:
        """Wait for something. Raises ``Broken`` where it does not come; what has no name may stay away."""
        end = time.monotonic() + PATIENCE
        while not (found := seen()):
            if what and time.monotonic() > end:
                raise Broken(f"{what} did not come within {PATIENCE:g} s")
            await asyncio.sleep(LOOK)
        return found


def _renewing(side: Side, since: float) -> int:
    """The number, from 1, of a worker that has said after ``since`` (monotonic) that it is renewing; 0: none."""

    def renews(worker: Member) -> bool:
        told = worker.told
        return bool(told) and not worker.killed and bool(told["renewing"]) and told["now"] > since

    return next((number for number, worker in enumerate(side.workers, 1) if renews(worker)), 0)
