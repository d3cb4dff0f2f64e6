"""What the file store cleans up, and what it leaves."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from linkauth.store import Granted, Record
from linkauth_stores import file, folder
from linkauth_stores.file import FileStore
from linkauth_stores.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "token/linkxg/0a1b"
NAME = "token+linkxg+0a1b.record"
CANARY = b"canary-c8a1"


async def test_what_killed_processes_left_is_swept(place: Path) -> None:
    """Temporary files whose writer is gone and dead processes' files go; a writer's at work, and the living's, stay."""
    first = FileStore(place)
    claim = await first.claim(KEY, "me", 30, 0, b"")
    assert isinstance(claim, Granted)
    await first.aclose()  # which waits for its own sweep: what is put there now is for the second store's
    alive = {path.name for path in place.glob(".*.alive")}
    old = time.time() - 3600
    for name in (".00.0123.tmp", ".0f.4567.tmp", f".{'0' * 32}.alive", f".{'1' * 32}.new", f".{'2' * 32}.new"):
        (place / name).write_bytes(CANARY)
        if "222" not in name:
            os.utime(place / name, (old, old))
    with folder.opened(place) as at, folder.locked(at, ".0f."):
        second = FileStore(place)
        await second.extend(KEY, claim.number, 30)
        await second.aclose()
    left = {path.name for path in place.glob(".*") if path.suffix != ".lock"}
    assert left == {".0f.4567.tmp", f".{'2' * 32}.new", *alive}


async def test_expired_records_do_not_pile_up(place: Path) -> None:
    """Their files go some time after they expired, though not under a live lease, and not all of them at once."""
    now = 1_000_000.0
    store = FileStore(place, clock=lambda: now)
    await asyncio.gather(*(store.commit(f"state/x/{number}", 1, b"", ttl=600) for number in range(30)))
    await store.commit("state/x/long", 1, b"", ttl=86400)
    now += 4000
    await store.claim("state/x/0", "me", 600, 0, b"")
    await asyncio.to_thread(store._sweep)
    assert len(list(place.glob("*.record"))) == 31, "the numbers still fence for an hour"
    now += 300
    await asyncio.to_thread(store._sweep)
    assert sorted(path.name for path in place.glob("*.record")) == ["state+x+0.record", "state+x+long.record"]
    await store.aclose()


async def test_a_sweep_comes_by_itself(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first change, and at every hundredth after it."""
    swept: list[int] = []
    monkeypatch.setattr(FileStore, "_sweep", lambda self: swept.append(1))
    store = FileStore(place)
    for number in range(file.SWEEP_EVERY + 1):
        await store.extend(KEY, number, 1)
    await store.aclose()
    assert len(swept) == 2


async def test_a_record_that_is_written_while_the_sweep_waits_for_its_lock_stays(
    file_store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was forgettable when the sweep looked, and is not any more when it may remove it."""
    await file_store.commit(KEY, 1, b"old", ttl=60)
    await file_store.aclose()  # which waits for the sweep that this began
    monkeypatch.setattr(file_store, "_clock", lambda: time.time() + 7200)
    locked = folder.locked

    @contextmanager
    def overtaken(at: int, name: str, **patience: float) -> Iterator[None]:
        with locked(at, name, **patience):
            if name == NAME:
                folder.replace(at, NAME, Slot(version=2, last=2, value=b"new").dump(KEY))
            yield

    with monkeypatch.context() as patched:
        patched.setattr(folder, "locked", overtaken)
        await asyncio.to_thread(file_store._sweep)
    assert (await file_store.read(KEY)).record == Record(2, b"new")
