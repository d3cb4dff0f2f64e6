"""Numbers of seconds that a registration states."""

from __future__ import annotations

import math
from typing import Final, cast

from linkauth.errors import ConfigurationError
from linkauth.oauth import grants

__all__ = ["is_ahead", "is_lifetime", "rate"]

MOST_SECONDS: Final = 86_400
"""A day: of the window in which a vendor counts token requests."""


def rate(value: tuple[int, float] | None) -> tuple[int, float] | None:
    """attrs converter: requests and the seconds in which a vendor allows them; None: unknown."""
    if value is None:
        return None
    match cast("object", value):
        case [int() as requests, int() | float() as seconds] if requests > 0 and 0 < seconds <= MOST_SECONDS:
            return requests, float(seconds)
        case _:
            raise ConfigurationError("OAuth2: token_rate is (requests, seconds), such as (60, 60)")


def is_ahead(seconds: object) -> bool:
    """Whether ``seconds`` can stand before an expiry: a number from 0 up, or None."""
    return seconds is None or (type(seconds) in {int, float} and 0 <= cast("float", seconds) < math.inf)


def is_lifetime(seconds: object, *, endless: bool = False) -> bool:
    """Whether ``seconds`` can be a lifetime: above 0 up to ten years, or None for unknown; ``endless``: or ``math.inf``."""
    if seconds is None:
        return True
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return False
    return 0 < seconds <= grants.LONGEST_LIFETIME or (endless and seconds == math.inf)
