"""``linkauth export``: the sessions in a store as lines of JSON, as ``linkauth import`` reads them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from linkauth.cli import lines
from linkauth.cli.registration import existing
from linkauth.cli.terminal import ask
from linkauth.cli.words import UNREAD
from linkauth.engine.readings import readings
from linkauth.errors import ConfigurationError, CorruptRecord
from linkauth.protocol.records import TokenRecord

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from linkauth import AuthEngine

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Print a line for each session; exit status 1 where there is one that cannot be read."""
    if not chosen.reveal:
        if not sys.stdout.isatty():
            raise ConfigurationError(
                "export: what is printed are secrets; --reveal says that this pipe or file may have them"
            )
        if ask("Everything that is printed now is secret. Type yes to see it", "give --reveal") != "yes":
            raise ConfigurationError("export: nobody said yes, and nothing was printed")
    found = unread = 0
    async with existing(chosen.store) as opened:
        async for record in _sessions(opened):
            if record is None:
                unread += 1
            elif chosen.vendor in {None, record.vendor} and chosen.account in {None, record.account}:
                print(lines.written(record))
                found += 1
    print(f"exported {found:,}", file=sys.stderr)
    if found:
        print(
            "A refresh token that is good for one use is spent by whoever renews first: let one store alone go on with these.",
            file=sys.stderr,
        )
    if unread:
        print(f"Who has to act: the operator, for {unread:,} that cannot be read: {UNREAD}.", file=sys.stderr)
    return 1 if unread else 0


async def _sessions(opened: AuthEngine) -> AsyncGenerator[TokenRecord | None]:
    """Each token that is stored; None for a record that cannot be read."""
    async for key, reading in readings(opened.context, "token/"):
        if isinstance(reading, CorruptRecord):
            yield None
        elif reading.record is not None:
            try:
                found = opened.context.codec.open(key, reading.record)
            except CorruptRecord:
                yield None
                continue
            if isinstance(found, TokenRecord):
                yield found
