"""What the contract's processes do: ``python -m linkauth.testing.worker URL add|take|hold KEY…``.

One line of output each: ``added``, ``taken`` or ``nothing`` for each key, ``held`` (and then nothing more: kill it).
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

from linkauth.store import Busy, Granted, Newer, TokenStore, open_store

__all__ = ["add_one"]

TTL = 10.0


async def add_one(store: TokenStore, key: str) -> None:
    """Add one to the number in ``key`` under its lease, as the engine works: claim, wait for others, commit."""
    owner, known = uuid4().hex, 0
    while True:
        claim = await store.claim(key, owner, TTL, known, b"")
        match claim:
            case Newer():
                known = claim.record.version
            case Busy():
                await store.wait_for_change(key, known, claim.remaining)
            case Granted():
                before = int(claim.record.value) if claim.record else 0
                await asyncio.sleep(0)
                await store.commit(key, claim.number, str(before + 1).encode())
                return


async def main(url: str, act: str, *arguments: str) -> None:
    """Open ``url`` and do it."""
    store = open_store(url)
    match act:
        case "add":
            for key in arguments:
                await add_one(store, key)
                _say("added")
        case "take":
            for key in arguments:
                _say("taken" if (await store.take(key)).record else "nothing")
        case _:
            key, ttl = arguments
            claim = await store.claim(key, "to be killed", float(ttl), 0, b"in doubt")
            _say("held" if isinstance(claim, Granted) else "refused")
            await asyncio.Event().wait()
    await store.aclose()


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
