"""What the contract's processes do: ``python -m linkauth.testing.worker URL COUNT add|take|hold KEY…``.

A line for each key: ``added KEY``, ``taken KEY`` or ``nothing KEY``; or ``held``, and then nothing more: kill it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
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


async def work(url: str, act: str, *arguments: str) -> None:
    """Open ``url`` and do it."""
    store = open_store(url)
    match act:
        case "add":
            for key in arguments:
                await add_one(store, key)
                _say(f"added {key}")
        case "take":
            for key in arguments:
                _say(f"taken {key}" if (await store.take(key)).record else f"nothing {key}")
        case _:
            key, ttl = arguments
            claim = await store.claim(key, "to be killed", float(ttl), 0, b"in doubt")
            _say("held" if isinstance(claim, Granted) else "refused")
            await asyncio.Event().wait()
    await store.aclose()


def main(url: str, count: str, *task: str) -> int:
    """Do it in ``count`` processes. They are forked where there is fork: importing once is slow enough."""
    if count == "1":
        asyncio.run(work(url, *task))
        return 0
    system = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else None)
    crowd = [system.Process(target=main, args=(url, "1", *task)) for _ in range(int(count))]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    return max(abs(process.exitcode or 0) for process in crowd)


def _say(words: str) -> None:
    # In one piece: several processes write to one pipe.
    os.write(1, f"{words}\n".encode())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
