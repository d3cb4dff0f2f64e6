"""Take a vendor's callback on this machine."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

from linkauth.cli.terminal import reason
from linkauth.errors import (
    AuthorizationPending,
    ConfigurationError,
    InvalidRequest,
    LinkAuthError,
    RateLimited,
    StateMismatch,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.vendors.titles import title
from linkauth.web.callback import BadCallback, parameters
from linkauth.web.landing import CONNECTED, Landing, failure
from linkauth.web.visit import HEADERS
from linkauth.web.with_aiohttp import AiohttpVisit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from linkauth import Credential
    from linkauth.web.visit import Answer

__all__ = ["listening"]

GO_ON: Final = (
    AuthorizationPending,
    InvalidRequest,
    RateLimited,
    StateMismatch,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)
"""After these the state is still good, or was not ours: whoever sends nonsense to the port does not end the waiting."""


@asynccontextmanager
async def listening(
    found: Credential, done: asyncio.Future[None], host: str, port: int, path: str
) -> AsyncGenerator[None]:
    """Take callbacks until ``done``: one completes the credential, or fails for good."""

    async def callback(request: web.Request) -> web.StreamResponse:
        visit = AiohttpVisit.of(request)
        try:
            await found.complete(await parameters(visit))
        except BadCallback as bad:
            return visit.respond(_page(found, bad.landing))
        except LinkAuthError as error:
            if isinstance(error, GO_ON):
                print(f"A callback that changes nothing: {error}", file=sys.stderr, flush=True)
            elif not done.done():
                done.set_exception(error)
            return visit.respond(_page(found, failure(error)))
        if not done.done():
            done.set_result(None)
        return visit.respond(_page(found, CONNECTED))

    app = web.Application()
    app.router.add_get(path, callback, allow_head=False)
    if found.vendor.posts_callback:
        app.router.add_post(path, callback)
    # The access log would hold the code; and a browser that leaves its connection open is not waited for.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host}:{port}: {reason(error)}") from None
        except OverflowError:
            raise ConfigurationError(f"cannot listen on {host}:{port}: there is no such port") from None
        yield
    finally:
        await runner.cleanup()


def _page(found: Credential, landing: Landing) -> Answer:
    # It starts in the terminal: a link to start again would lead nowhere.
    answer = attrs.evolve(landing, again=False).page(title(found.vendor.name), "")
    return attrs.evolve(answer, headers={**answer.headers, **HEADERS})
