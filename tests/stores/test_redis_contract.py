"""The Redis store: the contract, on a real server and real processes."""

from __future__ import annotations

import pytest

from linkauth.testing import StoreContract
from linkauth_stores.redis import RedisStore


class TestRedisStore(StoreContract):
    """The contract, each view of the data by a connection of its own."""

    @pytest.fixture(autouse=True)
    def _place(self, redis_url: str, prefix: str) -> None:
        self.url = f"{redis_url}?prefix={prefix}&timeout=20"

    async def make_store(self) -> RedisStore:
        return RedisStore(self.url)

    async def open_again(self, store: object) -> RedisStore:
        return RedisStore(self.url)

    def process_url(self) -> str:
        return self.url
