"""``await credential.token()`` while a token is held: what every request of a worker pays."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks.measure import Row, best, ratio
from linkauth import AuthEngine, LinkXG
from linkauth.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth import Token

CALLS = 20_000


class Locked:
    """As it is commonly written: a dict behind an ``asyncio.Lock``, so that one task renews while others wait."""

    def __init__(self, token: Token) -> None:
        self._tokens = {"linkxg": (token, time.time() + 800)}
        self._lock = asyncio.Lock()

    async def token(self) -> Token:
        async with self._lock:
            token, expires = self._tokens["linkxg"]
            assert time.time() < expires
            return token


class Unlocked(Locked):
    """The same without the lock: the least that there can be. Expired, it would fetch one token for each task."""

    async def token(self) -> Token:
        token, expires = self._tokens["linkxg"]
        assert time.time() < expires
        return token


async def run(rounds: int) -> list[Row]:
    async with Sandbox() as sandbox, AuthEngine("memory:") as engine:
        part = sandbox.linkxg
        vendor = LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
        credential = engine.credential(vendor)
        token = await credential.token()
        locked, unlocked = Locked(token), Unlocked(token)

        async def ours(calls: int) -> None:
            for _ in range(calls):
                await credential.token()

        async def with_lock(calls: int) -> None:
            for _ in range(calls):
                await locked.token()

        async def without(calls: int) -> None:
            for _ in range(calls):
                await unlocked.token()

        sides = {"ours": ours, "locked": with_lock, "unlocked": without, **_authlib()}
        found = await best(rounds, CALLS if rounds > 1 else 100, **sides)
    words = {
        "locked": "than a dict behind an asyncio.Lock",
        "unlocked": "than a dict without a lock",
        "authlib": "than Authlib's AsyncOAuth2Client.ensure_active_token",
    }
    return [ratio("a token from memory", found["ours"], found[side], words[side]) for side in sides if side in words]


def _authlib() -> dict[str, Callable[[int], Awaitable[None]]]:
    """A peer, where `pip install authlib httpx` has brought it."""
    try:
        from authlib.integrations.httpx_client import AsyncOAuth2Client  # noqa: PLC0415  # may not be there
    except ImportError:
        return {}
    token = {"access_token": "t" * 900, "token_type": "Bearer", "expires_at": time.time() + 800}
    client = AsyncOAuth2Client("a", "b", token=token)

    async def authlib(calls: int) -> None:
        for _ in range(calls):
            await client.ensure_active_token(client.token)

    return {"authlib": authlib}
