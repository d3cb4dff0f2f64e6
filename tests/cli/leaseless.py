"""The demo's processes with a store whose lease keeps nobody out: what ``python -m linkauth.cli.demo.parts`` is, and this fault."""

from __future__ import annotations

import asyncio
from typing import Any

from linkauth.cli.demo import parts
from linkauth.store import Busy, Granted
from linkauth_stores.file import FileStore

claim = FileStore.claim


async def claiming(store: FileStore, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
    """Granted, though somebody else has it."""
    found = await claim(store, key, owner, ttl, newer_than, note)
    if not isinstance(found, Busy):
        return found
    return Granted(record=found.record, note=b"", now=found.now, number=newer_than + 1, inherited=False)


if __name__ == "__main__":
    FileStore.claim = claiming  # type: ignore[method-assign]
    asyncio.run(parts.main())
