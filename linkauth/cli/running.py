"""How a command runs, and how it ends.

Exit status 0: well. 1: an error, with a word on who has to act. 2: not understood. 130, 143: stopped by Ctrl-C or
SIGTERM, after what was in the air had landed; the sandbox, which is stopped in no other way, then ends with 0.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections import deque
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, TextIO

from linkauth.cli.parser import parser
from linkauth.errors import LinkAuthError, ReauthorizationRequired

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Iterable, Sequence

__all__ = ["ended"]

FAILED: Final = 1
INTERRUPTED: Final = 130
TERMINATED: Final = 143


def ended(chosen: argparse.Namespace, arguments: Sequence[str] | None) -> int:
    """Run the command that was ``chosen`` by ``arguments``; the exit status."""
    told = _Log()
    logging.basicConfig(
        level=logging.DEBUG if chosen.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s" if chosen.verbose else "%(name)s: %(message)s",
        handlers=[told],
    )
    try:
        if chosen.profile:
            chosen = _with_profile(chosen, arguments)
        module, _, function = str(chosen.run).partition(".")
        run = getattr(import_module(f"linkauth.cli.{module}"), function)
        status = asyncio.run(_until_stopped(run(chosen)))
        sys.stdout.flush()
    except LinkAuthError as error:
        _explain(error, told.last)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has gone, and has read what it wanted
        return 0
    return status


def _with_profile(chosen: argparse.Namespace, arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed, and what the profile says where nothing was. Raises ``ConfigurationError``."""
    from linkauth.cli import profile  # noqa: PLC0415  # it reads the catalogue

    profile.choose(chosen.profile, getattr(chosen, "vendor", None))
    return parser().parse_args(arguments)


async def _until_stopped(command: Awaitable[int]) -> int:
    """Its exit status. SIGTERM ends it as Ctrl-C does: a renewal that is in the air must land."""
    this, stopped = asyncio.current_task(), False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        if this is not None:
            this.cancel()

    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; or not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        return await command
    except asyncio.CancelledError:
        if stopped:
            return TERMINATED
        raise


class _Log(logging.StreamHandler[TextIO]):
    """The log on standard error, and the last lines that it has told."""

    def __init__(self) -> None:
        super().__init__()
        self.last = deque[str](maxlen=20)

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self.last.append(record.getMessage())


def _explain(error: LinkAuthError, told: Iterable[str]) -> None:
    """Say what is wrong, unless the log has, and who has to act."""
    if not any(str(error) in line for line in told):
        print(f"linkauth: {error}", file=sys.stderr)
    if isinstance(error, ReauthorizationRequired):
        words = "Who has to act: the user, by `linkauth connect` or in the app."
    elif error.who == "nobody":
        words = "Nobody has to act: try again later."
    else:
        words = f"Who has to act: {error.who}."
    print(words, file=sys.stderr)
