"""What stands in for an argument that was not given: the environment, and behind it the profile that was chosen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["choose", "pairs", "setting"]

_TEXTS: Final[dict[str, str]] = {}
"""What the profile says, by the variable in whose place it stands."""
_PAIRS: Final[dict[str, list[str]]] = {}
"""By option: ``NAME=VALUE``, as they would be typed, for those that no variable holds."""


def choose(texts: Mapping[str, str], pairs: Mapping[str, Sequence[str]]) -> None:
    """Let a profile say what neither the arguments nor the environment do, in the place of any that was chosen before."""
    _TEXTS.clear()
    _TEXTS.update(texts)
    _PAIRS.clear()
    _PAIRS.update((name, [*several]) for name, several in pairs.items())


def setting(variable: str) -> str | None:
    """What the environment says, else the profile."""
    return os.environ.get(variable, _TEXTS.get(variable))


def pairs(option: str) -> list[str]:
    """The profile's ``NAME=VALUE`` for ``option``. Those that are typed go before."""
    return _PAIRS.get(option, [])
