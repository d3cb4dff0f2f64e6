"""Log in or pair once, from a terminal, into a store that workers share."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

import attrs
from aiohttp import web

from linkauth.cli.registration import credential, engine
from linkauth.cli.terminal import ask, ask_secret, reason
from linkauth.errors import (
    AuthorizationPending,
    ConfigurationError,
    InvalidRequest,
    LinkAuthError,
    NotSent,
    StateMismatch,
    StoreUnavailable,
    UntrustedEndpoint,
)
from linkauth.oauth.url import endpoint_url, is_loopback
from linkauth.web.callback import BadCallback, parameters
from linkauth.web.landing import CONNECTED, Landing, failure

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from linkauth import Credential

__all__ = ["REDIRECT_URI", "add_arguments", "run"]

REDIRECT_URI: Final = "http://127.0.0.1:8766/callback"
HEADERS: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
GO_ON: Final = (AuthorizationPending, InvalidRequest, NotSent, StateMismatch, StoreUnavailable, UntrustedEndpoint)
"""After these the state is still good, or was not ours: whoever sends nonsense to the port does not end the waiting."""


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Add the options."""
    one.add_argument("--email", default=os.environ.get("LINKAUTH_EMAIL"), help="linkxg-user; default $LINKAUTH_EMAIL")
    one.add_argument(
        "--redirect-uri",
        default=os.environ.get("LINKAUTH_REDIRECT_URI", REDIRECT_URI),
        help=f"as registered with the vendor; default $LINKAUTH_REDIRECT_URI, else {REDIRECT_URI}",
    )
    one.add_argument(
        "--listen",
        type=int,
        metavar="PORT",
        help="take the callback at this port of 127.0.0.1, for a redirect URI whose host passes it on to here",
    )


async def run(chosen: argparse.Namespace) -> int:
    """Ask for a password, or send the user to the vendor and wait for the callback."""
    async with engine(chosen) as opened:
        found = await credential(opened, chosen)
        if chosen.vendor == "linkxg-user":
            email = chosen.email or ask("e-mail")
            await found.login(email=email, password=ask_secret("LINKAUTH_PASSWORD", "password"))
        elif found.vendor.needs_user:
            await _pair(found, endpoint_url(chosen.redirect_uri), chosen.listen)
        else:
            await found.token()
    print(f"Connected: {found.vendor.name}/{found.account}")
    return 0


async def _pair(found: Credential, redirect_uri: str, listen: int | None) -> None:
    where = urlsplit(redirect_uri)
    if listen is not None:
        host, port = "127.0.0.1", listen
    elif where.scheme == "http" and is_loopback(where.hostname):
        host, port = where.hostname or "", where.port or 80
    elif found.vendor.posts_callback:
        # What a browser posts cannot be copied from its address bar.
        raise ConfigurationError(f"{found.vendor.name} answers by POST: --redirect-uri on this machine, or --listen")
    else:
        await _send(found, redirect_uri)
        answer = ask("and paste the address that it sent you to")
        await found.complete(dict(parse_qsl(urlsplit(answer).query)))
        return
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    # First the ears, then the question: the answer may come at once.
    async with _listening(found, done, host, port, where.path or "/"):
        await _send(found, redirect_uri)
        print("Waiting for the answer. Ctrl-C ends it.", flush=True)
        try:
            async with asyncio.timeout(found.vendor.pending_lifetime):
                await done
        except TimeoutError:
            raise StateMismatch("nobody has answered in time; start again") from None


async def _send(found: Credential, redirect_uri: str) -> None:
    url = await found.authorization_url(redirect_uri)
    print(f"Open this page in a browser:\n\n  {url}\n", flush=True)


@asynccontextmanager
async def _listening(
    found: Credential, done: asyncio.Future[None], host: str, port: int, path: str
) -> AsyncGenerator[None]:
    """Take callbacks until ``done``: one completes the credential, or fails for good."""

    async def callback(request: web.Request) -> web.Response:
        try:
            await found.complete(await parameters(request))
        except BadCallback as bad:
            return _page(found, bad.landing)
        except LinkAuthError as error:
            if isinstance(error, GO_ON):
                print(f"A callback that changes nothing: {error}", file=sys.stderr, flush=True)
            elif not done.done():
                done.set_exception(error)
            return _page(found, failure(error))
        if not done.done():
            done.set_result(None)
        return _page(found, CONNECTED)

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


def _page(found: Credential, landing: Landing) -> web.Response:
    # It starts in the terminal: a link to start again would lead nowhere.
    response = attrs.evolve(landing, again=False).page(found.vendor.name, "")
    response.headers.update(HEADERS)
    return response
