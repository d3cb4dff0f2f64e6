"""What the workers of both sides do: tasks that call LinkXG's API in the user's name, all the time, and tell how it goes."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp
import attrs

from linkauth import AuthEngine, LinkAuthError, LinkXGUser, ReauthorizationRequired, open_store
from linkauth.cli.demo.by_hand import LoggedOut, Session
from linkauth.cli.demo.telling import tell
from linkauth.store import Granted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from linkauth.oauth.token import Secret
    from linkauth.store import Claim, Commit, TokenStore

__all__ = ["by_hand", "through_linkauth"]

PACE: Final = 1.5
"""Seconds between two calls of one task: LinkXG's largest subscription has 2,000 calls a minute."""
TELL: Final = 0.1
OK: Final = 200
REFUSED: Final = 401


@attrs.define
class Told:
    """What one worker has done so far, and how it stands."""

    begun: float = attrs.field(factory=time.monotonic)
    now: float = 0.0
    """Seconds of the monotonic clock, which the processes of a machine have in common."""
    answered: int = 0
    """Calls that LinkXG answered as it should."""
    failed: int = 0
    error: str = ""
    """The words of the last that failed."""
    token: str = ""
    """Which access token it holds, told by a digest."""
    left: float = 0.0
    """Seconds of its life."""
    renewing: bool = False
    """It is about to spend the refresh token, or has, and has no answer yet."""
    logged_out: bool = False

    def fail(self, words: str) -> None:
        """Count a call that failed and keep its words."""
        self.failed += 1
        self.error = words

    def hold(self, token: str, until: float) -> None:
        """Note which token is held, and until when, Unix seconds."""
        self.token, self.left = sha256(token.encode()).hexdigest()[:8], until - time.time()
        self.logged_out = False


class Watched:
    """A worker's store, which notes whether he holds the lease on something good for one use: it is his to spend."""

    def __init__(self, store: TokenStore, told: Told) -> None:
        self._store = store
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim(self, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Claim:
        """As the store's."""
        found = await self._store.claim(key, owner, ttl, newer_than, note)
        self._told.renewing = isinstance(found, Granted) and bool(note)
        return found

    async def commit(self, key: str, number: int, value: bytes, ttl: float | None = None) -> Commit:
        """As the store's."""
        self._told.renewing = False
        return await self._store.commit(key, number, value, ttl)

    async def release(self, key: str, number: int, note: bytes = b"") -> bool:
        """As the store's."""
        self._told.renewing = False
        return await self._store.release(key, number, note)


async def through_linkauth(order: Mapping[str, Any]) -> None:
    """Tasks that share the session with everybody on the same store."""
    told, store = Told(), open_store(order["store"])
    try:
        async with AuthEngine(cast("TokenStore", Watched(store, told))) as engine:
            credential = engine.credential(LinkXGUser(base_url=order["base_url"]))
            async with credential.session() as session:

                async def call() -> None:
                    try:
                        async with session.get("products") as response:
                            await _heard(response, told)
                    except ReauthorizationRequired:
                        told.logged_out = True
                        raise
                    if (token := credential.peek()) is not None:
                        told.hold(token.access_token, token.expires_at)

                await _work(order, told, call)
    finally:
        await store.aclose()


async def by_hand(order: Mapping[str, Any]) -> None:
    """Tasks that share the session with everybody on the same file."""
    told = Told()
    async with aiohttp.ClientSession() as http:
        session = Session(http, order["base_url"], Path(order["store"]), order["lifetime"])

        async def get(token: Secret) -> bool:
            """Whether that token was taken."""
            headers = {"Authorization": f"Bearer {token.reveal()}"}
            async with http.get(f"{order['base_url']}/products", headers=headers) as response:
                if response.status == REFUSED:
                    return False
                await _heard(response, told)
                return True

        async def call() -> None:
            try:
                token = await session.token()
                if not await get(token) and not await get(token := await session.token(refused=token)):
                    told.fail(f"HTTP {REFUSED}")
            except LoggedOut:
                told.logged_out = True
                raise
            told.hold(token.reveal(), session.renew_at)

        await _work(order, told, call, lambda: session.renewing)


async def _heard(response: aiohttp.ClientResponse, told: Told) -> None:
    await response.read()
    if response.status == OK:
        told.answered += 1
    else:
        told.fail(f"HTTP {response.status}")


async def _work(
    order: Mapping[str, Any],
    told: Told,
    call: Callable[[], Awaitable[None]],
    renewing: Callable[[], bool] | None = None,
) -> None:
    """Let the tasks call until this is cancelled, and tell how it goes."""
    count = order["tasks"]

    async def task(number: int) -> None:
        await asyncio.sleep(PACE * number / count)  # so that there is always one who asks
        while True:
            try:
                await call()
            except (LinkAuthError, aiohttp.ClientError) as error:
                told.fail(str(error) or type(error).__name__)
            await asyncio.sleep(PACE)

    def say() -> None:
        told.now = time.monotonic()
        if renewing is not None:
            told.renewing = renewing()
        tell(attrs.asdict(told))

    tasks = [asyncio.create_task(task(number)) for number in range(count)]
    try:
        while True:
            say()
            await asyncio.wait(tasks, timeout=TELL, return_when=asyncio.FIRST_EXCEPTION)
            for each in tasks:
                if each.done():
                    await each  # its fault is this worker's
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        say()
