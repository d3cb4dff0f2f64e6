"""``linkauth doctor``: whether a store is fit for work, and a vendor is reached; and what to do where it is not so."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final, cast

from linkauth.cli.registration import existing
from linkauth.cli.vendor_check import vendor_findings
from linkauth.cli.words import length
from linkauth.engine.encryption import key_id
from linkauth.engine.readings import readings
from linkauth.engine.replica import Replica
from linkauth.engine.reseal import KINDS
from linkauth.errors import CorruptRecord, StoreError
from linkauth.store import Finding

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from linkauth import AuthEngine
    from linkauth.store import Advising

__all__ = ["clock", "run"]

MOST_SKEW: Final = 5.0
"""Seconds between this host's clock and the store's: less is the round trip's, and NTP's."""


async def run(chosen: argparse.Namespace) -> int:
    """Print what was found, and advice; exit status 1 where there is any. A store that cannot be reached is an error."""
    ailing = 0
    async with existing(chosen.store) as opened:
        for findings in (_findings(opened), vendor_findings(opened, chosen)):
            async for found in findings:
                print(f"{'!!' if found.advice else 'ok'}  {found.what}", flush=True)
                if found.advice:
                    print(f"    → {found.advice}", flush=True)
                    ailing += 1
    return 1 if ailing else 0


async def _findings(opened: AuthEngine) -> AsyncGenerator[Finding]:
    began = time.monotonic()
    reading, _ = await Replica(opened.context, "check/store").read()
    here = time.time()
    yield Finding(f"the store answers, in {(time.monotonic() - began) * 1000:.0f} ms")
    yield clock(here - reading.now)
    yield await _writable(opened)
    store_client = opened.context.store_client
    if hasattr(store_client.store, "findings"):
        for found in await store_client.do(cast("Advising", store_client.store).findings()):
            yield found
    keys, unread = await _keys_in_use(opened)
    if unread:
        yield Finding(f"{unread:,} records are not what this store writes", "`linkauth status` names them")
    for found in _keys(keys, opened.context.codec.key_ids):
        yield found


async def _writable(opened: AuthEngine) -> Finding:
    try:
        await opened.check()
    except CorruptRecord as error:
        return Finding("the keys given do not open what another worker wrote last", str(error))
    except StoreError as error:
        return Finding(f"the store cannot be written: {error}", "look at its rights, its disk and its memory")
    return Finding("the store can be written")


async def _keys_in_use(opened: AuthEngine) -> tuple[Counter[str], int]:
    """How many records are under which key's id; and how many the store cannot read."""
    keys, unread = Counter[str](), 0
    for kind in KINDS:
        async for _, found in readings(opened.context, kind):
            if isinstance(found, CorruptRecord):
                unread += 1
            elif found.record is not None:
                keys[key_id(found.record.value)] += 1
    return keys, unread


def clock(ahead: float) -> Finding:
    """``ahead``: seconds by which this host's clock is before the store's."""
    if abs(ahead) <= MOST_SKEW:
        return Finding("this host's clock and the store's agree")
    way = "ahead of" if ahead > 0 else "behind"
    return Finding(
        f"this host's clock is {length(abs(ahead))} {way} the store's",
        "let NTP set both: tokens are told by the store's",
    )


def _keys(found: Counter[str], given: Sequence[str]) -> Iterator[Finding]:
    """``found``: records under each key's id; ``given``: the ids of the keys given, the newest first."""
    for each, count in sorted(found.items()):
        if not each and given:
            yield Finding(f"{count:,} records are in clear", "`linkauth reseal`, with plain among the keys")
        elif not each:
            yield Finding(f"{count:,} records, none of them encrypted: no keys are given")
        elif each not in given:
            yield Finding(
                f"{count:,} records are under key {each}, which is not given",
                "put that key at the end of $LINKAUTH_KEYS; if another environment shares this store, give each its own",
            )
        elif each != given[0]:
            yield Finding(f"key {each} is still needed, for {count:,} records", "`linkauth reseal`, then it may go")
        else:
            yield Finding(f"{count:,} records are under the newest key, {each}")
    for each in given[1:]:
        if each not in found:
            yield Finding(f"key {each} is needed by nothing here any more")
