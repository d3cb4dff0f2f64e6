"""Two ways of doing the same, run in turn, so that whatever else the machine does is done to both.

What is compared is processor time of this process, the best round of each side: the other work of a busy machine can
only add to it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@attrs.frozen
class Row:
    """A line of the table."""

    what: str
    figure: str
    note: str = ""


async def best(rounds: int, calls: int, **sides: Callable[[int], Awaitable[None]]) -> dict[str, float]:
    """Seconds of processor time per call of each side, each run ``rounds`` times in turn with ``calls`` calls."""
    found = dict.fromkeys(sides, float("inf"))
    for _ in range(max(rounds, 1)):
        for name, side in sides.items():
            begun = time.process_time()
            await side(calls)
            found[name] = min(found[name], (time.process_time() - begun) / calls)
    return found


def ratio(what: str, ours: float, theirs: float, than: str) -> Row:
    """``ours`` as a multiple of ``theirs``."""
    note = f"{than}; {1e6 * ours:.2f} µs against {1e6 * theirs:.2f} µs of processor time"
    return Row(what, f"{ours / theirs:.2f} times", note)
