"""All that the engine needs of the world outside, handed in: sockets, clocks, randomness.

So a test, or a simulation, is the world.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import attrs

from linkauth.oauth.exchange import Request, Response

__all__ = ["Randomness", "Send", "StoreTime", "World"]

Send: TypeAlias = Callable[[Request, float], Awaitable[Response]]
"""``(request, seconds)``: one exchange within so many seconds.

Raises ``NotSent`` where the vendor certainly saw nothing, ``NoAnswer`` where it may have acted, ``MalformedResponse``
where the answer is too large.
"""


class Randomness(Protocol):
    """What the engine asks of ``random.Random``."""

    def random(self) -> float:
        """A number from 0 up to 1."""
        ...


@attrs.frozen(kw_only=True)
class World:
    """Sockets, clocks (seconds) and randomness."""

    send: Send
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    random: Randomness
    """For spreading and jitter."""
    entropy: Callable[[int], bytes]
    """For states, verifiers and nonces: cryptographic randomness."""


@attrs.frozen
class StoreTime:
    """One look at the store's clock: it showed ``now`` (Unix seconds) between ``before`` and ``after`` (monotonic).

    Both conversions err to the early side, by at most the round trip: a token is renewed a little early, never served
    a little late.
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
