"""The life of a token in a worker::

                soft                     hard        end
     |-----------|------------------------|-----------|
       serve        serve, renew behind      wait

``soft`` is spread at random, so that not every worker begins at once. ``hard`` is the expiry less a margin, so that no
request sets out with a token that dies on the way. Between ``hard`` and ``end`` callers wait for a renewal, yet get
the old token should the renewal fail: it is still good.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import attrs

from linkauth.protocol import timing

if TYPE_CHECKING:
    from linkauth.oauth.token import Token

__all__ = ["StoreTime", "Verdict", "Windows", "windows"]


@attrs.frozen
class StoreTime:
    """One look at the store's clock: it showed ``now`` (Unix seconds) between ``before`` and ``after`` (monotonic).

    ``unix`` and ``monotonic`` err to the early side, by at most the round trip: a token is renewed a little early, never
    served a little late.
    """

    now: float
    before: float
    after: float
    ahead: float | None = None
    """By how much this host's wall clock was ahead of its monotonic one at ``before``; None: not known.

    When that has grown, the machine may have slept since, and the monotonic clock with it.
    """

    def unix(self, monotonic: float) -> float:
        """A monotonic moment by the store's clock."""
        return self.now + (monotonic - self.after)

    def monotonic(self, unix: float) -> float:
        """A moment of the store's clock by the monotonic one."""
        return self.before + (unix - self.now)

    def latest(self, unix: float) -> float:
        """The same on the late side: when it was at the latest."""
        return self.after + (unix - self.now)


class Verdict(Enum):
    """What to do with a token now."""

    SERVE = "serve"
    SERVE_AND_RENEW = "serve and renew behind"
    WAIT = "wait"


@attrs.frozen
class Windows:
    """``soft``, ``hard`` and ``end`` of a token, in seconds of the monotonic clock."""

    soft: float
    hard: float
    end: float

    def judge(self, now: float) -> Verdict:
        """What to do at ``now`` (monotonic seconds)."""
        if now < self.soft:
            return Verdict.SERVE
        return Verdict.SERVE_AND_RENEW if now < self.hard else Verdict.WAIT


def windows(token: Token, time: StoreTime, refresh_ahead: float | None, spread: float) -> Windows:
    """The windows of ``token``. ``refresh_ahead``: seconds, None for the default; ``spread``: from 0 up to 1."""
    lifetime = max(token.expires_at - token.issued_at, 0.0)
    ahead = min(lifetime * timing.AHEAD, timing.MOST_AHEAD) if refresh_ahead is None else refresh_ahead
    ahead = min(ahead, lifetime * timing.MOST_AHEAD_SHARE)
    margin = min(lifetime * timing.MARGIN, timing.MOST_MARGIN, ahead * timing.MARGIN_OF_AHEAD)
    end = time.monotonic(token.expires_at)
    return Windows(soft=end - ahead + spread * timing.SPREAD * (ahead - margin), hard=end - margin, end=end)
