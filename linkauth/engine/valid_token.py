"""A token that is handed out at a glance at one clock, for as long as nothing else is to be done about it.

Two clocks tell what a token is worth (``engine.clock``). Here they are compared now and then; in between the wall clock alone is
looked at, on both sides: it shows a machine that has slept at once, for then it is past ``until``, and one that was set back, for
then it is before ``since``. Set back by less than has passed since the comparison it hides no more than that, which is
``timing.COMPARE_CLOCKS`` at the most.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol, cast

import attrs

from linkauth.protocol import timing

if TYPE_CHECKING:
    from linkauth.engine.clock import Clock
    from linkauth.oauth.token import Token

__all__ = ["NONE", "Holder", "ValidToken", "valid_token"]


@attrs.frozen(eq=False)
class ValidToken:
    """``token`` is handed out from ``since`` up to ``until`` (Unix seconds, by this host's wall clock)."""

    since: float
    until: float
    token: Token


NONE: Final = ValidToken(math.inf, -math.inf, cast("Token", None))
"""At no time is anything handed out."""


class Holder(Protocol):
    """A credential, as far as it matters here."""

    valid: ValidToken

    def forget(self) -> None:
        """Something was learned: of the token as it was nothing is kept."""
        ...

    def ready(self) -> None:
        """Something is to begin with the vendor or the store. Raises where it cannot."""
        ...


def valid_token(token: Token, clock: Clock, until: float, wall_until: float = math.inf) -> ValidToken:
    """``token`` up to the monotonic moment ``until``, and up to ``wall_until`` by the wall clock, should that come sooner."""
    wall = clock.wall()
    return ValidToken(wall, min(wall + min(until - clock.monotonic(), timing.COMPARE_CLOCKS), wall_until), token)
