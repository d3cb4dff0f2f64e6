"""Tells in time that sessions end by the calendar: each once in a worker, at a renewal or in a round of keep-alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.engine.events import EventKind
from linkauth.protocol.session_end import ends_soon

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.protocol.records import TokenRecord

__all__ = ["SessionEnds"]

HOUR = 3600.0


class SessionEnds:
    """Remembers, by the record's key, of which ends it was told; what is over is forgotten."""

    def __init__(self, context: EngineContext) -> None:
        self._event_log = context.event_log
        self._told: dict[str, float] = {}

    def look(self, key: str, record: TokenRecord, now: float) -> None:
        """Tell of the end of the session in ``record``, if it is time to ask its user. ``now``: the store's clock."""
        ends = record.token.session_expires_at
        if ends is None or not ends_soon(record, now) or self._told.get(key) == ends:
            return
        self._told = {each: end for each, end in self._told.items() if end > now} | {key: ends}
        words = f"in {(ends - now) / HOUR:.0f} h, whatever is renewed: the user has to consent again before"
        self._event_log.tell(EventKind.SESSION_ENDING, record.vendor, record.account, words)
