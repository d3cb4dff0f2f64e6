"""A conversation with a vendor: one time limit over all its tries, and after each try the question what it did."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import attrs

from linkauth.errors import MalformedResponse, NoAnswer, NotSent, RateLimited, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.effects import LeaseLost
from linkauth.protocol.timing import backoff, replayable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.lease import Lease
    from linkauth.engine.limiter import Permit
    from linkauth.engine.world import World
    from linkauth.oauth.exchange import Flow, Request, Response
    from linkauth.protocol import effects
    from linkauth.protocol.freshness import StoreTime
    from linkauth.vendors.vendor import RotationProfile

__all__ = ["Exchange", "drive"]

T = TypeVar("T")

Tried: TypeAlias = "Callable[[Request, int, float, int | None, str], None]"
"""``(request, attempt, seconds, status, error)``: one request is over. As a ``probe.Try`` has them."""


async def drive(flow: Flow[T], send: Callable[[Request], Awaitable[Response]]) -> T:
    """Carry a flow's requests to ``send`` and the answers back, each with what it answers. Raises what either raises."""
    try:
        request = next(flow)
        while True:
            request = flow.send(attrs.evolve(await send(request), request=request))
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        flow.close()


class Exchange(Generic[T]):
    """One exchange, as the steps have ``wanted`` it. Its tries begin within ``limit`` seconds.

    They end then, too, but ``wanted.answer`` seconds are waited for at least. ``begin`` is asked for the flow before each try.
    ``permit``: the one to ask with. ``tried``: is told of each request. What is sent may be good for one use
    (``wanted.single_use``): a try that may have been acted on is not repeated then, except within the vendor's replay window.
    ``in_doubt`` tells afterwards whether some try may have been.
    """

    __slots__ = (
        "_begin",
        "_deadline",
        "_first_sent",
        "_idempotent",
        "_lease",
        "_least",
        "_longest",
        "_permit",
        "_replayable",
        "_single_use",
        "_time",
        "_tried",
        "_tries",
        "_world",
        "in_doubt",
    )

    def __init__(
        self,
        world: World,
        time: StoreTime,
        wanted: effects.Exchange,
        begin: Callable[[], Awaitable[Flow[T]]],
        *,
        limit: float,
        lease: Lease | None = None,
        profile: RotationProfile,
        tried: Tried,
        permit: Permit | None = None,
    ) -> None:
        self._world = world
        self._time = time
        self._begin = begin
        self._deadline = world.monotonic() + limit
        self._longest = wanted.answer
        self._least = limit * (timing.LEAST_SINGLE_USE if wanted.single_use else timing.LEAST)
        self._lease = lease
        self._replayable = replayable(profile.replay_window, limit)
        self._single_use = wanted.single_use
        self._idempotent = wanted.idempotent
        self._first_sent = math.inf
        self._permit = permit
        self._tried = tried
        self._tries = 0
        self.in_doubt = False

    async def run(self) -> T:
        """The flow's result. Raises its refusals, ``MalformedResponse``, ``VendorUnavailable`` or ``LeaseLost``."""
        while True:
            try:
                return await self._heard()
            except MalformedResponse:
                self.in_doubt = self.in_doubt or self._single_use
                raise
            except (VendorUnavailable, RateLimited) as error:
                wait = self._wait(error, self._tries)
                if wait is None or self._world.monotonic() + wait + self._least >= self._deadline:
                    raise
                failure = error.again()
            # Outside the handler, so that what is slept through holds no exception with its frames.
            await asyncio.sleep(wait)
            if self._permit is not None:
                await self._permit.again()
            if self._is_late():  # on a busy machine a pause takes longer: then what was heard is told
                raise failure
            self._tries += 1

    def _wait(self, error: VendorUnavailable | RateLimited, tries: int) -> float | None:
        """Seconds until the next try, None where there must not be one."""
        if isinstance(error, NoAnswer) and self._single_use:
            self.in_doubt = True
            # At once, as the window may be short; then as a vendor that fails deserves.
            wait = 0.0 if tries == 0 else backoff(tries - 1, timing.TRY_FIRST, self._world.random.random())
        else:
            # What the vendor says may make the gap longer, never shorter: "Retry-After: 0" is no leave to hammer it.
            wait = max(error.retry_after or 0.0, backoff(tries, timing.TRY_FIRST, self._world.random.random()))
        return None if self._spent(wait) else wait

    def _is_late(self) -> bool:
        """Whether what is sent now would not be answered in time."""
        return self._world.monotonic() + self._least > self._deadline

    def _spent(self, wait: float = 0.0) -> bool:
        """Whether what is sent in ``wait`` seconds may be taken for a second use: beyond the vendor's replay window."""
        return self.in_doubt and self._world.monotonic() + wait >= self._first_sent + self._replayable

    async def _heard(self) -> T:
        """One try; a limit that it met is told to all who ask for the same client."""
        try:
            return await self._once()
        except RateLimited as error:
            refusal = error
        if self._permit is not None:
            await self._permit.refused(refusal)
        raise refusal

    async def _once(self) -> T:
        flow = await self._begin()
        # That, or the pause before it, may have lasted: the process was stopped.
        if self._spent() or self._is_late():
            raise NotSent("the time for one exchange is nearly over")
        return await drive(flow, self._send)

    async def _send(self, request: Request) -> Response:
        if self._lease is not None and not await self._lease.held():
            raise LeaseLost
        now = self._world.monotonic()
        if now >= self._deadline:
            raise NotSent("the time for one exchange is over")
        self._first_sent = min(self._first_sent, now)
        if self._lease is not None:
            self._lease.sent()
        if self._permit is not None:
            self._permit.sent()
        response = await self._ask(request, now)
        return attrs.evolve(response, sent_at=self._time.unix(now))

    async def _ask(self, request: Request, now: float) -> Response:
        """The vendor's answer to what is sent ``now`` (monotonic), and a word of how long that took."""
        status, error = None, ""
        try:
            sent = attrs.evolve(request, idempotent=True) if self._idempotent else request
            response = await self._world.send(sent, max(self._deadline - now, self._longest))
            status = response.status
        except BaseException as fault:
            error = type(fault).__name__
            raise
        finally:
            self._tried(request, self._tries + 1, self._world.monotonic() - now, status, error)
        return response
