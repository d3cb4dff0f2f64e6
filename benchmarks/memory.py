"""What a credential that holds a token keeps in memory, that token and what the library's store keeps of it included."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import ClientSession

from benchmarks import peers
from benchmarks.by_hand import Bare
from benchmarks.measure import Bench
from benchmarks.ours import LINKAUTH, client
from linkauth import AuthEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from benchmarks.measure import Figures, Scene, Turn

    Make = Callable[[AsyncExitStack, Scene, int], Awaitable[object]]

CREDENTIALS = 300
BY_HAND = "token and time by hand"


async def _by_hand(stack: AsyncExitStack, scene: Scene, count: int) -> object:
    session = await stack.enter_async_context(ClientSession())
    held = [Bare(scene.server.token_url, session) for _ in range(count)]
    for one in held:
        await one.token()
    return held


async def _linkauth(stack: AsyncExitStack, scene: Scene, count: int) -> object:
    engine = await stack.enter_async_context(AuthEngine("memory:"))
    vendor = client(scene.server)
    held = [engine.credential(vendor, f"account {number}") for number in range(count)]
    for one in held:
        await one.token()
    return held


async def _renewed(stack: AsyncExitStack, scene: Scene, count: int) -> object:
    held = await _linkauth(stack, scene, count)
    assert isinstance(held, list)
    for one in held:
        await one.refresh()
    return held


async def _aiohttp_oauth2_client(stack: AsyncExitStack, scene: Scene, count: int) -> object:
    from aiohttp_oauth2_client.grant.client_credentials import ClientCredentialsGrant

    held = [ClientCredentialsGrant(scene.server.token_url, "a", "b") for _ in range(count)]
    for one in held:
        await stack.enter_async_context(one)
        await one.prepare_headers()
    return held


async def _requests_oauth2client(stack: AsyncExitStack, scene: Scene, count: int) -> object:
    from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth

    common = OAuth2Client(scene.server.token_url, client_id="a", client_secret="b", testing=True)
    stack.callback(common.session.close)
    held = [OAuth2ClientCredentialsAuth(common) for _ in range(count)]
    for one in held:
        one.renew_token()
    return held


async def _google_auth(stack: AsyncExitStack, scene: Scene, count: int) -> object:
    import google.auth.transport.requests
    import google.oauth2.credentials

    request = google.auth.transport.requests.Request()
    stack.callback(request.session.close)
    wanted = {"token_uri": scene.server.token_url, "client_id": "a", "client_secret": "b"}
    held = [google.oauth2.credentials.Credentials(None, refresh_token=f"{n}", **wanted) for n in range(count)]
    for one in held:
        one.refresh(request)
    return held


async def _bytes_each(make: Make, scene: Scene) -> Figures:
    """Of twice as many less once as many, so that what there is once for all does not count."""
    few, sizes = scene.some(CREDENTIALS), []
    for count in (few, 2 * few):
        async with AsyncExitStack() as stack:
            gc.collect()
            tracemalloc.start()
            held = await make(stack, scene, count)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            del held
    return {"bytes": (sizes[1] - sizes[0]) / few}


@asynccontextmanager
async def _opened(scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    await scene.server.behave()
    makers: dict[str, Make] = {
        BY_HAND: _by_hand,
        LINKAUTH: _linkauth,
        f"{LINKAUTH}, renewed once": _renewed,
        "aiohttp-oauth2-client": _aiohttp_oauth2_client,
        "google-auth": _google_auth,
        "requests-oauth2client": _requests_oauth2client,
    }
    yield {name: partial(_bytes_each, make, scene) for name, make in makers.items() if name not in peers.ABSENT}


MEMORY = Bench(
    "memory",
    "A credential with its token, of which 512 bytes are the token's text",
    _opened,
    BY_HAND,
    rounds=3,
    warms_up=False,
)
