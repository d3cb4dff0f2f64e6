"""``linkauth copy``: everything that one store holds into another, as it is: sealed values stay sealed, no key is needed for them.

What stands in the other store under the same number or a later one stays as it is; so a copy may be interrupted and made again.
What workers agree on among themselves (limits, rounds, checks) is not copied: they find it out anew.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from linkauth.cli.progress import how_many, progress
from linkauth.cli.registration import existing, opened
from linkauth.cli.words import UNREAD
from linkauth.engine.readings import readings
from linkauth.engine.renew_many import each
from linkauth.engine.replica import Replica
from linkauth.engine.reseal import LASTING, kept_for
from linkauth.errors import CorruptRecord
from linkauth.store import Committed, Granted

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from linkauth.engine.context import EngineContext
    from linkauth.store import Reading

__all__ = ["run"]

KINDS: Final = ("token/", *LASTING, "state/")
"""What cannot be had again, and the authorizations that users have begun."""


async def run(chosen: argparse.Namespace) -> int:
    """Copy; exit status 1 where something could not be."""
    counts: Counter[str] = Counter()
    async with existing(chosen.source) as source, opened(chosen.target) as target:

        async def one(found: tuple[str, Reading | CorruptRecord]) -> None:
            counts[await _copy(source.context, target.context, *found)] += 1
            step()

        with progress("copied", await how_many(source.context, KINDS)) as step:
            await each(_everything(source.context), one)
    print(", ".join(f"{words} {counts[words]:,}" for words in ("copied", "there already", "not to be read")))
    if counts["not to be read"]:
        print(f"Who has to act: the operator, for what cannot be read: {UNREAD}.", file=sys.stderr)
    print(
        "Stop what works with the old store before you copy, and copy once more then: a session that both renew is lost."
    )
    return 1 if counts["not to be read"] else 0


async def _everything(source: EngineContext) -> AsyncGenerator[tuple[str, Reading | CorruptRecord]]:
    for kind in KINDS:
        async for found in readings(source, kind):
            yield found


async def _copy(source: EngineContext, target: EngineContext, key: str, reading: Reading | CorruptRecord) -> str:
    """What became of it. What a worker left beside a record, such as that its renewal is in doubt, goes with it."""
    if isinstance(reading, CorruptRecord):
        return "not to be read"
    record, into = reading.record, Replica(target, key)
    if record is None:
        return ""
    there, _ = await into.read()
    if there.record is not None and there.record.version >= record.version:
        return "there already"
    try:
        seconds = kept_for(source, key, record, reading.now)
    except CorruptRecord:  # an authorization that would never lapse
        return "not to be read"
    claim = (await into.claim(reading.note, record.version))[0] if reading.note else None
    outcome, _ = await into.put(record.version, record.value, seconds)
    if isinstance(claim, Granted):
        await into.release(claim.number, reading.note)
    return "copied" if isinstance(outcome, Committed) else "there already"
