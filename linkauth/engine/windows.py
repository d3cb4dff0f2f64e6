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
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from linkauth.engine.world import StoreTime
    from linkauth.oauth.token import Token

__all__ = ["Verdict", "Windows", "windows"]

AHEAD: Final = 1 / 5
"""Share of a token's lifetime before its end at which renewal begins, unless the engine was told seconds."""
MOST_AHEAD: Final = 300.0
"""Seconds before the end at the most."""
MARGIN: Final = 1 / 15
"""Share of the lifetime that is kept as a margin: LinkXG's own 60 s for its 900 s."""
MOST_MARGIN: Final = 60.0
"""Seconds of margin at the most."""
SPREAD: Final = 1 / 2
"""Share of the time between the earliest ``soft`` and ``hard`` over which workers spread."""


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
    ahead = min(lifetime * AHEAD, MOST_AHEAD) if refresh_ahead is None else refresh_ahead
    ahead = min(ahead, lifetime * 0.8)  # a lead as long as the token itself would renew without end
    # A margin as long as the lead would leave no time to renew behind: every caller would wait.
    margin = min(lifetime * MARGIN, MOST_MARGIN, ahead / 3)
    end = time.monotonic(token.expires_at)
    return Windows(soft=end - ahead + spread * SPREAD * (ahead - margin), hard=end - margin, end=end)
