"""A store with credentials as workers would have left them, for the operator's page to show."""

from __future__ import annotations

from typing import Any

from linkauth import AuthEngine, LinkXGUser, StoreUnavailable
from linkauth.oauth.grants import NEVER
from linkauth.oauth.token import Token
from linkauth.protocol.keys import token_key
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth_stores.memory import MemoryStore

USER = LinkXGUser(base_url="http://127.0.0.1:1")
DAY = 86400.0


class Store(MemoryStore):
    """One that may be away, and counts who reads it from end to end."""

    away = False
    walks: list[str]

    def __init__(self):
        super().__init__()
        self.walks = []

    async def keys(self, prefix=""):
        self.walks.append(prefix)
        if self.away:
            raise StoreUnavailable("Redis: nobody answers")
        async for key in super().keys(prefix):
            yield key


async def keep(
    engine: AuthEngine, account: str, *, dead: str = "", vendor: str = "linkxg-user", lives: float = 900.0
) -> None:
    """A credential in the store, as a worker would have left it."""
    now = engine.context.clock.wall()
    key = token_key(USER, account)
    token = Token(
        access_token="an-access-token",
        refresh_token="a-refresh-token",
        issued_at=now,
        expires_at=min(now + lives, NEVER),
        refresh_expires_at=now + 7 * DAY,
        scope="products:read",
    )
    record: Any = TokenRecord(vendor=vendor, account=account, token=token)
    if dead:
        record = DeadRecord(vendor=vendor, account=account, reason=dead)
    await engine.context.store_client.store.commit(key, 1, engine.context.codec.close(key, 1, record))
