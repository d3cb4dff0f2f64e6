"""This worker's part in a limit that the vendor states: requests are counted in the store before they are sent.

A worker's first request in a window goes unasked while less than half of the limit is used, so that a renewal now and then
costs the store nothing more; it is counted with those that follow. After that some are reserved at a time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from linkauth.errors import RateLimited
from linkauth.protocol import timing
from linkauth.protocol.limits import free_in, given_back, reserve, used

if TYPE_CHECKING:
    from linkauth.engine.client_limits import ClientLimits
    from linkauth.engine.context import EngineContext
    from linkauth.protocol.limits import LimitRecord, Rate

__all__ = ["StatedRate"]


class StatedRate:
    """So many requests in so many seconds, of one client, in the whole fleet."""

    def __init__(self, context: EngineContext, rate: Rate, limits: ClientLimits) -> None:
        self._context = context
        self._rate = rate
        self._limits = limits
        self._unasked_at = -math.inf
        self._owed = 0
        """Requests that went unasked and are not counted yet."""
        self._reserved = 0
        self._reserved_until = -math.inf

    def free_in(self) -> float:
        """Seconds until another request may begin, as far as is known here."""
        return free_in(self._limits.record, self._rate, self._now())

    def used_up(self) -> bool:
        """Whether no request is left, as far as is known here."""
        return self._used() >= self._rate[0]

    def refusal(self, name: str) -> RateLimited:
        """What whoever asks the vendor of that ``name`` is told when no request is left."""
        count, seconds = self._rate
        message = f"the {count} token requests in {seconds:g} s that {name} allows a client are used; none was sent"
        return RateLimited("", message, status=0, retry_after=self.free_in(), limit=count, remaining=0)

    async def reserve(self, waiting: int) -> bool:
        """Whether a request may be sent now. If not, ``free_in`` says when to ask again. ``waiting``: how many want to beside it."""
        now = self._context.clock.monotonic()
        if self._reserved > 0 and now < self._reserved_until:
            self._reserved -= 1
            return True
        if now - self._unasked_at >= self._rate[1] and self._used() <= self._rate[0] // 2:
            self._unasked_at = now
            self._owed += 1
            return True
        granted, owed = 0, self._owed

        def take(record: LimitRecord) -> LimitRecord:
            nonlocal granted
            changed, granted = reserve(record, self._rate, self._now(), 1 + waiting, owed)
            return changed

        await self._limits.update(take)
        self._owed -= owed
        if granted:
            self._reserved = granted - 1
            self._reserved_until = now + self._rate[1] * timing.RESERVED_SLOTS / timing.RATE_SLOTS
        return granted > 0

    async def give_back(self) -> None:
        """A request that was reserved is not sent: that must not keep others from asking."""
        if self._owed:
            self._owed -= 1
            self._unasked_at = -math.inf
        else:
            await self._limits.update(lambda record: given_back(record, self._rate, self._now()))

    def _used(self) -> int:
        return used(self._limits.record, self._rate, self._now())

    def _now(self) -> float:
        """The store's clock, Unix seconds."""
        return self._context.clock.store_now()
