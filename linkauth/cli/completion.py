"""``linkauth completion SHELL``: the script by which a shell completes commands, options and vendors. It runs nothing when it does."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, cast

from linkauth.cli.known import known
from linkauth.cli.parser import parser
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Print it. Raises ``ConfigurationError`` where shtab, which writes it, is not installed."""
    try:
        import shtab  # noqa: PLC0415  # an extra, and no other command's
    except ImportError:
        raise ConfigurationError("the script is written by shtab: pip install 'linkauth[cli]'") from None
    whole = parser()
    for command in _commands(whole):
        for action in command._actions:  # noqa: SLF001  # argparse has no other way to what was added
            if action.metavar == "VENDOR":
                action.choices = sorted(known())  # the parser itself says more of a name that is not known
    print(shtab.complete(whole, shell=chosen.shell))
    return 0


def _commands(whole: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in whole._actions:  # noqa: SLF001  # as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            yield from cast("dict[str, argparse.ArgumentParser]", action.choices).values()
