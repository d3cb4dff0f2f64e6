"""What an answer's headers say of rate limits: how long to wait, what is left, and when it begins anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypedDict

from linkauth.oauth.moments import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Limits", "rate_limit", "retry_after"]

_COUNT: Final = re.compile(r"[0-9]{1,9}")

_MOMENT: Final = re.compile(r"[1-9][0-9]{9}")
"""Unix seconds between 2001 and 2286. Others who send the header count seconds from now, or milliseconds."""


class Limits(TypedDict):
    """What ``RateLimited`` tells of a limit, by its names."""

    limit: int | None
    remaining: int | None
    reset_at: float | None


def rate_limit(headers: Mapping[str, str]) -> Limits:
    """``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (docs.linkxg.com, "Rate limits").

    None for what is not there or makes no sense: a count has nine digits at most, and a reset is Unix seconds.
    """
    count, left, reset = (headers.get(f"x-ratelimit-{name}", "").strip() for name in ("limit", "remaining", "reset"))
    return {
        "limit": int(count) if _COUNT.fullmatch(count) else None,
        "remaining": int(left) if _COUNT.fullmatch(left) else None,
        "reset_at": float(reset) if _MOMENT.fullmatch(reset) else None,
    }


def retry_after(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds (RFC 9110 §10.2.3); None where there is none, or none that makes sense.

    A date counts from the answer's own ``Date`` (RFC 9110 §6.6.1): both are the vendor's clock, so nobody's wrong clock
    does harm. One without the other says nothing.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 else None
    until, now = http_date(text), http_date(headers.get("date", ""))
    return None if until is None or now is None or until - now > 999_999_999 else max(until - now, 0.0)
