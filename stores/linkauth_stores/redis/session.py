"""One event loop's way to the server: how many may ask at once, what is begun anew, and what is said of a failure."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from typing import TYPE_CHECKING, TypeVar

import attrs
from redis.exceptions import (
    AuthenticationError,
    ClusterError,
    ConnectionError,  # noqa: A004  redis-py's own, no relative of the builtin
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)

from linkauth_stores.redis import words
from linkauth_stores.redis.ears import cancellations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from linkauth_stores.redis.ears import Ears
    from linkauth_stores.redis.url import Client

__all__ = ["Session"]

T = TypeVar("T")

_UNSENT = 20
"""How many lost connections one call may find before it gives up. On CPython 3.12, and on 3.13 before its fix, writelines on
one is a TypeError (python/cpython#136234), which redis-py lets through and does not try again. It sent nothing, and closed
the connection, so the next try gets another; a cluster's client that has just read its map may have a dozen such."""

_FAILURES = (RedisError, RedisClusterException, OSError, TypeError, ValueError)
"""The builtin TimeoutError is an OSError. ValueError: redis-py's of an answer that is no Redis protocol."""


@attrs.define(eq=False)
class Session:
    """What one event loop of one process holds."""

    client: Client
    ears: Ears
    timeout: float
    slots: asyncio.Semaphore
    where: str = ""
    """The server, for errors."""
    answered: float = -math.inf
    end: AsyncGenerator[None] = attrs.field(init=False)
    """Closed with the session, or with its loop."""

    async def ask(self, work: Callable[[Client], Awaitable[T]], key: str = "", *, careful: bool = False) -> T:
        """``work`` in time, begun anew once where the connection was lost: every script may be repeated.

        ``careful``: not before all who listen know that another server, which may know less, may be the one to answer.
        Raises ``StoreUnavailable`` or ``CorruptRecord``, and nothing that a client or a server said.
        """
        honour = cancellations()
        failures = unsent = 0
        moved = False
        try:
            async with self.slot(self.timeout), asyncio.timeout(self.timeout):
                while True:
                    place = self.ears.place() if careful else None
                    try:
                        answer = await _answered(work(self.client), honour)
                    except TypeError:  # see _UNSENT
                        unsent += 1
                        if unsent > _UNSENT:
                            raise
                    except RedisError as error:
                        failures += 1
                        if failures > 1 or not _may_pass(error):
                            raise
                        moved = await self._has_moved(error)
                    else:
                        honour()
                        self.answered = asyncio.get_running_loop().time()
                        if not careful or self.ears.stands(place):
                            return answer
                        # The subscription was lost meanwhile, or before and not taken up again: so may be what the server had.
                        await self.ears.check()
                        careful = False
                    honour()
                    if careful:
                        await self.ears.check(moved=moved)
                    await asyncio.sleep(random.uniform(0.005, 0.02))  # noqa: S311  spreads load
        except _FAILURES as error:
            problem = words.problem(error, key, self.where, self.timeout)
        # Raised out here, so that nothing of redis-py's error hangs on it: that may hold commands or an address.
        raise problem

    async def _has_moved(self, error: RedisError) -> bool:
        """Whether the server is no master any more. It keeps its connections, and its name may lead to the new one by now."""
        moved = isinstance(error, ReadOnlyError) or words.code(error) == "READONLY"
        if moved and (pool := getattr(self.client, "connection_pool", None)) is not None:
            await pool.disconnect(inuse_connections=False)
        return moved

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


async def _answered(call: Awaitable[T], honour: Callable[[], None]) -> T:
    """What ``call`` brings. Whoever cancels all tasks of a loop cancels the client's, too: then a connection is lost."""
    try:
        return await call
    except asyncio.CancelledError:
        honour()
    raise ConnectionError("a task of the client's was cancelled")


def _may_pass(error: RedisError) -> bool:
    """Whether a second try may find it cured: a connection lost, a slot on its way, a master that has moved."""
    if isinstance(error, AuthenticationError):
        return False
    return isinstance(error, (ConnectionError, ClusterError, ReadOnlyError)) or words.code(error) == "READONLY"
