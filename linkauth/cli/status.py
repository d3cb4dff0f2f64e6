"""``linkauth status``: how all that a store holds is doing, by vendor and account, and who has to act."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from linkauth.cli.registration import existing
from linkauth.cli.status_lines import as_json, find, table, who_has_to_act

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Print a line for each; exit status 1 where one needs the user, now or soon, or cannot be read."""
    if chosen.watch is not None:
        from linkauth.cli.watching import watch  # noqa: PLC0415  # it draws

        await watch(chosen)
    async with existing(chosen.store) as opened:
        found = await find(opened, chosen)
    for line in as_json(found) if chosen.json else table(found, chosen):
        print(line)
    acting = who_has_to_act(found)
    for line in acting:
        print(line, file=sys.stderr)
    return 1 if acting else 0
