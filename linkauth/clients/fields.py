"""How the fields of an answer are read that are more than words, numbers and objects.

Importing this module teaches ``linkauth.oauth.wire`` to read ``datetime``, ``date`` and ``str | float``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import attrs

from linkauth.oauth import wire

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["extra"]


def extra() -> Any:
    """A field for the members that the vendor's page does not name: out of the way of ``repr`` and ``hash``."""
    return attrs.field(factory=dict[str, Any], repr=False, hash=False)


def _iso(read: Callable[[str], date], what: str) -> Callable[[object], date]:
    def hook(value: object) -> date:
        if not isinstance(value, str):
            raise TypeError(f"expected {what}, got {type(value).__name__}")
        try:
            return read(value)
        except ValueError:  # its words quote the value
            pass
        raise ValueError(f"expected {what}")

    return hook


def _utc(value: str) -> datetime:
    when = datetime.fromisoformat(value)
    return when if when.tzinfo else when.replace(tzinfo=UTC)  # the vendors write UTC


def _words_or_number(value: object) -> str | float:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected str or a number, got {type(value).__name__}")
    return value


wire.teach(datetime, _iso(_utc, "an ISO 8601 time"))
wire.teach(date, _iso(date.fromisoformat, "an ISO 8601 date"))
wire.teach(str | float, _words_or_number)
