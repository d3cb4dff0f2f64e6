"""Log in or pair once, from a terminal, into a store that workers share."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from linkauth.cli import browser
from linkauth.cli.registration import credential, engine
from linkauth.cli.terminal import ask, ask_secret
from linkauth.errors import ConfigurationError, StateMismatch
from linkauth.vendors import Vendor

if TYPE_CHECKING:
    import argparse

    from linkauth import Credential
    from linkauth.cli.answer_ways import AnswerWays
    from linkauth.cli.user_answer import UserAnswer

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Ask for a password, or send the user to the vendor and wait for the callback."""
    async with engine(chosen) as opened:
        found = await credential(opened, chosen)
        if type(found.vendor).login is not Vendor.login:
            email = chosen.email or ask("e-mail", "give --email, or set $LINKAUTH_EMAIL")
            await found.login(email=email, password=ask_secret("LINKAUTH_PASSWORD", "password"))
        elif found.vendor.needs_user:
            await _ask_user(found, chosen)
        else:
            await found.token()
    print(f"Connected: {found.vendor.name}/{found.account}")
    return 0


async def _ask_user(found: Credential, chosen: argparse.Namespace) -> None:
    # What serves and reads callbacks is a second of a command's start.
    from linkauth.cli.answer_ways import answer_ways  # noqa: PLC0415
    from linkauth.cli.listening import listening  # noqa: PLC0415
    from linkauth.cli.user_answer import UserAnswer  # noqa: PLC0415

    ways, answer = answer_ways(found.vendor, chosen), UserAnswer(found)
    async with AsyncExitStack() as stack:
        if ways.listen is not None:
            # First the ears, then the question: the answer may come at once.
            path = urlsplit(ways.redirect_uri).path or "/"
            try:
                await stack.enter_async_context(listening(answer, *ways.listen, path, otherwise=ways.otherwise))
            except ConfigurationError as error:
                if not ways.pasted:
                    raise
                print(f"linkauth: {error}, or paste the answer", file=sys.stderr)
        url = await found.authorization_url(ways.redirect_uri)
        opens = not chosen.no_browser and browser.is_here()
        print(f"{'This page opens' if opens else 'Open this page'} in a browser:\n\n  {url}\n", flush=True)
        if opens:
            browser.show(url)
        print(_what_next(ways), flush=True)
        await _wait(answer, pasted=ways.pasted)


def _what_next(ways: AnswerWays) -> str:
    if ways.pasted:
        return (
            "When you have answered there, copy the whole address at which the browser arrives; that its page does not load does "
            "not matter. Ctrl-C ends the waiting."
        )
    words = "Waiting for the answer. Ctrl-C ends it."
    if browser.is_remote() and ways.listen is not None:
        host, port = ways.listen
        words += f"\nIn a browser on another machine the answer needs a way here: ssh -L {port}:{host}:{port} …"
    return words


async def _wait(answer: UserAnswer, *, pasted: bool) -> None:
    """Raises ``StateMismatch`` where no answer comes in time, and whatever the answer leads to."""
    from linkauth.cli.pasting import pasting  # noqa: PLC0415

    ways: list[asyncio.Future[None]] = [answer.done]
    if pasted:
        ways.append(asyncio.get_running_loop().create_task(pasting(answer)))
    try:
        ended, _ = await asyncio.wait(
            ways, timeout=answer.found.vendor.pending_lifetime, return_when=asyncio.FIRST_COMPLETED
        )
        if not ended:
            raise StateMismatch("nobody has answered in time; start again")
        for way in ended:
            way.result()
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)  # so that the terminal is as it was
