"""Times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from linkauth.oauth.grants import LONGEST_LIFETIME

__all__ = ["UNREAD", "left", "length", "moment", "rate"]

UNREAD: Final = "`linkauth status` names them; their key belongs into $LINKAUTH_KEYS, and `linkauth forget --key` takes out what is spoilt"
"""What to do about records that cannot be read."""
UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60))


def left(seconds: float) -> str:
    """For how long something is good."""
    if seconds > LONGEST_LIFETIME:
        return "without end"
    return f"for {length(seconds)}" if seconds > 0 else "expired"


def length(seconds: float) -> str:
    """A length of time."""
    for unit, size in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def moment(unix: float) -> str:
    """A moment, Unix seconds."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def rate(per_second: float) -> str:
    """How fast something goes."""
    return f"{per_second:,.0f}/s" if per_second >= 1 else f"{per_second * 60:.0f}/min"
