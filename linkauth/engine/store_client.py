"""The store as the engine uses it: every call has a time limit, every answer is a look at the store's clock."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

from linkauth.engine.events import EventKind
from linkauth.engine.flight import called_off
from linkauth.errors import StoreError, StoreUnavailable
from linkauth.protocol import timing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.clock import Clock
    from linkauth.engine.events import EventLog
    from linkauth.engine.outages import Outage
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import TokenStore

__all__ = ["StoreClient"]

log = logging.getLogger("linkauth")


class _Timed(Protocol):
    @property
    def now(self) -> float: ...


A = TypeVar("A", bound=_Timed)
T = TypeVar("T")


class StoreClient:
    """A store with time limits. ``store`` is the store itself, for making the calls that are handed in here."""

    __slots__ = ("_lost", "_on_back", "_outage", "_patience", "_teller", "clock", "store")

    def __init__(
        self,
        store: TokenStore,
        clock: Clock,
        event_log: EventLog,
        timeout: float,
        on_back: Callable[[], None],
        outage: Outage,
    ) -> None:
        """``on_back`` is called when the store answers again, before anybody gets that answer; ``outage``: its."""
        self.store = store
        self.clock = clock
        self._on_back = on_back
        self._teller = event_log
        self._patience = min(timing.STORE_CALL, timeout / 2)
        self._lost = False
        self._outage = outage

    @property
    def away(self) -> bool:
        """Whether the store did not answer the last time that it was asked."""
        return self._lost

    async def ask(self, call: Awaitable[A]) -> tuple[A, StoreTime]:
        """The store's answer, and its clock. Raises ``StoreUnavailable``, or what else the store raises of its own."""
        before = self.clock.glance()
        answer = await self.do(call)
        return answer, self.clock.read(before, answer.now)

    async def do(self, call: Awaitable[T], extra: float = 0.0) -> T:
        """As ``ask``, for calls whose answer has no clock. ``extra``: seconds that the call is meant to take."""
        told: StoreError | None = None
        began = self.clock.monotonic()
        try:
            async with asyncio.timeout(self._patience + extra):
                answer = await _answered(call)
        except StoreUnavailable as error:
            fault = str(error)
        except StoreError as error:
            told, fault = error, ""
        except TimeoutError:
            fault = f"the store did not answer within {self._patience:g} s"
        except Exception as error:  # noqa: BLE001  # a store of somebody else's may raise anything
            # Only the class: the message may hold a URL with a password.
            fault = f"the store raised {type(error).__name__}"
        else:
            if self._lost:
                self._lost = False
                self._on_back()
                self._teller.tell(EventKind.STORE_BACK, "store", "", level=logging.DEBUG)
                asyncio.get_running_loop().call_later(timing.OUTAGE_OVER, self._outage_over)
            elif self._outage:
                self._outage_over()
            self._measure(call, began)
            return answer
        self._measure(call, began, StoreUnavailable if told is None else type(told))
        if told is not None:
            raise told.again()  # without its traceback and context: the store's frames hold the record
        level = logging.DEBUG if self._outage else logging.ERROR
        self._outage.fail()
        if not self._lost:
            self._lost = True
            self._teller.tell(EventKind.STORE_LOST, "store", "", fault, level=level)
        raise StoreUnavailable(fault)

    def _measure(self, call: object, began: float, error: type[StoreError] | None = None) -> None:
        operation = getattr(call, "__name__", "")  # a coroutine's is its function's
        seconds = self.clock.monotonic() - began
        self._teller.probe.asked_store(operation, seconds, "" if error is None else error.__name__)

    def _outage_over(self) -> None:
        if self._outage.is_over():
            log.info("store: works again %s", self._outage.end())

    async def quietly(self, call: Awaitable[object]) -> None:
        """Make a call whose failure harms nobody: what it should have done happens by itself when a lease ends."""
        try:
            await self.do(call)
        except StoreError as error:
            log.debug("left to itself: %s", error)


async def _answered(call: Awaitable[T]) -> T:
    """What ``call`` brings. Whoever cancels all tasks cancels the store's own, too: no reason to give up an answer."""
    try:
        return await call
    except asyncio.CancelledError:
        if called_off():
            raise
    raise StoreUnavailable("a task of the store's was cancelled; call again")
