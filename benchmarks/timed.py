"""What a command to a Redis takes: elapsed, and of the server's processor time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.servers import Server


async def took(count: int, command: Callable[[int], Awaitable[Any]]) -> list[float]:
    """Microseconds of each of so many, one after another."""
    found = []
    for number in range(count):
        begun = time.perf_counter()
        await command(number)
        found.append(1e6 * (time.perf_counter() - begun))
    return found


@contextmanager
def of_the(server: Server) -> Iterator[list[float]]:
    """Microseconds of the server's processor time within."""
    took = [0.0]

    def spent() -> float:
        with server.client() as client:
            found = client.info("cpu")
        return 1e6 * float(found["used_cpu_user"] + found["used_cpu_sys"])

    begun = spent()
    yield took
    took[0] = spent() - begun
