"""Take a vendor's callback on this machine."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
from aiohttp import web

from linkauth.cli.terminal import reason
from linkauth.cli.user_answer import GO_ON
from linkauth.errors import ConfigurationError
from linkauth.vendors.titles import title
from linkauth.web.callback import BadCallback, parameters
from linkauth.web.landing import CONNECTED, Landing, failure
from linkauth.web.visit import HEADERS
from linkauth.web.with_aiohttp import AiohttpVisit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from linkauth import Credential
    from linkauth.cli.user_answer import UserAnswer
    from linkauth.web.visit import Answer

__all__ = ["listening"]


@asynccontextmanager
async def listening(answer: UserAnswer, host: str, port: int, path: str, *, otherwise: str) -> AsyncGenerator[None]:
    """Take callbacks. Raises ``ConfigurationError`` where it cannot listen, with what to do ``otherwise``."""
    found = answer.found

    async def callback(request: web.Request) -> web.StreamResponse:
        visit = AiohttpVisit.of(request)
        try:
            params = await parameters(visit)
        except BadCallback as bad:
            return visit.respond(_page(found, bad.landing))
        error = await answer.take(params)
        if isinstance(error, GO_ON):
            print(f"A callback that changes nothing, and the waiting goes on: {error}", file=sys.stderr, flush=True)
        if error is not None:
            return visit.respond(_page(found, failure(error)))
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
            raise ConfigurationError(f"cannot listen on {host}:{port}: {reason(error)}; {otherwise}") from None
        yield
    finally:
        await runner.cleanup()


def _page(found: Credential, landing: Landing) -> Answer:
    # It starts in the terminal: a link to start again would lead nowhere.
    answer = attrs.evolve(landing, again=False).page(title(found.vendor.name), "")
    return attrs.evolve(answer, headers={**answer.headers, **HEADERS})
