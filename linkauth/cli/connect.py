"""Log in or pair once, from a terminal, into a store that workers share."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from linkauth.cli.registration import credential, engine
from linkauth.cli.terminal import ask, ask_secret
from linkauth.errors import ConfigurationError, StateMismatch
from linkauth.oauth.url import is_loopback, plain_url
from linkauth.vendors import Vendor

if TYPE_CHECKING:
    import argparse

    from linkauth import Credential

__all__ = ["REDIRECT_URI", "add_arguments", "run"]

REDIRECT_URI: Final = "http://127.0.0.1:8766/callback"


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
        if type(found.vendor).login is not Vendor.login:
            email = chosen.email or ask("e-mail")
            await found.login(email=email, password=ask_secret("LINKAUTH_PASSWORD", "password"))
        elif found.vendor.needs_user:
            await _pair(found, plain_url(chosen.redirect_uri), chosen.listen)
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
    from linkauth.cli.listening import listening  # noqa: PLC0415  # a web server is a second of a command's start

    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    # First the ears, then the question: the answer may come at once.
    async with listening(found, done, host, port, where.path or "/"):
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
