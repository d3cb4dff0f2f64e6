"""A worker's steps: a generator that cannot be copied, so that it is run again from its beginning.

``Point`` is a place in one run of steps. Where it has led is remembered, so that each run is done once, however many worlds
pass through it; and the last one stays open, so that going on from it costs a step and not the whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import attrs

from linkauth.errors import LinkAuthError
from linkauth.oauth.token import Token
from tests.model.vendor import Kind
from tests.model.worker import Ended, Fake, Known, Outcome, Raises, pause

__all__ = ["Point", "Program", "Told"]

Program: TypeAlias = Callable[["Fake", int, float], Generator[Any, Any, Token]]


@attrs.frozen(cache_hash=True)
class Told:
    """What a run of steps was told at one of its yields, and as what it knew the world then."""

    known: Known
    clock: float
    answer: Any = None


class Point:
    """At an effect (``effect``), or at the end (``ended``). Two are the same only where they are one object."""

    __slots__ = ("_came", "_kind", "_led", "_open", "_program", "effect", "ended", "known")

    def __init__(self, program: Program, kind: Kind, came: tuple[Told, ...] = ()) -> None:
        self._program = program
        self._kind = kind
        self._came = came
        self._led: dict[Told, Point] = {}
        self._open: tuple[Fake, Generator[Any, Any, Token]] | None = None
        self.effect: Any = None
        self.ended: Ended | None = None
        self.known = Known()
        """As the steps have left it: they may observe a record by themselves."""

    def then(self, told: Told) -> Point:
        found = self._led.get(told)
        if found is None:
            found = self._led[told] = Point(self._program, self._kind, (*self._came, told))
            found._arrive(*self._run())
        return found

    def _run(self) -> tuple[Fake, Generator[Any, Any, Token]]:
        """The steps, come so far as here."""
        if self._open is not None:
            found, self._open = self._open, None
            return found
        me = Fake(self._kind)
        if not self._came:
            return me, iter(())  # type: ignore[return-value]
        steps = self._begin(me, self._came[0])
        next(steps)
        for told in self._came[1:]:
            self._tell(me, steps, told)
        return me, steps

    def _begin(self, me: Fake, told: Told) -> Generator[Any, Any, Token]:
        me.known, me.clock = told.known, told.clock
        return self._program(me, *told.answer)

    def _tell(self, me: Fake, steps: Generator[Any, Any, Token], told: Told) -> Any:
        me.known, me.clock = told.known, told.clock
        match told.answer:
            case Raises():
                return steps.throw(told.answer.error())
            case Outcome():
                return steps.send(told.answer.failed())
            case _:
                return steps.send(told.answer)

    def _arrive(self, me: Fake, steps: Generator[Any, Any, Token]) -> None:
        told = self._came[-1]
        try:
            if len(self._came) == 1:
                steps = self._begin(me, told)
                self.effect = next(steps)
            else:
                self.effect = self._tell(me, steps, told)
            self._open = me, steps
        except StopIteration as end:
            self.ended = Ended("has a token" if end.value else "is done", end.value)
        except LinkAuthError as error:
            self.ended = Ended(f"{type(error).__name__}: {error}", pause=pause(error, me))
        self.known = me.known
