"""Which vendors can be named: those that somebody installed (entry points), and those of the catalogue."""

from __future__ import annotations

from typing import Final

from linkauth.plugins import names
from linkauth.vendors.catalog import ENTRIES

__all__ = ["GROUP", "known"]

GROUP: Final = "linkauth.vendors"
"""The entry points: the name is what is typed, the value a callable."""


def known() -> frozenset[str]:
    """Every name that can be typed, in lower case."""
    return names(GROUP) | ENTRIES.keys()
