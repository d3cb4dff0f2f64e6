"""What can be typed, and how it ends.

Exit status 0: well. 1: an error, with a word on who has to act. 2: not understood. 130, 143: stopped by Ctrl-C or
SIGTERM, after what was in the air had landed; the sandbox, which is stopped in no other way, then ends with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import re
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from linkauth.cli import (
    commands,
    connect,
    copying,
    demo,
    doctor,
    exporting,
    forgetting,
    importing,
    sandbox,
    secret,
    status,
    vendors,
)
from linkauth.cli.registration import add_arguments, add_store
from linkauth.cli.terminal import age
from linkauth.errors import LinkAuthError, ReauthorizationRequired
from linkauth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    _Run: TypeAlias = Callable[[argparse.Namespace], Awaitable[int]]
    _Add: TypeAlias = Callable[[str, _Run, str], argparse.ArgumentParser]

__all__ = ["main", "parser"]

VERBOSE: Final = "log what happens, never a secret"
FAILED: Final = 1
INTERRUPTED: Final = 130
TERMINATED: Final = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Raises ``SystemExit`` where the arguments are not understood."""
    whole = parser()
    chosen = whole.parse_args(arguments)
    if chosen.run is None:
        whole.print_help()
        return 0
    logging.basicConfig(
        level=logging.DEBUG if chosen.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        ended = asyncio.run(_run(chosen))
        sys.stdout.flush()
    except LinkAuthError as error:
        _explain(error)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has gone: nobody is left to tell, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # it has read what it wanted
    return ended


async def _run(chosen: argparse.Namespace) -> int:
    """Run the command. SIGTERM ends it as Ctrl-C does: a renewal that is in the air must land."""
    this, stopped = asyncio.current_task(), False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        if this is not None:
            this.cancel()

    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; or not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        ended: int = await chosen.run(chosen)
    except asyncio.CancelledError:
        if stopped:
            return TERMINATED
        raise
    return ended


def _explain(error: LinkAuthError) -> None:
    print(f"linkauth: {error}", file=sys.stderr)
    if isinstance(error, ReauthorizationRequired):
        words = "Who has to act: the user, by `linkauth connect` or in the app."
    elif error.who == "nobody":
        words = "Nobody has to act: try again later."
    else:
        words = f"Who has to act: {error.who}."
    print(words, file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Says what was mistyped, but for a URL's user and password, wherever they were put."""

    def error(self, message: str) -> NoReturn:
        super().error(re.sub(r"//[^/?#\s']*@", "//****@", message))


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed."""
    whole = _Parser(prog="linkauth", description="OAuth2 tokens that are always fresh.")
    whole.add_argument("--version", action="version", version=f"linkauth {__version__}")
    whole.add_argument("-v", "--verbose", action="store_true", help=VERBOSE)
    whole.set_defaults(run=None)
    several = whole.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, run: _Run, words: str) -> argparse.ArgumentParser:
        one = several.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        one.set_defaults(run=run)
        # Before the command or after it; what is not given here leaves what was given there.
        one.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=VERBOSE)
        return one

    _add_first_steps(add)
    _add_sessions(add)
    _add_store(add)
    return whole


def _add_first_steps(add: _Add) -> None:
    one = add(
        "demo", demo.run, "see processes share a user's session through linkauth, beside the same with a lock by hand"
    )
    one.add_argument("--lifetime", type=_seconds, default=4.0, help="seconds that an access token lives (default 4)")
    one = add("sandbox", sandbox.run, "serve the vendors on loopback, as documented, and say what to type to try each")
    one.add_argument("--host", default="127.0.0.1", help="an IPv4 loopback address (default 127.0.0.1)")
    one.add_argument("--port", type=int, default=8765, help="0 for any that is free (default 8765)")
    one.add_argument("--json", action="store_true", help="print where all is, and the test secrets, as one line")
    add("vendors", vendors.run, "list the vendors that can be named, and where each one's facts are from")
    add("new-key", commands.new_key, "print a key that encrypts what is stored ($LINKAUTH_KEYS)")


def _add_sessions(add: _Add) -> None:
    one = add("connect", connect.run, "log in or pair once, from a terminal, into a shared store")
    add_arguments(one)
    connect.add_arguments(one)
    for name, run, words in (
        ("token", commands.token, "make sure that a token is valid, and say until when"),
        ("refresh", commands.refresh, "renew a token now, and say until when the new one is valid"),
    ):
        one = add(name, run, words)
        add_arguments(one)
        one.add_argument("--reveal", action="store_true", help="print the access token, and nothing else")
        one.add_argument("--json", action="store_true", help="one JSON object; with --reveal the token is in it")
    one = add("keep-alive", commands.keep_alive, "renew refresh tokens that would otherwise lapse")
    add_arguments(one)
    rounds = "seconds between two rounds of the fleet (default 3600)"
    one.add_argument("--every", type=_seconds, default=3600.0, help=rounds)
    one.add_argument("--once", action="store_true", help="make one round and stop, for a timer that calls again")
    older = "and replace the client's secret (LinkXG) when it is older than this, such as 90d"
    one.add_argument("--rotate-secrets-after", type=age, metavar="AGE", help=older)
    one = add("rotate-secret", secret.run, "replace the client's secret at the vendor (LinkXG), or show it")
    add_arguments(one)
    secret.add_arguments(one)
    one = add("logout", commands.logout, "revoke at the vendor where it can, forget in any case")
    add_arguments(one)
    one = add("import", importing.run, "bring in sessions that were made elsewhere: lines of JSON on standard input")
    add_arguments(one)
    importing.add_arguments(one)


def _add_store(add: _Add) -> None:
    one = add(
        "status",
        status.run,
        "how every credential and client secret in the store is doing; exit status 1 where one needs somebody",
    )
    add_store(one)
    status.add_arguments(one)
    one = add("doctor", doctor.run, "whether the store is fit for work, and what to do where it is not")
    add_store(one)
    one = add("export", exporting.run, "print the sessions in the store, with their secrets, as import reads them")
    add_store(one)
    exporting.add_arguments(one)
    one = add("copy", copying.run, "copy everything that one store holds into another")
    copying.add_arguments(one)
    one = add("forget", forgetting.run, "take credentials out of the store; no vendor is asked")
    add_store(one)
    forgetting.add_arguments(one)
    one = add("reseal", commands.reseal, "write everything in the store under the newest key of $LINKAUTH_KEYS")
    add_store(one)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


_seconds.__name__ = "number of seconds"  # argparse says it: "invalid number of seconds value"
