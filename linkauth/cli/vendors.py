"""``linkauth vendors``: what can be typed where a command wants VENDOR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.cli.known import GROUP
from linkauth.plugins import names
from linkauth.vendors.catalog import ENTRIES

if TYPE_CHECKING:
    import argparse

    from linkauth.vendors.catalog import Entry
    from linkauth.vendors.catalog.entry import Varies

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Print a line for each vendor that is installed, then for each of the catalogue. No store, no network."""
    del chosen
    installed = sorted(names(GROUP))
    width = max(map(len, [*installed, *ENTRIES]))
    for name in installed:
        print(f"{name:<{width}}  installed")
    for name, entry in ENTRIES.items():
        if name not in installed:  # what is installed goes before
            print(f"{name:<{width}}  {_words(entry)}")
    return 0


def _words(entry: Entry) -> str:
    own = "".join(f"--set {name}=… ({_meaning(one)})  " for name, one in entry.varies.items())
    return f"{own}{entry.page} (read {entry.read})"


def _meaning(one: Varies) -> str:
    choices = f": {', '.join(one.choices)}" if one.choices else ""
    default = f"; default {one.default}" if one.default is not None else ""
    return f"{one.meaning}{choices}{default}"
