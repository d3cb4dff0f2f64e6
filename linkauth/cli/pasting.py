"""Take a vendor's callback from the terminal: the address at which the user's browser arrived, elsewhere.

It holds a code, so it is not shown. It is read byte by byte, for a terminal that waits for whole lines cuts them (4,096 bytes on
Linux, 1,024 on macOS); and by the event loop, so that whatever else the command waits for goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from linkauth.cli.user_answer import GO_ON
from linkauth.errors import ConfigurationError
from linkauth.oauth.token import secret_str
from linkauth.web.callback import BadCallback, of_query

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from linkauth.cli.user_answer import UserAnswer

__all__ = ["can_paste", "pasting"]

LARGEST: Final = 64 * 1024
"""Bytes of a line; what comes after is left out."""
ENDS, ERASE, CLEAR, CTRL_D = b"\r\n", 0x7F, 0x15, 0x04
PROMPT: Final = "Paste it here (it is not shown): "


def can_paste() -> bool:
    """Whether somebody sits at the terminal, and this command is not in the background, where it would be stopped."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        return False
    with suppress(OSError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False


async def pasting(answer: UserAnswer) -> None:
    """Take pasted addresses until one is the answer. Of each its query counts alone, as a callback's (RFC 6749 §4.1.2).

    Raises ``ConfigurationError`` where nobody is at a terminal.
    """
    if not can_paste():
        raise ConfigurationError(
            "the address at which the browser arrives: nobody is there to be asked; start it in a terminal, or have the "
            "answer come here, by a --redirect-uri on this machine or by --listen"
        )
    with _typed_lines() as typed:
        while not answer.done.done():
            print(PROMPT, end="", flush=True)
            text = await typed.get()
            print(flush=True)
            params: Mapping[str, str] = {}
            with suppress(BadCallback, ValueError):
                params = of_query(urlsplit(text).query)
            if not params:
                print("There is no answer in that: copy the whole address, from http to its end.", file=sys.stderr)
                continue
            error = await answer.take(params)
            if isinstance(error, GO_ON):
                print(f"That address changes nothing: {error}", file=sys.stderr)


@contextmanager
def _typed_lines() -> Generator[asyncio.Queue[str]]:
    """What is typed, line by line, unseen. Ctrl-D ends the command as Ctrl-C does."""
    import termios  # noqa: PLC0415  # not on Windows

    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    lines: asyncio.Queue[str] = asyncio.Queue()
    line = bytearray()

    def read() -> None:
        found = b""
        with suppress(OSError):
            found = os.read(terminal, LARGEST)
        if not found:  # the terminal has gone
            loop.remove_reader(terminal)
        for byte in found:
            if byte in ENDS:
                lines.put_nowait(secret_str(line.decode(errors="replace").strip()))
                line.clear()
            elif byte == CTRL_D:
                signal.raise_signal(signal.SIGINT)
            elif byte == CLEAR:
                line.clear()
            elif byte == ERASE:
                del line[-1:]
            elif len(line) < LARGEST:
                line.append(byte)

    before = termios.tcgetattr(terminal)
    unseen = termios.tcgetattr(terminal)
    unseen[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(terminal, termios.TCSADRAIN, unseen)
    loop.add_reader(terminal, read)
    try:
        yield lines
    finally:
        loop.remove_reader(terminal)
        # What is left of a paste must not be typed into the shell.
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
