"""Takes steps to their end: the one loop that drives the generators of ``protocol``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.protocol.effects import Effect, Steps

__all__ = ["drive"]

T = TypeVar("T")


async def drive(steps: Steps[T], perform: Callable[[Effect], Awaitable[Any]]) -> T:
    """What ``steps`` return. What ``perform`` raises for an effect is raised to them, where they stand."""
    try:
        effect = next(steps)
        while True:
            try:
                done = await perform(effect)
            except Exception as error:  # noqa: BLE001  # theirs to judge, whatever it is
                effect = steps.throw(error)
            else:
                effect = steps.send(done)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()
