"""All that the engine needs of the world outside, handed in: sockets, clocks, randomness.

So a test, or a simulation, is the world.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import attrs

from linkauth.oauth.exchange import Request, Response

__all__ = ["Randomness", "Send", "World"]

Send: TypeAlias = Callable[[Request, float], Awaitable[Response]]
"""``(request, seconds)``: one exchange, its answer within so many seconds of when it is sent, which is within half of them.

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
