"""Lets the token requests of one client go: in the order of need, and as many at a time as its vendor bears.

A ``Limiter`` stands before the claim, so that nobody holds a lease while he waits here. Who is first in line passes when

1. the vendor has not refused the client, or the time that it named is over; after that one in the fleet goes first;
2. not too many are in flight: a few at first, one more with each answer, one after a refusal;
3. a request is left of the limit that the vendor states, where it states one.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
from typing import TYPE_CHECKING

from linkauth.engine.client_limits import ClientLimits
from linkauth.engine.replica import Replica
from linkauth.engine.stated_rate import StatedRate
from linkauth.errors import InvalidClient, RateLimited, StoreError, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.keys import limit_key, probe_key
from linkauth.protocol.limits import held_for
from linkauth.store import Busy, Granted

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.errors import LinkAuthError
    from linkauth.vendors.vendor import Vendor

__all__ = ["Limiter", "Permit", "limiter"]


def limiter(context: EngineContext, vendor: Vendor) -> Limiter:
    """The limiter before ``vendor``'s token endpoint for its client, in this event loop."""
    return context.per_loop.get(limit_key(vendor), Limiter, lambda: Limiter(context, vendor))


class Permit:
    """One renewal's leave to ask, from when it was let through until it is released."""

    __slots__ = ("_account", "_limiter", "_probe", "_sent_at", "_slow", "_until", "secret")

    def __init__(self, limiter: Limiter, account: str, secret: str, until: float, probe: int | None) -> None:
        self.secret = secret
        """A digest of the client secret that is sent."""
        self._limiter = limiter
        self._account = account
        self._until = until
        self._probe = probe
        self._sent_at: float | None = None
        # Limits are told at once: who has waited for a while is no sign of one, and holds up nobody. But a vendor that has
        # not taken this secret yet may be slow to say that it is wrong, and the more it hears of it the worse.
        slow = timing.SLOW if limiter.accepted == secret else limiter.timeout
        self._slow = asyncio.get_running_loop().call_later(slow, limiter.answered, self)

    def sent(self) -> None:
        """A request is on its way."""
        self._sent_at = self._limiter.now()

    async def again(self) -> None:
        """Wait until another try may go. Raises as ``Limiter.acquire``."""
        await self._limiter.passed(self.secret, self._until)

    async def refused(self, error: RateLimited | InvalidClient) -> None:
        """The vendor said no to what was sent: to the account, or to the client."""
        await self._limiter.refused(error, self._account, self.secret, self._sent_at or 0.0)

    async def release(self, *, answered: bool) -> None:
        """It is over. ``answered``: the vendor had no quarrel with the client."""
        self._slow.cancel()
        if answered:
            self._limiter.answered(self)
        await self._limiter.left(self, self.secret, self._sent_at, self._probe, answered=answered)


class Limiter:
    """Before one vendor's token endpoint, for one client. Moments are monotonic seconds where nothing else is said."""

    def __init__(self, context: EngineContext, vendor: Vendor) -> None:
        self._context = context
        self._name = vendor.name
        self._limits = ClientLimits(context, vendor)
        self._rate = None if vendor.token_rate is None else StatedRate(context, vendor.token_rate, self._limits)
        self.timeout = context.timeout
        """Seconds for one exchange."""
        self.accepted = ""
        """A digest of the client secret that the vendor took last."""
        self._first_in_fleet = Replica(context, probe_key(vendor), timing.PROBE_LEASE)
        self._window = timing.WINDOW
        self._in_flight: set[Permit] = set()
        self._room = asyncio.Event()
        self._line: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._first: asyncio.Future[None] | None = None
        self._probe: int | None = None
        """The number under which who is first in line goes first in the fleet."""
        self._refused_at = -math.inf
        self._refused = ""
        """The account that met a 429 last: it is that one's matter until another meets one, too."""

    def now(self) -> float:
        """The store's clock, Unix seconds."""
        return self._context.clock.store_now()

    def open(self, secret: str) -> bool:
        """Whether who comes now has nobody to wait for, by what is known here."""
        free = self._first is None and len(self._in_flight) < self._window and not self._limits.stale()
        held = self._limits.record.hold(secret) is not None
        return free and not held and (self._rate is None or not self._rate.free_in())

    async def acquire(self, account: str, secret: str, need: float, seconds: float) -> Permit:
        """Wait for a permit, ``seconds`` at the most; who needs a token sooner (``need``) goes first.

        Raises the vendor's refusal of the client while it goes for ``secret``, and ``RateLimited`` where none is left
        in time: both say in how many seconds it is worth trying again.
        """
        await self._limits.follow()
        until = self._context.clock.monotonic() + seconds
        await self._let_through(need, secret, until)
        probe, self._probe = self._probe, None
        permit = Permit(self, account, secret, until, probe)
        self._in_flight.add(permit)
        return permit

    async def refused(self, error: RateLimited | InvalidClient, account: str, secret: str, sent_at: float) -> None:
        """The vendor refused a request of ``account``'s, sent at ``sent_at`` (Unix seconds) with ``secret``."""
        if isinstance(error, RateLimited):
            now = self._context.clock.monotonic()
            alone = self._refused == account or now - self._refused_at >= timing.CALM
            self._refused, self._refused_at = account, now
            if alone:
                return
            self._window = 1
        await self._limits.update(lambda record: record.refused(error, secret, sent_at, self.now()))

    def answered(self, permit: Permit) -> None:
        """The vendor has nothing against one request more at a time."""
        if permit in self._in_flight:
            self._in_flight.discard(permit)
            if self._context.clock.monotonic() - self._refused_at >= timing.CALM:
                self._window += 1
            self._room.set()

    async def left(
        self, permit: Permit, secret: str, sent_at: float | None, probe: int | None, *, answered: bool
    ) -> None:
        """A permit is released; what was sent with it, if anything, was sent at ``sent_at`` (Unix seconds)."""
        self._in_flight.discard(permit)
        self._room.set()
        if sent_at is None and self._rate is not None:
            await self._rate.give_back()
        if answered and sent_at is not None:
            self.accepted = secret
            await self._limits.update(lambda record: record.answered(secret, sent_at))
        if probe is not None:
            await self._first_in_fleet.release(probe)

    # -- in line -----------------------------------------------------------------------------------------------------

    async def _let_through(self, need: float, secret: str, until: float) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (need, next(self._numbers), mine))
        self._call_next()
        try:
            with self._context.flights.idle():
                await asyncio.wait({mine}, timeout=self._left(until))
            if not mine.done():
                raise self._kept_waiting(secret)
            self._probe = None  # who went first and got no permit is not the one any more
            await self.passed(secret, until, first=True)
        finally:
            mine.cancel()
            if self._first is mine:
                self._first = None
            self._call_next()

    def _call_next(self) -> None:
        while self._first is None and self._line:
            following = heapq.heappop(self._line)[2]
            if not following.done():
                following.set_result(None)
                self._first = following

    async def passed(self, secret: str, until: float, *, first: bool = False) -> None:
        """Return when a request may go, ``first``: the first of a permit. Raises as ``acquire``."""
        while True:
            await self._limits.look()
            hold = self._limits.record.hold(secret)
            if hold is not None and (left := held_for(hold, self.now())):
                self._window = 1
                if self._limits.record.rate.failures:
                    self._refused_at = self._context.clock.monotonic()
                if left >= self._left(until):
                    raise hold.failure(left)
                await self._pause(left)
            elif first and len(self._in_flight) >= self._window:
                self._room.clear()
                await self._pause(self._left(until), self._room)
                if len(self._in_flight) >= self._window and not self._left(until):
                    raise self._kept_waiting(secret)
            elif first and hold is not None and self._probe is None and not await self._goes_first(until):
                if not self._left(until):
                    raise hold.failure(timing.PROBE_LEASE)
            elif self._rate is None or await self._reserve(self._rate, until):
                return

    def _kept_waiting(self, secret: str) -> LinkAuthError:
        """Why no permit came in time."""
        hold = self._limits.record.hold(secret)
        if hold is not None:
            return hold.failure(max(held_for(hold, self.now()), timing.PROBE_LEASE))
        if self._rate is not None and self._rate.used_up():
            return self._rate.refusal(self._name)
        return VendorUnavailable(f"{self._name}: too many token requests of this client are waiting", retry_after=1.0)

    # -- one in the fleet ----------------------------------------------------------------------------------------------

    async def _goes_first(self, until: float) -> bool:
        """Whether it is this worker that goes first after a refusal; else it has waited for the one who does."""
        try:
            found, _ = await self._first_in_fleet.claim()
            if isinstance(found, Busy):  # and look again: after his answer nobody may be held back any more
                await self._first_in_fleet.wait(min(found.remaining, self._left(until)), 0, found)
                self._limits.announced(self._limits.version + 1)
                return False
        except StoreError:
            return True
        self._probe = found.number if isinstance(found, Granted) else None
        return True

    async def _reserve(self, rate: StatedRate, until: float) -> bool:
        """Whether a request of the vendor's limit is reserved; else it has waited until one may be."""
        if await rate.reserve(len(self._line)):
            return True
        left = rate.free_in()
        if left >= self._left(until):
            raise rate.refusal(self._name)
        await self._pause(left)
        return False

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _left(self, until: float) -> float:
        return max(until - self._context.clock.monotonic(), 0.0)

    async def _pause(self, seconds: float, event: asyncio.Event | None = None) -> None:
        """Nothing is sent yet: closing may call it off."""
        with self._context.flights.idle():
            if event is None:
                await asyncio.sleep(seconds)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
