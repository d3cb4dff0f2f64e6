"""Moments as answers write them: HTTP's dates (RFC 9110 §5.6.7) and ISO 8601's (RFC 3339)."""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz  # no clock: they take a text and give a number
from typing import Final

__all__ = ["http_date", "iso_date"]

LONGEST: Final = 64
"""Characters of a date; the longest form has 33."""

_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)? ?(?:[Zz]|UTC|GMT|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)


def http_date(text: str) -> float | None:
    """Unix seconds of a date as HTTP writes it, in any of its three forms; None where it is none."""
    if len(text) > LONGEST:
        return None
    try:
        parts = parsedate_tz(text)
        return None if parts is None else float(mktime_tz(parts))
    except (ValueError, OverflowError, IndexError):  # the 31st of February, the year 0
        return None


def iso_date(text: str) -> float | None:
    """Unix seconds of a date and time as RFC 3339 §5.6 writes them, or nearly (Ruby's ``UTC``, PostgreSQL's ``+00``, no seconds).

    UTC where no zone is said; None where it is none.
    """
    found = _ISO.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if day > 31 or hour > 23 or minute > 59 or second > 60:
        return None
    sign, hours, minutes = found.groups()[6:]
    east = 0 if sign is None else int(f"{sign}1") * (int(hours) * 3600 + int(minutes or 0) * 60)
    try:
        return float(mktime_tz((year, month, day, hour, minute, second, 0, 1, -1, east)))
    except (ValueError, OverflowError):  # the 13th month, the year 0
        return None
