"""linkauth as a subject."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from linkauth import AuthEngine, OAuth2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from benchmarks.by_hand import Ask
    from benchmarks.server import Server
    from linkauth import Credential

LINKAUTH = "linkauth"


def client(server: Server) -> OAuth2:
    """Client credentials at ``server``."""
    return OAuth2(name="bench", client_id="a", client_secret="b", token_url=server.token_url)


@asynccontextmanager
async def credential(server: Server) -> AsyncIterator[Credential]:
    """An engine's only credential."""
    async with AuthEngine("memory:") as engine:
        yield engine.credential(client(server))


@asynccontextmanager
async def linkauth(server: Server) -> AsyncIterator[Ask]:
    async with credential(server) as held:
        yield held.token


@asynccontextmanager
async def linkauth_peek(server: Server) -> AsyncIterator[Callable[[], object]]:
    async with credential(server) as held:
        await held.token()
        yield held.peek
