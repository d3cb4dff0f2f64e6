"""A claim on the file store that is cancelled, at each point of its way: nobody is left with a lease that nobody holds."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.store import Busy, Granted
from linkauth_stores.file import FileStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = "token/linkxg/0a1b"


class Slow(FileStore):
    """Its threads stop before they read a record, until they are told to go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.stopped = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()

    def _load(self, *args: Any) -> Any:
        self.stopped.release()
        assert self.go_on.wait(30)
        return super()._load(*args)

    async def stop(self) -> None:
        self.go_on.clear()
        while self.stopped.acquire(blocking=False):
            pass


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Slow]:
    made = Slow(tmp_path / "store")
    yield made
    made.go_on.set()
    await made.aclose()


async def _cancelled(store: Slow) -> None:
    """A claim that is cancelled while a thread is at it, and that the thread then carries out."""
    await store.stop()
    claiming = asyncio.create_task(store.claim(KEY, "cancelled", 30, 0, b"mine"))
    await asyncio.to_thread(store.stopped.acquire)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    store.go_on.set()
    await store.aclose()


async def test_what_was_granted_is_given_back(store: Slow) -> None:
    """Lease and note are as if nobody had claimed; only the number is used up."""
    await _cancelled(store)
    claim = await store.claim(KEY, "next", 30, 0, b"")
    assert isinstance(claim, Granted)
    assert (claim.number, claim.note, claim.inherited) == (2, b"", False)


async def test_what_was_not_granted_is_not_given_back(store: Slow) -> None:
    """It was Busy: its holder keeps his lease and his note."""
    await store.claim(KEY, "holder", 30, 0, b"his")
    await _cancelled(store)
    claim = await store.claim(KEY, "next", 30, 0, b"")
    assert isinstance(claim, Busy)
    assert (claim.holder, claim.note) == ("holder", b"his")


async def test_what_no_thread_had_begun_never_happens(store: Slow) -> None:
    """The lock's thread is at another call: a claim that waits for it is gone when it is cancelled, number and all."""
    await store.claim(KEY, "first", 30, 0, b"")
    await store.release(KEY, 1)
    await store.stop()
    other = asyncio.create_task(store.extend(KEY, 1, 30))
    await asyncio.to_thread(store.stopped.acquire)
    claiming = asyncio.create_task(store.claim(KEY, "cancelled", 30, 0, b"mine"))
    await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    store.go_on.set()
    await other
    claim = await store.claim(KEY, "next", 30, 0, b"")
    assert isinstance(claim, Granted)
    assert claim.number == 2
