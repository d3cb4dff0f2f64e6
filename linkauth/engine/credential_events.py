"""What is told of one credential: events, for whoever listens and for the log, and outages that begin and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkauth.engine.events import EventKind
from linkauth.errors import ReauthorizationRequired
from linkauth.oauth.scope import not_granted

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.engine.flight import Flight
    from linkauth.errors import CorruptRecord, LinkAuthError
    from linkauth.oauth.token import Token
    from linkauth.vendors.vendor import Vendor

__all__ = ["CredentialEvents"]


class CredentialEvents:
    """Of ``account``'s credential at ``vendor``."""

    __slots__ = ("_account", "_context", "_not_granted", "_unread", "_vendor")

    def __init__(self, context: EngineContext, vendor: Vendor, account: str) -> None:
        self._context = context
        self._vendor = vendor
        self._account = account
        self._not_granted: list[str] | None = None
        self._unread = False
        """The record cannot be read, and that was said."""

    def tell(
        self, kind: EventKind, outcome: str = "", duration: float = 0.0, *, level: int | None = None, **more: Any
    ) -> None:
        """Tell of an event. ``duration``: seconds; ``level``: the log's, None for that of its kind; ``more``: as ``EventLog.tell``."""
        if kind in {EventKind.RENEWED, EventKind.ADOPTED}:
            self._context.outages.succeeded(self._vendor, self._account)
        self._context.event_log.tell(kind, self._vendor.name, self._account, outcome, duration, level=level, **more)

    def failed(self, error: LinkAuthError) -> None:
        """A renewal failed. What sends for the user was told when that was found out."""
        if not isinstance(error, ReauthorizationRequired):
            level = self._context.outages.failed(self._vendor, self._account, error)
            self.tell(EventKind.FAILED, str(error), level=level, error=type(error).__name__)

    def landed(self, flight: Flight[Token]) -> None:
        """A renewal has ended, and with it the waiting of all its callers."""
        now, callers = flight.loop.time(), flight.callers
        self._context.event_log.probe.landed(self._vendor.name, now - flight.began, callers, flight.error())
        if callers > 1:
            self.tell(EventKind.WAITED, f"{callers} callers", now - flight.waited_since, callers=callers)

    def check_scope(self, token: Token, asked: str) -> None:
        """Tell where ``token`` has less than the scope that was ``asked`` for: once, until that changes."""
        missing = not_granted(asked, token)
        if missing and missing != self._not_granted:
            self.tell(EventKind.SCOPE_REDUCED, f"without {' '.join(missing)}")
        self._not_granted = missing or None

    def unreadable(self, error: CorruptRecord) -> None:
        """Say, once, that the record cannot be read here, and that tokens are fetched for this process alone."""
        if not self._unread:
            self._unread = True
            self.tell(EventKind.UNREADABLE, f"a token is fetched for this process alone: {error}")

    def readable(self) -> None:
        """It can be read: should it not be once more, that is said anew."""
        self._unread = False
