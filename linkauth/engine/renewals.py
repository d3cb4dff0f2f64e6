"""The renewals of one credential in this process: one flight for each event loop, and everybody waits for that.

How long a caller waits, and how long nothing is tried again after a failure, is told here; what a renewal does, in ``protocol``.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, TypeVar

from linkauth.engine.runtime import Runtime
from linkauth.errors import LinkAuthError, RateLimited, ReauthorizationRequired, StoreUnavailable, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.patience import InDoubt
from linkauth.protocol.renewal import renew
from linkauth.protocol.timing import backoff

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AbstractContextManager

    from linkauth.engine.flight import Flight
    from linkauth.engine.probe import Probe
    from linkauth.engine.token_replica import TokenReplica
    from linkauth.oauth.token import Token
    from linkauth.protocol.state import CredentialState

__all__ = ["Renewals"]

T = TypeVar("T")


class Renewals:
    """Those of the credential of ``replica``."""

    __slots__ = ("_context", "_looks", "_monotonic", "flights", "replica")

    def __init__(self, replica: TokenReplica) -> None:
        self.replica = replica
        self._context = replica.context
        self._monotonic = replica.context.clock.monotonic
        # Between loops the lease decides, as between processes.
        self.flights: tuple[Flight[Token], ...] = ()
        """The renewal of each event loop, while it is in the air: with it its token is let go of."""
        self._looks: tuple[Flight[None], ...] = ()

    @property
    def _state(self) -> CredentialState:
        return self.replica.state

    async def judge(self) -> Token:
        """A token that is valid now: what is held, renewed behind or waited for as its windows say."""
        if self.replica.jumped():
            await self.look()
        state = self._state  # one value: another thread's loop may bring a token at any moment
        known, token = state.version, state.token
        match state.judge(self._monotonic()):
            case Verdict.SERVE if token is not None:
                return token
            case Verdict.SERVE_AND_RENEW if token is not None:
                self._renew_behind(state)
                return token
            case _:  # wait
                pass
        try:
            return await self.renewed(known)
        except LinkAuthError:
            # What is past its margin is good until it expires, when nothing better is to be had.
            if self.replica.unexpired():
                return self.replica.current()
            raise

    def _renew_behind(self, state: CredentialState) -> None:
        """Take off, unless that is done or not to be done yet; until something is learned of it, the token is handed out."""
        if self._context.flights.closing:
            return
        until = state.windows.hard
        if self._in_the_air() is None:
            if self._monotonic() >= state.retry_at:
                self._take_off(state.version)
            else:
                until = min(until, state.retry_at)
        self.replica.hand_out(state, until)

    async def refresh(self) -> Token:
        """A token that was sent for after this call, or was in the air then. Raises the last failure while nothing is to be tried."""
        called, known = self._monotonic(), self._state.version
        while (flight := self._in_the_air()) is not None:
            token = await self._join(flight, called)
            if self._state.new_until >= called:
                return token
            # It only adopted what another worker had brought before.
        self._distance()
        return await self._join(self._take_off(known, called), called)

    def renewed(self, known: int) -> Coroutine[Any, Any, Token]:
        """A token of another version than ``known``: of the flight in the air, or of a new one."""
        flight = self._in_the_air()
        if flight is None:
            self._distance()
            flight = self._take_off(known)
        return self._join(flight)

    async def look(self) -> None:
        """One look at the store for all who wonder: after a suspend ten thousand tasks wake at once."""
        if self._context.flights.closing:
            self.replica.believe_wall()
            return
        flight = _here(self._looks)
        if flight is None:
            name = f"linkauth look {self.replica.vendor.name}/{self.replica.account}"
            flight = self._context.flights.start(self.replica.look(), name)
            with self._context.learning:
                self._looks = (*self._looks, flight)
            flight.task.add_done_callback(self._let_go)
        await flight.join()

    def _in_the_air(self) -> Flight[Token] | None:
        return _here(self.flights)

    async def _join(self, flight: Flight[Token], called: float | None = None) -> Token:
        """What ``flight`` brings to who called just now, or at the moment ``called`` (monotonic)."""
        patience = self._context.timeout + timing.CALLER_MORE
        if called is not None:
            patience -= self._monotonic() - called
        if self.replica.unexpired():  # and the vendor is slow: one caller's patience is enough for all
            patience -= flight.loop.time() - flight.began
        began = flight.loop.time()
        flight.waited_since = flight.waited_since if flight.callers else began
        flight.callers += 1
        try:
            return await flight.join(max(patience, 0.0), self._late)
        finally:
            self._probe().waited(self.replica.vendor.name, flight.loop.time() - began)

    def _late(self) -> VendorUnavailable:
        message = f"{self.replica.vendor.name}: no token within {self._context.timeout:g} s"
        left = self.replica.busy_until - self._monotonic()
        if left <= 0:
            return VendorUnavailable(message)
        # It is no fault of the vendor's, and nobody can hurry it: who died or stalls with a request in the air may come back.
        message += (
            f": another worker holds the lease and has brought none; it ends in {left:.1f} s, unless he extends it"
        )
        return VendorUnavailable(message, retry_after=left)

    def _take_off(self, known: int, called: float = -math.inf) -> Flight[Token]:
        self.replica.credential.ready()
        name = f"linkauth renewal {self.replica.vendor.name}/{self.replica.account}"
        irreplaceable = self.replica.vendor.rotation.rotates
        around = self._probe().flight(self.replica.vendor.name, self.replica.account)
        flight = self._context.flights.start(self._fly(known, called, around), name, irreplaceable=irreplaceable)
        with self._context.learning:
            self.flights = (*self.flights, flight)
        flight.task.add_done_callback(self._let_go)
        flight.task.add_done_callback(lambda _: self.replica.events.landed(flight))
        return flight

    def _let_go(self, _: object) -> None:
        with self._context.learning:
            self.flights = tuple(flight for flight in self.flights if not flight.landed)
            self._looks = tuple(look for look in self._looks if not look.landed)

    def _probe(self) -> Probe:
        return self._context.event_log.probe

    async def _fly(self, known: int, called: float, around: AbstractContextManager[None]) -> Token:
        try:
            with around:
                return await self._renew(known, called)
        except InDoubt as doubt:
            # An error of the engine's own: others know that the vendor could not be asked.
            gap = self._gap(doubt)
            failure = VendorUnavailable(str(doubt), retry_after=gap)
            self.replica.failed(failure, gap)
        except LinkAuthError as error:
            self.replica.failed(error, self._gap(error))
            raise
        except Exception as error:  # a fault in a vendor's flow, say: it is raised, and not tried again at once
            self.replica.failed(
                VendorUnavailable(f"the renewal failed: {type(error).__name__}, raised by the vendor's class"),
                timing.RENEW_FIRST,
            )
            raise
        raise failure

    async def _renew(self, known: int, called: float) -> Token:
        token = await Runtime(self.replica).run(renew, known, called)
        lives = token.expires_at - token.issued_at
        if token == self._state.token and not self.replica.unexpired() and not 0 <= lives < timing.LEAST_GAP:
            # It came, but this process was stopped for so long that it is over already; or it came with nothing to serve.
            return await Runtime(self.replica).run(renew, self._state.version)
        return token

    def _distance(self) -> None:
        """Raise the last failure as long as nothing is to be tried again."""
        left = self._state.retry_at - self._monotonic()
        failure = self._state.failure
        if failure is not None and left > 0:
            error = failure.again()
            if isinstance(error, RateLimited | VendorUnavailable):
                error.retry_after = left
            raise error

    def _gap(self, error: LinkAuthError) -> float:
        """Seconds for which nothing is tried again after ``error``."""
        match error:
            case InDoubt():
                # As long as the token is valid, and no longer: then it is tried after all.
                return max(min(timing.DOUBT_AGAIN, self._state.windows.hard - self._monotonic()), 0.0)
            case ReauthorizationRequired() if self.replica.unexpired():
                pass  # there is no way to renew what is still good
            case ReauthorizationRequired() | StoreUnavailable():
                return timing.FAILED_AGAIN
            case _:
                pass
        gap = backoff(self._state.failures, timing.RENEW_FIRST, self._context.world.random.random())
        agreed = getattr(error, "retry_after", None)
        return gap if agreed is None else min(max(float(agreed), timing.FAILED_AGAIN), timing.LONGEST_ORDER)


def _here(flights: tuple[Flight[T], ...]) -> Flight[T] | None:
    """That of the running loop, while it is in the air."""
    loop = asyncio.get_running_loop()
    for flight in flights:
        if flight.loop is loop and not flight.landed:
            return flight
    return None
