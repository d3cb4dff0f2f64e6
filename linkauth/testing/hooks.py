"""What a subclass of ``StoreContract`` says of its store, and what all of the contract's tests use."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from linkauth.store import Granted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from linkauth.store import Claim, TokenStore

__all__ = ["LONG", "Hooks", "granted"]

LONG = 30.0
"""Seconds of a lease, or a wait, that does not end within a test."""


class Hooks:
    """Override ``make_store``, and of the others what applies."""

    moment: float = 0.1
    """Seconds of a lease that ends within a test. Where ``advance`` sleeps it is also how long the test takes."""

    sees_dead_holders: bool = False
    """Whether the lease of a killed process is granted to others at once, not when it ends."""

    async def make_store(self) -> TokenStore:
        """A store to test. It need not be empty: every test has keys of its own."""
        raise NotImplementedError

    async def open_again(self, store: TokenStore) -> TokenStore:
        """The same data once more, by another connection where there are connections. As it is: the same object."""
        return store

    async def advance(self, seconds: float) -> None:
        """Let the store's clock go on. As it is: sleep."""
        await asyncio.sleep(seconds)

    async def set_back(self, seconds: float) -> bool:
        """Set the store's clock back. False, as it is: this store's clock cannot be set by a test."""
        del seconds
        return False

    def process_url(self) -> str | None:
        """The URL with which ``open_store`` opens the data in another process; None: no process shares it."""
        return None

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[TokenStore, None]:
        """The store, closed at the end."""
        store = await self.make_store()
        try:
            yield store
        finally:
            await store.aclose()

    @asynccontextmanager
    async def opened_twice(self) -> AsyncGenerator[tuple[TokenStore, TokenStore], None]:
        """Two workers' views of the same data."""
        async with self.opened() as one:
            other = await self.open_again(one)
            try:
                yield one, other
            finally:
                await other.aclose()

    async def lapse(self) -> None:
        """Let a lease of one ``moment`` end."""
        await self.advance(self.moment * 1.5)

    @staticmethod
    def fresh(kind: str = "contract") -> str:
        """A key that no other test has."""
        return f"{kind}/test/{uuid4().hex}"


def granted(claim: Claim) -> Granted:
    """``claim``, which must have been granted."""
    assert isinstance(claim, Granted), f"expected a lease, got {claim}"
    return claim
