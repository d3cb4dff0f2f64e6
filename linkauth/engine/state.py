"""What one worker has of one credential in its memory: the token, its windows, and the last failure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.protocol import timing
from linkauth.protocol.freshness import Verdict, Windows, windows
from linkauth.protocol.lineage import Lineage

if TYPE_CHECKING:
    from linkauth.engine.world import World
    from linkauth.errors import LinkAuthError
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.records import DeadRecord

__all__ = ["CredentialState"]

UNKNOWN: Final = Lineage()
NEVER: Final = Windows(-math.inf, -math.inf, -math.inf)


class CredentialState:
    """A token and when it is good. ``token`` stays when it has expired: its refresh token is what renews it."""

    __slots__ = (
        "_needs_user",
        "_offset",
        "_refresh_ahead",
        "_world",
        "dead",
        "failure",
        "failures",
        "lineage",
        "mark",
        "new_until",
        "retry_at",
        "soft",
        "stored",
        "token",
        "version",
        "wall_limit",
        "windows",
    )

    def __init__(self, world: World, refresh_ahead: float | None, *, needs_user: bool = False) -> None:
        """``needs_user``: a token without a refresh token cannot be renewed."""
        self._world = world
        self._needs_user = needs_user
        self._refresh_ahead = refresh_ahead
        self.token: Token | None = None
        self.version = 0
        """The newest record's version that this worker knows of."""
        self.stored = True
        """Whether the store has this token."""
        self.windows = NEVER
        self.soft = -math.inf
        """``windows.soft``, where the hit path finds it."""
        self._offset = 0.0
        self.wall_limit = -math.inf
        """The wall clock past this, with the monotonic one before ``soft``: a jump."""
        self.new_until = -math.inf
        """Who asked for a new token up to this moment (monotonic) has it with this one: it was sent for after that, or was in
        the air then."""
        self.lineage = Lineage()
        """Of the newest record that is known, a mark included."""
        self.mark: DeadRecord | None = None
        """What says that only the user can help."""
        self.dead = ""
        """Why only the user can help; empty: there is hope."""
        self.failure: LinkAuthError | None = None
        self.failures = 0
        self.retry_at = -math.inf
        """Not before this moment (monotonic) is anything tried again."""

    def take(
        self, token: Token, version: int, time: StoreTime, *, stored: bool = True, lineage: Lineage = UNKNOWN
    ) -> None:
        """Serve ``token`` from now on."""
        self.lineage, self.mark = lineage, None
        self.token = token
        self.version = version
        self.stored = stored
        self.dead = ""
        # From the future: a clock was set back, and nobody knows what was sent for when.
        self.new_until = time.latest(token.issued_at) if token.issued_at <= time.now else -math.inf
        self.anchor(time)
        self.succeeded()

    def anchor(self, time: StoreTime) -> None:
        """Compute the token's windows from a look at the store's clock."""
        if self.token is not None:
            # Counted from the look, not from now: the machine may have slept between the two.
            ahead = self._ahead() if time.ahead is None else time.ahead
            # What cannot be renewed is served to its end.
            lead = 0.0 if self._needs_user and not self.token.refresh_token else self._refresh_ahead
            self._place(windows(self.token, time, lead, self._world.random.random()), ahead)

    def jumped(self) -> bool:
        """Whether the clocks disagree: time may have passed that the monotonic one did not see."""
        return self.token is not None and self._passed() > self._tolerance()

    def believe_wall(self) -> None:
        """After a jump with no store to ask: count what the wall clock says has passed."""
        passed = self._passed()
        if self.token is not None and passed > 0:
            old = self.windows
            self._place(Windows(old.soft - passed, old.hard - passed, old.end - passed), self._ahead())

    def mark_dead(self, reason: str, version: int, mark: DeadRecord | None = None, *, stored: bool = True) -> None:
        """There is no token any more, and no way to one without the user: ``mark`` says so."""
        self.mark, self.stored = mark, stored
        if mark is not None:
            self.lineage = Lineage(mark.session, mark.generation)
        self.token = None
        self.dead = reason
        self.version = version
        self.refuse()

    def refuse(self) -> None:
        """The token is not served any more, whatever its times say."""
        self.windows = NEVER
        self.soft = self.wall_limit = -math.inf

    def judge(self) -> Verdict:
        """What to do now."""
        return Verdict.WAIT if self.token is None else self.windows.judge(self._world.monotonic())

    def unexpired(self) -> bool:
        """Whether the token may still be used when nothing better can be had."""
        if self.token is None:
            return False
        # Time that passed unnoticed and is too short to be ``jumped`` counts here, where there is no margin left.
        passed = 0.0 if self.jumped() else max(self._passed(), 0.0)
        return self._world.monotonic() + passed < self.windows.end

    def failed(self, error: LinkAuthError, wait: float) -> None:
        """Nothing is tried again for ``wait`` seconds."""
        self.failure = error
        self.failures += 1
        self.retry_at = self._world.monotonic() + wait

    def succeeded(self) -> None:
        """Forget the last failure."""
        self.failure = None
        self.failures = 0
        self.retry_at = -math.inf

    def _passed(self) -> float:
        return self._ahead() - self._offset

    def _ahead(self) -> float:
        """By how much the wall clock is ahead of the monotonic one."""
        return self._world.wall() - self._world.monotonic()

    def _tolerance(self) -> float:
        if math.isinf(self.windows.end):  # no time that passed matters
            return math.inf
        margin = self.windows.end - self.windows.hard  # the lead before it is never shorter
        return min(max(margin, timing.LEAST_JUMP), timing.MOST_JUMP)

    def _place(self, placed: Windows, ahead: float) -> None:
        self.windows = placed
        self.soft = placed.soft
        self._offset = ahead
        self.wall_limit = placed.soft + self._offset + self._tolerance()
