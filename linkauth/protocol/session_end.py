"""The end of a session that no refusal tells of: by the calendar, or for want of a refresh token; and how long before it the user is to be asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from linkauth.protocol import timing

if TYPE_CHECKING:
    from linkauth.oauth.token import Token
    from linkauth.protocol.records import TokenRecord
    from linkauth.vendors.vendor import Vendor

__all__ = ["ended", "ends_soon", "hopeless"]


def hopeless(vendor: Vendor, token: Token | None, now: float) -> str:
    """Why there is no way to another token than from the user; empty: there is one. ``now``: the store's clock."""
    if not vendor.needs_user:
        return ""
    if token is None or not token.refresh_token:
        return "there is no refresh token"
    return _over(token, now)


def _over(token: Token, now: float) -> str:
    """Why ``token`` cannot be renewed any more, by its own times; empty: it can. ``now``: the store's clock, Unix seconds."""
    ends, lapses = token.session_expires_at, token.refresh_expires_at
    if ends is not None and ends <= now:
        return "the session has ended: the vendor wants the user's consent again from time to time"
    return "the refresh token has lapsed" if lapses is not None and lapses <= now else ""


def ended(token: Token, now: float) -> str:
    """Why only the user can help, though nobody has marked it yet; empty: there is a session, or none was ever (no refresh token)."""
    ends = token.session_expires_at
    if not token.refresh_token or (token.expires_at > now and (ends is None or ends > now)):
        return ""
    return _over(token, now)


def ends_soon(record: TokenRecord, now: float) -> bool:
    """Whether the session of ``record`` still goes on, and its user should be asked now to consent again.

    From a week before its end on, but for no more than a fifth of its life: a short one is not always about to end.
    """
    ends = record.token.session_expires_at
    if ends is None:
        return False
    life = math.inf if record.session is None else max(ends - record.session.at / 1000, 0.0)
    return ends - min(timing.END_NOTICE, life * timing.END_NOTICE_SHARE) <= now < ends
