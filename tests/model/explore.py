"""Through all that may come of a case, nearest first; equal worlds are met once."""

from __future__ import annotations

from collections import deque
from unittest.mock import patch

import attrs

from linkauth.protocol import timing
from tests.model.beginning import begin, steps
from tests.model.judges import judge
from tests.model.moves import all_settled, moves
from tests.model.point import Program
from tests.model.world import Case, World

__all__ = ["Found", "explore"]


@attrs.frozen(kw_only=True)
class Found:
    """What came of a search."""

    states: int
    schedules: float
    """Ways from the beginning to an end. Nobody has walked each: equal worlds are met once."""
    bad: str = ""
    schedule: tuple[str, ...] = ()
    """The shortest that breaks something."""
    finished: bool = True

    def __str__(self) -> str:
        if not self.bad:
            return f"{self.states} states, {self.schedules:.3g} schedules: nothing found"
        return "\n    ".join([self.bad, *self.schedule])


LOOK_AGAIN = 1.0
"""Seconds between two looks of one who waits: four times as many bring nothing but sixteen times as many orders."""


def explore(case: Case, program: Program = steps, *, most: int = 1_000_000) -> Found:
    """What may become of a case. Raises ``NotImplementedError`` where the steps yield an effect that nobody has written down."""
    with patch.object(timing, "LOOK_AGAIN", LOOK_AGAIN):
        return _explore(case, program, most)


def _explore(case: Case, program: Program, most: int) -> Found:
    first = all_settled(begin(case, program))
    came: dict[World, tuple[World, str] | None] = {first: None}
    queue, ways = deque([first]), _Ways()
    while queue and len(came) < most:
        here = queue.popleft()
        after = [] if here.bad else list(moves(here))
        bad = here.bad
        if not after and not bad:
            bad = judge(case).at_the_end(here)
        if bad:
            path: list[str] = []
            while (link := came[here]) is not None:
                path.append(f"{here.now:6.2f}  {link[1]}")
                here = link[0]
            return Found(states=len(came), schedules=ways.count(first), bad=bad, schedule=tuple(reversed(path)))
        ways.lead(here, [there for _, there in after])
        for what, there in after:
            if there not in came:
                came[there] = (here, what)
                queue.append(there)
    return Found(states=len(came), schedules=ways.count(first), finished=not queue)


class _Ways:
    """Counts ways from the beginning to an end."""

    def __init__(self) -> None:
        self._after: dict[World, list[World]] = {}

    def lead(self, here: World, there: list[World]) -> None:
        self._after[here] = there

    def count(self, first: World) -> float:
        found: dict[World, float] = {}
        stack = [first]
        while stack:
            here = stack[-1]
            after = self._after.get(here, [])
            if missing := [there for there in after if there not in found]:
                stack += missing
                continue
            stack.pop()
            found[here] = sum(found[there] for there in after) or 1.0
        return found[first]
