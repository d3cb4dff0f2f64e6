"""What the engine tells whoever listens: each renewal, each failure, each loss. Never a secret."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from inspect import isawaitable
from typing import Any, Final, TypeAlias, cast

import attrs

from linkauth.engine.flight import Flights
from linkauth.engine.probe import Probe
from linkauth.errors import ConfigurationError
from linkauth.oauth.shown import Shown

__all__ = ["Event", "EventKind", "EventLog", "Listener"]

log = logging.getLogger("linkauth")

LISTENS: Final = 30.0
"""Seconds that a listener's coroutine has for one event."""


class EventKind(Enum):
    """What happened."""

    CONNECTED = "connected"
    """A user has logged in, consented or paired, or a session that was made elsewhere was brought in."""
    RENEWED = "renewed"
    """This worker has fetched a token; ``duration``: of the exchange with the vendor."""
    FAILED = "failed"
    """A renewal failed; it will be tried again."""
    ADOPTED = "adopted"
    """Another worker's token was taken from the store."""
    RETRIED = "retried"
    """The vendor was asked once more, for it had not answered, or could not: ``attempt``, ``host``, ``status``."""
    WAITED = "waited"
    """Several callers waited for one renewal: ``callers``; ``duration``: of the longest wait."""
    REFUSED = "token refused"
    """The vendor's API refused the token (a 401, as a rule)."""
    IN_DOUBT = "in doubt"
    """A worker set out to renew and nobody knows how that ended."""
    SUPERSEDED = "superseded"
    """What this worker brought came too late: another has written since."""
    REAUTHORIZATION_REQUIRED = "reauthorization required"
    """Only the user can help."""
    SCOPE_REDUCED = "less granted than asked for"
    """The vendor granted a smaller scope than the vendor object asks for; told once."""
    SESSION_ENDING = "session ends soon"
    """The user has to consent again within a week, whatever is renewed."""
    LOGGED_OUT = "logged out"
    """A user has logged out here; ``outcome``: what that leaves open at the vendor."""
    SECRET_ROTATED = "secret rotated"  # a name, not a secret
    """The client's secret was replaced, and the store has the new one."""
    UNREADABLE = "record unreadable"
    """A token is fetched for this process alone, for what the store has cannot be read here."""
    STORE_LOST = "store lost"
    """The store does not answer."""
    STORE_BACK = "store back"
    """It answers again."""
    REPAIRED = "record repaired"
    """The store had lost a record that this worker holds; it is put back."""


_LEVELS = {
    EventKind.RENEWED: logging.DEBUG,
    EventKind.ADOPTED: logging.DEBUG,
    EventKind.RETRIED: logging.DEBUG,
    EventKind.WAITED: logging.DEBUG,
    EventKind.REFUSED: logging.DEBUG,
    EventKind.CONNECTED: logging.INFO,
    EventKind.STORE_BACK: logging.INFO,
    EventKind.LOGGED_OUT: logging.INFO,
    EventKind.SECRET_ROTATED: logging.INFO,
    EventKind.SUPERSEDED: logging.INFO,
    EventKind.REAUTHORIZATION_REQUIRED: logging.ERROR,
    EventKind.STORE_LOST: logging.ERROR,
}


@attrs.frozen(kw_only=True)
class Event(metaclass=Shown):
    """One thing that happened to one credential. Of the store's own, ``vendor`` is ``"store"`` and ``account`` is empty."""

    kind: EventKind
    """What happened."""
    vendor: str
    """The vendor's name; of the store's own events ``"store"``."""
    account: str
    """The account at the vendor; empty: the store's own, or a credential that was made without an account."""
    at: float
    """Unix seconds by this host's clock."""
    duration: float = 0.0
    """Seconds that it took, where it took any."""
    outcome: str = ""
    """In words; for a failure the error's message."""
    error: str = ""
    """The class of the error, for a failure: ``"VendorUnavailable"``."""
    host: str = ""
    """Of the vendor, where it was asked."""
    status: int | None = None
    """Of the vendor's answer; None: it was not asked, or did not answer."""
    attempt: int = 0
    """From 1 up: of one exchange."""
    callers: int = 0
    """How many waited."""


Listener: TypeAlias = Callable[[Event], Awaitable[object] | None]
"""Called in the event loop, so it must not block; what it returns is awaited, if it can be, beside the work that goes on.

So a coroutine function may still be at one event when the next one comes. Closing the engine waits for it, up to 30 s.
What a listener raises is logged and goes no further.
"""


class EventLog:
    """Logs every event and hands it to the listeners. ``probe``: measures what is no event."""

    __slots__ = ("_flights", "_listeners", "_wall", "probe")

    def __init__(
        self,
        listeners: Listener | Sequence[Listener] | None,
        wall: Callable[[], float],
        flights: Flights | None = None,
    ) -> None:
        """``flights``: those with which whoever closes waits for what listeners are at. Raises ``ConfigurationError``."""
        self._listeners = _several(listeners)
        self._wall = wall
        self._flights = Flights() if flights is None else flights
        self.probe = Probe()

    def listen(self, listener: Listener) -> None:
        """Tell ``listener``, too, from now on."""
        self._listeners = (*self._listeners, listener)

    def tell(
        self,
        kind: EventKind,
        vendor: str,
        account: str,
        outcome: str = "",
        duration: float = 0.0,
        *,
        level: int | None = None,
        **more: Any,
    ) -> None:
        """Tell of one event. ``level``: the log's, None for that of its kind; ``more``: what else an ``Event`` has."""
        whose = f"{vendor}/{account}" if account else vendor
        level = _LEVELS.get(kind, logging.WARNING) if level is None else level
        log.log(level, "%s: %s%s", whose, kind.value, outcome and f": {outcome}")
        if not self._listeners:
            return
        at = self._wall()
        event = Event(kind=kind, vendor=vendor, account=account, at=at, duration=duration, outcome=outcome, **more)
        for listener in self._listeners:
            self._hand_over(event, listener)

    def _hand_over(self, event: Event, listener: Listener) -> None:
        try:
            going_on = listener(event)
        except Exception:  # a listener's fault is not the renewal's
            log.exception("the event listener failed at %s", event.kind.value)
            return
        if isawaitable(going_on):
            self._flights.start(_to_its_end(event, going_on), "linkauth event listener")


async def _to_its_end(event: Event, going_on: Awaitable[object]) -> None:
    try:
        async with asyncio.timeout(LISTENS):
            await going_on
    except Exception:  # nobody awaits this task, who could be told of it
        log.exception("the event listener failed at %s", event.kind.value)


def _several(listeners: Listener | Sequence[Listener] | None) -> tuple[Listener, ...]:
    if listeners is None:
        return ()
    if callable(listeners):
        return (listeners,)
    found = cast("tuple[object, ...]", tuple(listeners) if isinstance(cast("object", listeners), Sequence) else ())
    if not found or not all(map(callable, found)):
        raise ConfigurationError("on_event: a function that takes an Event is needed, or several in a list")
    return tuple(listeners)
