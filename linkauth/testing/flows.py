"""Play a vendor's flow without a loop or a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Flow, Request, Response

__all__ = ["play"]

T = TypeVar("T")


def play(flow: Flow[T], *answers: Response) -> tuple[T, list[Request]]:
    """Drive ``flow`` with ``answers``, one for each request; its result and the requests that it made.

    What the flow raises comes out as it is. ``AssertionError`` where it asks for more than there are answers, or for
    fewer.
    """
    asked: list[Request] = []
    left = list(answers)
    try:
        request = next(flow)
        while True:
            asked.append(request)
            assert left, f"the flow asked a request no. {len(asked)} that has no answer"
            request = flow.send(attrs.evolve(left.pop(0), request=request))
    except StopIteration as done:
        assert not left, f"{len(left)} answers were never asked for"
        return done.value, asked
