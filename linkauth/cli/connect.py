"""Log in or pair once, from a terminal, into a store that workers share."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from linkauth.cli.registration import ask_secret, engine, vendor
from linkauth.errors import AuthorizationPending, ConfigurationError
from linkauth.oauth import wire
from linkauth.oauth.url import is_loopback

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from linkauth import Credential

__all__ = ["REDIRECT_URI", "run"]

REDIRECT_URI: Final = "http://127.0.0.1:8766/callback"
LARGEST: Final = 1 << 16
HEADERS: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
PAGE: Final = """<!doctype html><html lang="en"><title>linkauth</title><main><h1>{}</h1>
<p>You can close this page and go back to the terminal.</p></main></html>"""


async def run(chosen: argparse.Namespace) -> int:
    """Ask for a password, or send the user to the vendor and wait for the callback."""
    async with engine(chosen) as opened:
        credential = opened.credential(await vendor(chosen), chosen.account or "default")
        if chosen.vendor == "linkxg-user":
            email = chosen.email or _ask("e-mail")
            await credential.login(email=email, password=ask_secret("LINKAUTH_PASSWORD", "password"))
        elif credential.vendor.needs_user:
            await _pair(credential, chosen.redirect_uri)
        else:
            await credential.token()
    print(f"Connected: {chosen.vendor}/{credential.account}")
    return 0


async def _pair(credential: Credential, redirect_uri: str) -> None:
    url = await credential.authorization_url(redirect_uri)
    print(f"Open this page in a browser:\n\n  {url}\n", flush=True)
    where = urlsplit(redirect_uri)
    if where.scheme == "http" and is_loopback(where.hostname):
        print("Waiting for the answer …", flush=True)
        await _serve(credential, where.hostname or "", where.port or 80, where.path)
    else:
        answer = await asyncio.to_thread(_ask, "and paste the address that it sent you to")
        await credential.complete(dict(parse_qsl(urlsplit(answer).query)))


async def _serve(credential: Credential, host: str, port: int, path: str) -> None:
    """Take callbacks, GET or POST, until one completes the credential."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def callback(request: web.Request) -> web.Response:
        try:
            await credential.complete(await _params(request))
        except AuthorizationPending:
            return _page("Not answered yet", 202)
        except Exception as error:  # noqa: BLE001  # it is raised again in the terminal
            if not done.done():
                done.set_exception(error)
            return _page("That did not work", 400)
        if not done.done():
            done.set_result(None)
        return _page("Connected", 200)

    app = web.Application(client_max_size=LARGEST)
    app.router.add_route("GET", path or "/", callback)
    app.router.add_route("POST", path or "/", callback)
    runner = web.AppRunner(app, access_log=None)  # the access log would hold the code
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await done
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    finally:
        await runner.cleanup()


async def _params(request: web.Request) -> Mapping[str, str]:
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/json":
        body = wire.as_object(wire.decode(await request.read()))
        return {name: value for name, value in body.items() if isinstance(value, str)}
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _page(words: str, status: int) -> web.Response:
    return web.Response(text=PAGE.format(words), content_type="text/html", status=status, headers=HEADERS)


def _ask(what: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what}: nobody is there to be asked")
    return input(f"{what}: ").strip()
