"""The end of a session by the calendar: what no renewal puts off, and how long before it the user is to be asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from linkauth.protocol import timing

if TYPE_CHECKING:
    from linkauth.oauth.token import Token
    from linkauth.protocol.records import Session, TokenRecord

__all__ = ["ended", "ends_soon", "over"]


def over(token: Token, now: float) -> str:
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
    return over(token, now)


def _notice_from(token: Token, session: Session | None) -> float:
    """From when on the user should be asked to consent again, Unix seconds; ``math.inf``: nothing is stated.

    A week before the end, but no more than a fifth of the session's life: a short one is not always about to end.
    """
    ends = token.session_expires_at
    if ends is None:
        return math.inf
    life = math.inf if session is None else max(ends - session.at / 1000, 0.0)
    return ends - min(timing.END_NOTICE, life * timing.END_NOTICE_SHARE)


def ends_soon(record: TokenRecord, now: float) -> bool:
    """Whether the session of ``record`` still goes on, and the user should be asked now."""
    ends = record.token.session_expires_at
    return ends is not None and _notice_from(record.token, record.session) <= now < ends
