"""All that the engine needs of the world outside, handed in: sockets, clocks, randomness, and which processes live.

So a test, or a simulation, is the world.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import attrs

from linkauth.oauth.exchange import Request, Response

__all__ = ["Processes", "Randomness", "Send", "World"]

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


class Processes(Protocol):
    """What can be told of processes, of whatever program, so that nobody waits for a dead one."""

    def own(self) -> str:
        """A name of this process that no other has, had or will have; empty where there is none. Without a secret."""
        ...

    def is_alive(self, name: str) -> bool | None:
        """Whether the process lives that is named so. False: it is certainly dead. None: that cannot be told from here."""
        ...


class Unknown:
    """Nothing can be told of any process: whoever holds something is waited out."""

    def own(self) -> str:
        return ""

    def is_alive(self, name: str) -> bool | None:
        del name
        return None


async def _nothing() -> None:
    pass


@attrs.frozen(kw_only=True)
class World:
    """Sockets, clocks (seconds), randomness and processes."""

    send: Send
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    random: Randomness
    """For spreading and jitter."""
    entropy: Callable[[int], bytes]
    """For states, verifiers and nonces: cryptographic randomness."""
    processes: Processes = attrs.field(factory=Unknown)
    hang_up: Callable[[], Awaitable[None]] = _nothing
    """Close what ``send`` keeps open in this loop for later."""
