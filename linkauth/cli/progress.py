"""How far a long command is, on standard error."""

from __future__ import annotations

import sys
import time
from typing import Final

__all__ = ["Progress"]

EVERY: Final = 5.0
"""Seconds between two lines in a log."""
EVERY_TERMINAL: Final = 0.2
"""Seconds between two states of the one line at a terminal."""


class Progress:
    """``stored 1,200 of 10,000``: one line that changes at a terminal, now and then a line elsewhere. Of what is short, none."""

    def __init__(self, doing: str, total: int) -> None:
        """``doing``: what has been done with each, as in ``stored``."""
        self._doing = doing
        self._total = total
        self._done = 0
        self._terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (EVERY_TERMINAL if self._terminal else EVERY)
        self._told = False

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (EVERY_TERMINAL if self._terminal else EVERY)
            self._tell()

    def end(self) -> None:
        """Leave the terminal's line as it is."""
        if self._told and self._terminal:
            self._tell()
            print(file=sys.stderr)

    def _tell(self) -> None:
        self._told = True
        words = f"{self._doing} {self._done:,} of {self._total:,}"
        print(
            f"\r{words}" if self._terminal else words, end="" if self._terminal else "\n", file=sys.stderr, flush=True
        )
