"""The clocks that an engine goes by: this host's monotonic and wall clock, and the store's; and whether any of them has jumped.

A moment is kept in monotonic seconds, for nobody sets that clock. But it stands still while a machine sleeps, and what was read
off the store's clock is by that clock as it was then. So whatever is computed from clocks has its *epoch*: two numbers, one of
which grows when the wall clock has moved against the monotonic one, the other when the store's was not where it had to be. What
comes from an earlier epoch is not believed until the store was asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.protocol import timing
from linkauth.protocol.freshness import Epoch, StoreTime

if TYPE_CHECKING:
    from linkauth.engine.world import World

__all__ = ["Clock", "Glance"]


@attrs.frozen
class Glance:
    """This host's clocks at one moment, such as before a question to the store."""

    monotonic: float
    ahead: float
    """Seconds by which the wall clock was ahead of the monotonic one."""
    epoch: Epoch


class Clock:
    """All the times of an engine, in seconds."""

    __slots__ = ("_ahead", "_epoch", "_last", "monotonic", "wall")

    def __init__(self, world: World) -> None:
        self.monotonic = world.monotonic
        self.wall = world.wall
        self._epoch = Epoch()
        self._ahead: float | None = None
        """That at the beginning of the epoch; None: nobody has looked yet."""
        self._last: StoreTime | None = None

    def ahead(self) -> float:
        """By how much the wall clock is ahead of the monotonic one: more, if the machine has slept."""
        return self.wall() - self.monotonic()

    @property
    def epoch(self) -> Epoch:
        """The present one. Within it this host's clocks moved against each other by no more than ``LEAST_JUMP``."""
        ahead = self.ahead()
        if self._ahead is None:
            self._ahead = ahead
        elif abs(ahead - self._ahead) > timing.LEAST_JUMP / 2:
            self._epoch = self._epoch._replace(host=self._epoch.host + 1)
            self._ahead = ahead
        return self._epoch

    def glance(self) -> Glance:
        """The clocks as they are now."""
        epoch = self.epoch
        return Glance(self.monotonic(), self.ahead(), epoch)

    def read(self, before: Glance, now: float) -> StoreTime:
        """The look at the store's clock that was begun at ``before``, and has just brought ``now`` (Unix seconds)."""
        time = StoreTime(now, before.monotonic, self.monotonic(), before.ahead, before.epoch)
        last, epoch = self._last, self.epoch
        if last is not None and last.epoch.host == time.epoch.host == epoch.host and _jumped(last, time):
            self._epoch = epoch._replace(store=epoch.store + 1)
            time = attrs.evolve(time, epoch=self._epoch)
        self._last = time
        return time

    def missed(self, ahead: float, epoch: int) -> float:
        """Seconds that the monotonic clock may have missed since the wall clock was ``ahead`` of it, in this ``epoch`` of the host's.

        Of another epoch this says nothing: for that there is the store.
        """
        return max(self.ahead() - ahead, 0.0) if epoch == self.epoch.host else 0.0

    def store_now(self) -> float:
        """The store's clock by the last look at it, Unix seconds; this host's where there was none yet."""
        return self.wall() if self._last is None else self._last.unix(self.monotonic())

    def present(self) -> StoreTime:
        """The last look at the store's clock as seen from now; ``here``, where there was none yet."""
        return self.here() if self._last is None else self._last.later(self.monotonic())

    def here(self) -> StoreTime:
        """This host's wall clock, in the place of that of a store that does not answer."""
        now = self.glance()
        return StoreTime(now.monotonic + now.ahead, now.monotonic, now.monotonic, now.ahead, now.epoch)


def _jumped(last: StoreTime, time: StoreTime) -> bool:
    """Whether the store's clock is not where it has to be, by more than the round trips of two looks and a second."""
    least, most = last.unix(time.before), last.now + (time.after - last.before)
    return not least - timing.LEAST_JUMP <= time.now <= most + timing.LEAST_JUMP
