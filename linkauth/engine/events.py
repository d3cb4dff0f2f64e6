"""What the engine tells whoever listens: each renewal, each failure, each loss. Never a secret."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

import attrs

__all__ = ["Event", "EventKind", "EventLog", "Listener"]

log = logging.getLogger("linkauth")


class EventKind(Enum):
    """What happened."""

    RENEWED = "renewed"
    FAILED = "failed"
    ADOPTED = "adopted"
    IN_DOUBT = "in doubt"
    SUPERSEDED = "superseded"
    REAUTHORIZATION_REQUIRED = "reauthorization required"
    SCOPE_REDUCED = "less granted than asked for"
    SESSION_ENDING = "session ends soon"
    LOGGED_OUT = "logged out"
    SECRET_ROTATED = "secret rotated"  # a name, not a secret
    UNREADABLE = "record unreadable"
    STORE_LOST = "store lost"
    STORE_BACK = "store back"


_LEVELS = {
    EventKind.RENEWED: logging.DEBUG,
    EventKind.ADOPTED: logging.DEBUG,
    EventKind.STORE_BACK: logging.INFO,
    EventKind.LOGGED_OUT: logging.INFO,
    EventKind.SECRET_ROTATED: logging.INFO,
    EventKind.SUPERSEDED: logging.INFO,
    EventKind.REAUTHORIZATION_REQUIRED: logging.ERROR,
    EventKind.STORE_LOST: logging.ERROR,
}


@attrs.frozen(kw_only=True)
class Event:
    """One thing that happened to one credential. Of the store's own, ``vendor`` is ``"store"`` and ``account`` is empty."""

    kind: EventKind
    vendor: str
    account: str
    at: float
    """Unix seconds by this host's clock."""
    duration: float = 0.0
    """Seconds that it took, where it took any."""
    outcome: str = ""
    """In words; for a failure the error's message."""


Listener: TypeAlias = Callable[[Event], None]
"""Called in the event loop, so it must not block. What it raises is logged and goes no further."""


class EventLog:
    """Logs every event and hands it to the listener."""

    __slots__ = ("_listener", "_wall")

    def __init__(self, listener: Listener | None, wall: Callable[[], float]) -> None:
        self._listener = listener
        self._wall = wall

    def tell(
        self,
        kind: EventKind,
        vendor: str,
        account: str,
        outcome: str = "",
        duration: float = 0.0,
        *,
        level: int | None = None,
    ) -> None:
        """Tell of one event. ``level``: the log's, None for that of its kind."""
        whose = f"{vendor}/{account}" if account else vendor
        level = _LEVELS.get(kind, logging.WARNING) if level is None else level
        log.log(level, "%s: %s%s", whose, kind.value, outcome and f": {outcome}")
        if self._listener is None:
            return
        event = Event(kind=kind, vendor=vendor, account=account, at=self._wall(), duration=duration, outcome=outcome)
        try:
            self._listener(event)
        except Exception:  # a listener's fault is not the renewal's
            log.exception("the event listener failed at %s", kind.value)
