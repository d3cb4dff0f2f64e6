"""One event loop's way to the server: how many may ask at once, what is begun anew, and what is said of a failure."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import re
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from redis.exceptions import (
    AuthenticationError,
    ClusterError,
    ConnectionError,  # noqa: A004  redis-py's own, no relative of the builtin
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)

from linkauth.errors import CorruptRecord, StoreError, StoreUnavailable
from linkauth_stores.redis.ears import cancellations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from linkauth_stores.redis.ears import Ears
    from linkauth_stores.redis.url import Client

__all__ = ["Session"]

T = TypeVar("T")

_PASSING = (ConnectionError, ReadOnlyError, ClusterError, TypeError)
"""What a second try may find cured. TypeError: python/cpython#136234, writelines on a connection that was just lost
(3.12, and 3.13 before its fix), which redis-py lets through; it has closed the connection by then."""

_FAILURES = (RedisError, RedisClusterException, OSError, TypeError, ValueError)
"""The builtin TimeoutError is an OSError. ValueError: redis-py's of an answer that is no Redis protocol."""


@attrs.define(eq=False)
class Session:
    """What one event loop of one process holds."""

    client: Client
    ears: Ears
    timeout: float
    slots: asyncio.Semaphore
    answered: float = -math.inf

    async def ask(self, work: Callable[[Client], Awaitable[T]], key: str = "") -> T:
        """``work`` in time, begun anew once where the connection was lost: every script may be repeated.

        Raises ``StoreUnavailable`` or ``CorruptRecord``, and nothing that a client or a server said.
        """
        problem: StoreError | None = None
        honour = cancellations()
        try:
            async with self.slot(self.timeout), asyncio.timeout(self.timeout):
                for last in (False, True):
                    try:
                        answer = await work(self.client)
                    except _PASSING as error:
                        if last or isinstance(error, AuthenticationError):
                            raise
                        honour()
                        if isinstance(error, ReadOnlyError):
                            await self._look_it_up_again()
                        await asyncio.sleep(random.uniform(0.005, 0.02))  # noqa: S311  spreads load
                    else:
                        honour()
                        self.answered = asyncio.get_running_loop().time()
                        return answer
        except _FAILURES as error:
            problem = _problem(error, key, self.timeout)
        # Raised out here, so that nothing of redis-py's error hangs on it: that may hold commands or an address.
        raise problem or StoreUnavailable("Redis: no answer")

    async def _look_it_up_again(self) -> None:
        """A master that was made a replica keeps its connections, and its name may lead to the new master by now."""
        if (pool := getattr(self.client, "connection_pool", None)) is not None:
            await pool.disconnect(inuse_connections=False)

    @contextlib.asynccontextmanager
    async def slot(self, patience: float) -> AsyncGenerator[None]:
        """A place among those who may ask at once. To queue is no fault of the store's while it answers others."""
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self.slots.acquire()
                break
            except TimeoutError:
                if clock() - self.answered > patience:
                    raise
        try:
            yield
        finally:
            self.slots.release()

    async def aclose(self, *, client: bool) -> None:
        """Stop listening, and close the client where that is the store's own."""
        await self.ears.aclose()
        if client:
            with contextlib.suppress(*_FAILURES):
                await self.client.aclose()


def _problem(error: Any, key: str, timeout: float) -> StoreError:
    """What to tell the operator: the kind of error and the server's code, no address, no command, no value."""
    kind = type(error).__name__
    if isinstance(error, TimeoutError) or kind == "TimeoutError":
        return StoreUnavailable(f"Redis: no answer within {timeout:g} s")
    words = str(error)
    if "WRONGTYPE" in words:
        return CorruptRecord(f"Redis: the record {key!r} cannot be read: something else lives under its name")
    code = re.match(r"[A-Z]{2,20}\b", words)
    return StoreUnavailable(f"Redis: {kind} ({code[0]})" if code else f"Redis: {kind}")
