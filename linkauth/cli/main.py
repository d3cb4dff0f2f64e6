"""What can be typed, and how it ends: 0 well, 1 with an error that says who has to act, 2 not understood, 130 by Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from linkauth.cli import commands, connect, demo, registration, sandbox
from linkauth.errors import LinkAuthError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["main", "parser"]

INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    chosen = parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if chosen.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        status: int = asyncio.run(chosen.run(chosen))
    except LinkAuthError as error:
        print(f"linkauth: {error}", file=sys.stderr)
        if error.who != "nobody":
            print(f"Who has to act: {error.who}.", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:  # the reader has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    return status


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed."""
    whole = argparse.ArgumentParser(prog="linkauth", description="OAuth2 tokens that are always fresh.")
    whole.add_argument("--verbose", action="store_true", help="log what happens, never a secret")
    several = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], Awaitable[int]], words: str) -> argparse.ArgumentParser:
        one = several.add_parser(name, help=words, description=words)
        one.set_defaults(run=run)
        return one

    one = add("demo", demo.run, "see 200 tasks in 4 processes share one token, beside 200 that do not")
    one.add_argument("--seconds", type=float, default=15.0, help="how long (default 15)")
    one = add("sandbox", sandbox.run, "serve the vendors on loopback, as documented")
    one.add_argument("--host", default="127.0.0.1", help="a loopback address (default 127.0.0.1)")
    one.add_argument("--port", type=int, default=8765, help="0 for any that is free (default 8765)")
    one = add("connect", connect.run, "log in or pair once, into a shared store")
    _store(one)
    registration.add_arguments(one)
    one.add_argument("--redirect-uri", default=connect.REDIRECT_URI, help=f"default {connect.REDIRECT_URI}")
    one.add_argument("--email", help="for linkxg-user; the password is asked for")
    one = add("status", commands.status, "how every credential in the store is doing")
    _store(one)
    one.add_argument("--json", action="store_true", help="one JSON object a line")
    one = add("token", commands.token, "make sure that a token is valid, and say until when")
    _store(one)
    registration.add_arguments(one)
    one.add_argument("--reveal", action="store_true", help="print the access token, and nothing else")
    one = add("keep-alive", commands.keep_alive, "renew refresh tokens that would otherwise lapse")
    _store(one)
    registration.add_arguments(one)
    one.add_argument(
        "--every", type=float, default=3600.0, help="seconds between two rounds of the fleet (default 3600)"
    )
    one.add_argument("--once", action="store_true", help="make one round and stop")
    one = add("rotate-secret", commands.rotate_secret, "replace the client's secret at the vendor (LinkXG)")
    _store(one)
    registration.add_arguments(one)
    one = add("logout", commands.logout, "revoke at the vendor where it can, forget in any case")
    _store(one)
    registration.add_arguments(one)
    add("new-key", commands.new_key, "print a key that encrypts what is stored ($LINKAUTH_KEYS)")
    return whole


def _store(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--store",
        default=os.environ.get("LINKAUTH_STORE"),
        metavar="URL",
        help="such as file:~/.linkauth or redis://localhost/0; default $LINKAUTH_STORE. "
        "A store that is encrypted is read with $LINKAUTH_KEYS (newest first, separated by commas)",
    )
