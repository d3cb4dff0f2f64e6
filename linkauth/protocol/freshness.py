"""The life of a token in a worker::

                soft                     hard        end
     |-----------|------------------------|-----------|
       serve        serve, renew behind      wait

``soft`` is spread at random, so that not every worker begins at once. ``hard`` is the expiry less a margin, so that no
request sets out with a token that dies on the way. Between ``hard`` and ``end`` callers wait for a renewal, yet get
the old token should the renewal fail: it is still good.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from linkauth.protocol import timing

if TYPE_CHECKING:
    from linkauth.oauth.token import Token

__all__ = ["NEVER", "Epoch", "StoreTime", "Verdict", "Windows", "windows"]


class Epoch(NamedTuple):
    """How often clocks were seen to jump (``engine.clock``): what was computed in another epoch is not believed."""

    host: int = 0
    """This host's wall clock against its monotonic one: the machine may have slept, and the monotonic clock with it."""
    store: int = 0
    """The store's, against where it had to be."""


FIRST: Final = Epoch()


@attrs.frozen
class StoreTime:
    """One look at the store's clock: it showed ``now`` (Unix seconds) between ``before`` and ``after`` (monotonic).

    ``unix`` and ``monotonic`` err to the early side, by at most the round trip: a token is renewed a little early, never
    served a little late.
    """

    now: float
    before: float
    after: float
    ahead: float = 0.0
    """By how much this host's wall clock was ahead of its monotonic one at ``before``."""
    epoch: Epoch = FIRST
    """That in which the store was asked."""

    def unix(self, monotonic: float) -> float:
        """A monotonic moment by the store's clock."""
        return self.now + (monotonic - self.after)

    def monotonic(self, unix: float) -> float:
        """A moment of the store's clock by the monotonic one."""
        return self.before + (unix - self.now)

    def latest(self, unix: float) -> float:
        """The same on the late side: when it was at the latest."""
        return self.after + (unix - self.now)

    def later(self, monotonic: float) -> StoreTime:
        """The same look, carried on to ``monotonic``, which is not before it."""
        passed = monotonic - self.after
        return attrs.evolve(self, now=self.now + passed, before=self.before + passed, after=monotonic)


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


NEVER: Final = Windows(-math.inf, -math.inf, -math.inf)
"""Of what is not served."""


def windows(
    token: Token, time: StoreTime, refresh_ahead: float | None, spread: float, first_seen: float | None = None
) -> Windows:
    """The windows of ``token``. ``refresh_ahead``: seconds, None for the default; ``spread``: from 0 up to 1.

    ``first_seen``: when it was first looked at (monotonic), None: just now. No store's clock that was set back makes it good for
    longer than its own lifetime from then on, and one that seems to come from the future is renewed behind at once.
    """
    lifetime = max(token.expires_at - token.issued_at, 0.0)
    ahead = min(lifetime * timing.AHEAD, timing.MOST_AHEAD) if refresh_ahead is None else refresh_ahead
    ahead = min(ahead, lifetime * timing.MOST_AHEAD_SHARE)
    margin = min(lifetime * timing.MARGIN, timing.MOST_MARGIN, ahead * timing.MARGIN_OF_AHEAD)
    end = min(time.monotonic(token.expires_at), (time.before if first_seen is None else first_seen) + lifetime)
    soft = end - ahead + spread * timing.SPREAD * (ahead - margin)
    if ahead and token.issued_at > time.now + timing.LEAST_JUMP:
        soft = min(soft, time.before)
    return Windows(soft=soft, hard=end - margin, end=end)
