"""The Redis store: the contract, on a real server and real processes."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from linkauth.testing import StoreContract
from linkauth_stores.redis import RedisStore


class TestRedisStore(StoreContract):
    """The contract, each view of the data by a connection of its own."""

    @pytest.fixture(autouse=True)
    def _place(self, redis_url: str, prefix: str) -> None:
        self.redis, self.prefix = redis_url, prefix
        self.url = f"{redis_url}?prefix={prefix}&timeout=20"

    async def make_store(self) -> RedisStore:
        return RedisStore(self.url)

    async def open_again(self, store: object) -> RedisStore:
        return RedisStore(self.url)

    async def set_back(self, seconds: float) -> bool:
        """The server's clock is the machine's: what is set is what it wrote down by it."""
        async with Redis.from_url(self.redis) as client:
            async for lease in client.scan_iter(match=f"{self.prefix}:*:lease"):
                await client.hincrby(lease, "until", round(seconds * 1000))
        return True

    def process_url(self) -> str:
        return self.url
