"""Every command: its name, where its code is, and what can be typed after it."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Final, NoReturn

from linkauth.cli import options
from linkauth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COMMANDS", "parser"]

COMMANDS: Final[dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], str]]] = {
    "demo": (
        "demo.run",
        options.demo,
        "see processes share a user's session through linkauth, beside the same with a lock by hand",
    ),
    "sandbox": (
        "sandbox.run",
        options.sandbox,
        "serve the vendors on loopback, as documented, and say what to type to try each",
    ),
    "vendors": (
        "vendors.run",
        options.nothing,
        "list the vendors that can be named, and where each one's facts are from",
    ),
    "new-key": (
        "commands.new_key",
        options.nothing,
        "print a key that encrypts what is stored ($LINKAUTH_KEYS)",
    ),
    "completion": (
        "completion.run",
        options.completion,
        "print the script by which a shell completes commands, options and vendors",
    ),
    "connect": (
        "connect.run",
        options.connect,
        "log in or pair once, from a terminal, into a shared store",
    ),
    "token": (
        "commands.token",
        options.token,
        "make sure that a token is valid, and say until when",
    ),
    "refresh": (
        "commands.refresh",
        options.token,
        "renew a token now, and say until when the new one is valid",
    ),
    "keep-alive": (
        "commands.keep_alive",
        options.keep_alive,
        "renew refresh tokens that would otherwise lapse",
    ),
    "rotate-secret": (
        "secret.run",
        options.rotate_secret,
        "replace the client's secret at the vendor (LinkXG), or show it",
    ),
    "logout": (
        "commands.logout",
        options.logout,
        "revoke at the vendor where it can, forget in any case",
    ),
    "import": (
        "importing.run",
        options.import_,
        "bring in sessions that were made elsewhere: lines of JSON on standard input",
    ),
    "status": (
        "status.run",
        options.status,
        "how every credential and client secret in the store is doing; exit status 1 where one needs somebody",
    ),
    "doctor": (
        "doctor.run",
        options.doctor,
        "whether the store is fit for work, and what to do where it is not",
    ),
    "export": (
        "exporting.run",
        options.export,
        "print the sessions in the store, with their secrets, as import reads them",
    ),
    "copy": (
        "copying.run",
        options.copy,
        "copy everything that one store holds into another",
    ),
    "forget": (
        "forgetting.run",
        options.forget,
        "take credentials out of the store; no vendor is asked",
    ),
    "reseal": (
        "commands.reseal",
        options.reseal,
        "write everything in the store under the newest key of $LINKAUTH_KEYS",
    ),
}
"""By what is typed: the module of ``linkauth.cli`` with the function that runs it, what adds its options, and what it is for."""


class _Parser(argparse.ArgumentParser):
    """Says what was mistyped, but for a URL's user and password, wherever they were put."""

    def error(self, message: str) -> NoReturn:
        super().error(re.sub(r"//[^/?#\s']*@", "//****@", message))


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed. ``run`` is the module and the function of the command that was, or None."""
    whole = _Parser(prog="linkauth", description="OAuth2 tokens that are always fresh.")
    whole.add_argument("--version", action="version", version=f"linkauth {__version__}")
    whole.set_defaults(verbose=False, profile=os.environ.get("LINKAUTH_PROFILE"))
    _add_anywhere(whole)
    whole.set_defaults(run=None)
    several = whole.add_subparsers(title="commands", metavar="COMMAND")
    for name, (run, add_options, words) in COMMANDS.items():
        one = several.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        _add_anywhere(one)
        add_options(one)
        one.set_defaults(run=run)
    return whole


def _add_anywhere(one: argparse.ArgumentParser) -> None:
    """Add what goes before the command or after it: what is not given here leaves what was given there."""
    absent = argparse.SUPPRESS
    one.add_argument("-v", "--verbose", action="store_true", default=absent, help="log what happens, never a secret")
    one.add_argument(
        "--profile",
        default=absent,
        metavar="NAME",
        help="take what neither arguments nor environment say from [NAME] in $LINKAUTH_CONFIG; default $LINKAUTH_PROFILE, "
        "and ~/.config/linkauth.toml",
    )
