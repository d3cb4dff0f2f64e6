"""A network between nodes: delay, loss of the request, loss of the answer, a request delivered twice, partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from tests.simulation.loop import WHO

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tests.simulation.loop import Node, SimLoop

__all__ = ["LATE", "REFUSED", "Net"]

LATE = object()
"""No answer within the time limit."""
REFUSED = object()
"""No connection: the other side has certainly seen nothing."""


@attrs.define
class Net:
    """``loss`` and ``twice``: the chance that a message to or from the store is lost, or a request delivered twice."""

    loop: SimLoop
    tell: Callable[[str, str], None]
    slowest: float = 0.02
    loss: float = 0.0
    twice: float = 0.0
    down: set[str] = attrs.field(factory=set)
    cuts: set[tuple[str, str]] = attrs.field(factory=set)

    def delay(self) -> float:
        return self.slowest * (0.05 + self.loop.rng.random())

    def reaches(self, one: Node, other: Node) -> bool:
        """Whether messages pass between the two."""
        cuts = self.cuts
        return not cuts or ((one.name, other.name) not in cuts and (other.name, one.name) not in cuts)

    async def call(
        self,
        what: str,
        other: Node,
        serve: Callable[..., None],
        *args: Any,
        patience: float,
        lossy: bool = True,
        repeatable: bool = True,
        gone: Callable[[], None] | None = None,
        breaks: float | None = None,
    ) -> Any:
        """Ask ``other``: ``serve(reply, *args)`` runs there. The answer, ``LATE`` or ``REFUSED``.

        ``gone``: called when an answer is lost, or comes when nobody waits for it any more. ``breaks``: seconds after
        which it is known that one was lost; None: it never is.
        """
        loop, me = self.loop, WHO.get()
        rng = loop.rng
        future: asyncio.Future[Any] = loop.create_future()
        timer = loop.call_later(patience, _settle, future, LATE)
        loss = self.loss if lossy else 0.0

        def lost(which: str) -> None:
            self.tell(me.name, f"… its {what} is lost" if which == "request" else f"… the answer to its {what} is lost")
            if which == "answer" and gone is not None:
                gone()
            if breaks is not None and me.alive:
                loop.call_later(breaks, _settle, future, LATE)

        def arrive(answer: Any) -> None:
            if not self.reaches(me, other):
                lost("answer")
            elif future.done():
                if gone is not None:
                    gone()
            else:
                future.set_result(answer)

        def reply(answer: Any) -> None:
            if not me.alive or not self.reaches(me, other) or (loss and rng.random() < loss):
                lost("answer")
            else:
                loop.post(me, self.delay(), arrive, answer)

        def deliver() -> None:
            if other.name in self.down or not self.reaches(me, other):
                lost("request")
            else:
                serve(reply, *args)

        if other.name in self.down:
            loop.call_later(self.delay(), _settle, future, REFUSED)
        elif not self.reaches(me, other) and not lossy:
            loop.call_later(1.0, _settle, future, REFUSED)  # a connection that does not come about
        elif loss and rng.random() < loss:
            lost("request")
        else:
            loop.post(other, self.delay(), deliver)
            if repeatable and self.twice and rng.random() < self.twice:
                self.tell(me.name, f"… its {what} is delivered twice")
                loop.post(other, self.delay() * 5, deliver)
        try:
            return await future
        finally:
            timer.cancel()


def _settle(future: asyncio.Future[Any], answer: object) -> None:
    if not future.done():
        future.set_result(answer)
