"""A reader that has gone, as in ``| head -1``, is no failure: it has read what it wanted, and nobody is left to tell."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["readers_may_go"]


@contextmanager
def readers_may_go() -> Generator[None]:
    """Drop what is told on standard error when nobody reads it, and at the end what either stream still holds.

    Standard output whose reader has gone raises ``BrokenPipeError`` before that: whoever prints the result may stop.
    """
    try:
        with redirect_stderr(cast("TextIO", _Told(sys.stderr))):
            yield
    finally:  # or the interpreter flushes them as it ends, and makes a failure of it
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                _drop(stream)


class _Told:
    """Standard error, to which it does not matter whether anybody reads it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            _drop(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            _drop(self._stream)


def _drop(stream: TextIO) -> None:
    """Let all that ``stream`` holds, and is given from now on, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
