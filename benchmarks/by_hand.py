"""How a token is kept by whoever writes it down in ten lines: the limits, and what most programs do.

A holder is opened with a server and is then a function that gives a token. All here ask in the same way.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import ClientSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.server import Server

    Ask = Callable[[], Awaitable[object]]
    Holder = Callable[[Server], AbstractAsyncContextManager[Ask]]

LEEWAY = 0.2
"""Seconds before expiry at which a token is no longer taken."""


class Bare:
    """A bare check of expiry: the least that there can be. Expired, it fetches a token for each task."""

    def __init__(self, token_url: str, session: ClientSession) -> None:
        self.value = ""
        self.until = 0.0
        self._token_url = token_url
        self._session = session

    def peek(self) -> str | None:
        """The same where nothing can be waited for."""
        return self.value if time.time() < self.until else None

    async def token(self) -> str:
        if time.time() < self.until:
            return self.value
        return await self.fetch()

    async def fetch(self) -> str:
        begun = time.time()
        form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
        async with self._session.post(self._token_url, data=form) as answer:
            answer.raise_for_status()
            body = await answer.json()
        self.value, self.until = body["access_token"], begun + body["expires_in"] - LEEWAY
        return self.value


class CheckLockCheck(Bare):
    """Check, lock, check again: one task fetches while the others wait for the lock."""

    def __init__(self, token_url: str, session: ClientSession) -> None:
        super().__init__(token_url, session)
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        if time.time() < self.until:
            return self.value
        async with self._lock:
            if time.time() < self.until:
                return self.value
            return await self.fetch()


class LockCheck(CheckLockCheck):
    """Lock, then check: as it is commonly written."""

    async def token(self) -> str:
        async with self._lock:
            if time.time() < self.until:
                return self.value
            return await self.fetch()


class SharedFuture(Bare):
    """One task fetches, and all wait for it."""

    _task: asyncio.Task[str] | None = None

    async def token(self) -> str:
        if time.time() < self.until:
            return self.value
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.fetch())
        return await asyncio.shield(self._task)


@asynccontextmanager
async def _opened(kind: type[Bare], server: Server) -> AsyncIterator[Bare]:
    async with ClientSession() as session:
        yield kind(server.token_url, session)


def _holder(kind: type[Bare]) -> Holder:
    @asynccontextmanager
    async def opened(server: Server) -> AsyncIterator[Ask]:
        async with _opened(kind, server) as holder:
            yield holder.token

    return opened


@asynccontextmanager
async def bare_peek(server: Server) -> AsyncIterator[Callable[[], object]]:
    """``Bare`` with a token, where nothing can be waited for."""
    async with _opened(Bare, server) as holder:
        await holder.token()
        yield holder.peek


BARE = "bare check of expiry"
CHECK_LOCK_CHECK = "check, lock, check"
LOCK_CHECK = "lock, check"
SHARED_FUTURE = "shared future"
HOLDERS = {
    BARE: _holder(Bare),
    CHECK_LOCK_CHECK: _holder(CheckLockCheck),
    LOCK_CHECK: _holder(LockCheck),
    SHARED_FUTURE: _holder(SharedFuture),
}
"""Names of the subjects that are written by hand."""
