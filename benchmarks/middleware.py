"""A request to an API: what signing it costs the client. The server is on another core, and its share is not counted."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import ClientSession

from benchmarks.by_hand import CheckLockCheck
from benchmarks.measure import Bench, processor_time
from benchmarks.ours import LINKAUTH, credential

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from benchmarks.measure import Scene, Turn

CALLS = 1_000
AT_ONCE = 50
STATIC, TRIVIAL, BY_HAND = "static header", "trivial middleware", "middleware by hand"
AIOHTTP_OAUTH2_CLIENT = "aiohttp-oauth2-client"


async def by_hand(stack: AsyncExitStack, scene: Scene) -> ClientSession:
    """Check, lock, check, in a middleware of five lines."""
    holder = CheckLockCheck(scene.server.token_url, await stack.enter_async_context(ClientSession()))

    async def sign(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        request.headers["Authorization"] = f"Bearer {await holder.token()}"
        return await handler(request)

    return await stack.enter_async_context(ClientSession(middlewares=[sign]))


async def linkauth(stack: AsyncExitStack, scene: Scene) -> ClientSession:
    held = await stack.enter_async_context(credential(scene.server))
    return await stack.enter_async_context(held.session())


async def aiohttp_oauth2_client(stack: AsyncExitStack, scene: Scene) -> ClientSession:
    from aiohttp_oauth2_client.grant.client_credentials import ClientCredentialsGrant
    from aiohttp_oauth2_client.middleware import OAuth2Middleware

    grant = await stack.enter_async_context(ClientCredentialsGrant(scene.server.token_url, "a", "b"))
    return await stack.enter_async_context(ClientSession(middlewares=[OAuth2Middleware(grant)]))


async def static(stack: AsyncExitStack, scene: Scene) -> ClientSession:
    """A token that was put into the session's headers, and stays there."""
    holder = CheckLockCheck(scene.server.token_url, await stack.enter_async_context(ClientSession()))
    headers = {"Authorization": f"Bearer {await holder.token()}"}
    return await stack.enter_async_context(ClientSession(headers=headers))


async def _trivial(stack: AsyncExitStack, scene: Scene) -> ClientSession:
    header = (await static(stack, scene)).headers["Authorization"]

    async def sign(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        request.headers["Authorization"] = header
        return await handler(request)

    return await stack.enter_async_context(ClientSession(middlewares=[sign]))


async def sessions(stack: AsyncExitStack, scene: Scene) -> dict[str, ClientSession]:
    """A session of each subject that renews its token, and of the static header."""
    from benchmarks import peers  # not above: whoever measures nothing of theirs does without

    found = {
        STATIC: await static(stack, scene),
        BY_HAND: await by_hand(stack, scene),
        LINKAUTH: await linkauth(stack, scene),
    }
    if AIOHTTP_OAUTH2_CLIENT in peers.HOLDERS:
        found[AIOHTTP_OAUTH2_CLIENT] = await aiohttp_oauth2_client(stack, scene)
    return found


async def _requests(session: ClientSession, url: str, at_once: int, calls: int) -> None:
    async def caller(calls: int) -> None:
        for _ in range(calls):
            async with session.get(url) as answer:
                answer.raise_for_status()
                await answer.read()

    await asyncio.gather(*(caller(calls // at_once) for _ in range(at_once)))


@asynccontextmanager
async def _opened(at_once: int, scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    await scene.server.behave()
    async with AsyncExitStack() as stack:
        found = {**await sessions(stack, scene), TRIVIAL: await _trivial(stack, scene)}
        calls = -(-scene.some(CALLS) // at_once) * at_once
        yield {
            name: partial(processor_time, calls, partial(_requests, session, f"{scene.server.root}/api", at_once))
            for name, session in found.items()
        }


ONE = Bench("request", "A signed request to an API, one at a time, the client's share", partial(_opened, 1), STATIC)
MANY = Bench(
    "requests", f"Signed requests to an API, {AT_ONCE} at once, the client's share", partial(_opened, AT_ONCE), STATIC
)
