"""The file store and processes that are killed, stopped and forked."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import StoreUnavailable
from linkauth.store import Busy, Granted
from linkauth_stores import file, folder
from linkauth_stores.file import FileStore
from linkauth_stores.threads import LOOKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[Process]:
    paths = os.pathsep.join(path for path in sys.path if path)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "default"},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def ours(name: str, place: Path) -> tuple[str, ...]:
    return (str(Path(__file__).with_name("file_program.py")), name, str(place))


async def test_forty_killed_writers_leave_no_bad_file(tmp_path: Path) -> None:
    """Each record is whole, no older than what its writer was told was stored, and the leftovers are swept."""
    place = tmp_path / "store"
    async with program(*ours("kills", place)) as writer:
        output, _ = await writer.communicate()
        assert writer.returncode == 0
    told: dict[str, int] = {}
    for line in output.decode().splitlines():
        key, number = line.split()
        assert int(number) > told.get(key, 0)
        told[key] = int(number)
    assert len(output.splitlines()) >= 40
    store = FileStore(place)
    for key, number in told.items():
        record = (await store.read(key)).record
        assert record
        assert record.version >= number
        assert record.value == b"%d," % record.version * 20_000
    # A change begins a sweep beside itself, which passes over what is locked: so let this one lock nothing of theirs.
    lock = {folder.lock_of(file._name(key)) for key in told}
    other = next(key for key in "defghijk" if folder.lock_of(file._name(key)) not in lock)
    await store.extend(other, 1, 1)
    await store.aclose()
    assert not list(place.glob(".*.tmp"))


async def test_a_forked_child_is_a_process_of_its_own(tmp_path: Path) -> None:
    """It goes on with its parent's store, does not hold its parent's leases, and is known to be dead when it is."""
    async with program(*ours("fork", tmp_path / "store")) as parent:
        await parent.communicate()
        assert parent.returncode == 0


async def test_a_forked_child_holds_none_of_its_parents_locks(tmp_path: Path) -> None:
    """Born while a thread of the parent is at a file, it could otherwise keep everybody out for as long as it lives."""
    async with program(*ours("locked", tmp_path / "store")) as parent:
        await parent.communicate()
        assert parent.returncode == 0


async def test_a_dead_parent_is_dead_though_its_child_lives(tmp_path: Path) -> None:
    """What the child inherited does not keep its parent's lease alive."""
    place = tmp_path / "store"
    store = FileStore(place)
    async with program(*ours("orphan", place)) as parent:
        assert parent.stdout
        child = int(await parent.stdout.readline())
        try:
            assert isinstance(await store.claim("k", "next", 30, 0, b""), Busy)
            parent.kill()
            await parent.wait()
            os.kill(child, 0)
            claim = await store.claim("k", "next", 30, 0, b"")
            assert isinstance(claim, Granted)
            assert claim.inherited
        finally:
            os.kill(child, signal.SIGKILL)
    await store.aclose()


async def test_a_stopped_holder_keeps_its_lease_to_the_end(tmp_path: Path) -> None:
    """It is not dead: others wait for its lease's end, and no longer."""
    place = tmp_path / "store"
    now = 0.0
    store = FileStore(place, clock=lambda: now)
    hold = ("-m", "linkauth.testing.worker", f"file:{place}", "1", "hold", "k", "30")
    async with program(*hold) as holder:
        assert holder.stdout
        assert await holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGSTOP)
        reading = await store.claim("k", "next", 30, 0, b"")
        assert isinstance(reading, Busy)
        now = reading.remaining + 1
        claim = await store.claim("k", "next", 30, 0, b"")
        assert isinstance(claim, Granted)
        assert claim.inherited
    await store.aclose()


async def test_a_process_that_is_stopped_with_a_lock_holds_up_only_that_locks_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 other claims are granted and every key is read while it is stopped; who waits for its lock gets it afterwards."""
    monkeypatch.setattr(folder, "PATIENCE", 3600.0)
    place = tmp_path / "store"
    store = FileStore(place)
    await store.read("k")
    lock = folder.lock_of(file._name("k"))
    keys = [f"token/linkxg/{number:04x}" for number in range(160)]
    same = [key for key in keys if folder.lock_of(file._name(key)) == lock]
    others = [key for key in keys if key not in same][:120]
    assert len(same) > LOOKING, "as many as would occupy every thread that anybody else needs"
    async with program(*ours("keeps", place)) as holder, asyncio.timeout(60):
        assert holder.stdout
        assert await holder.stdout.readline() == b"locked\n"
        holder.send_signal(signal.SIGSTOP)
        waiting = [asyncio.create_task(store.claim(key, "me", 30, 0, b"")) for key in same]
        claims = await asyncio.gather(*(store.claim(key, "me", 30, 0, b"") for key in others))
        assert all(isinstance(claim, Granted) for claim in claims)
        assert [(await store.read(key)).record for key in same] == [None] * len(same)
        assert not any(task.done() for task in waiting)
        holder.kill()
        assert all(isinstance(claim, Granted) for claim in await asyncio.gather(*waiting))
    await store.aclose()


async def test_who_waits_behind_others_for_a_lock_waits_no_longer_than_they(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty claims of keys with one lock, whose holder is stopped: patience counts from when each was asked for."""
    monkeypatch.setattr(folder, "PATIENCE", 1.0)
    place = tmp_path / "store"
    store = FileStore(place)
    await store.read("k")
    async with program(*ours("keeps", place)) as holder:
        assert holder.stdout
        assert await holder.stdout.readline() == b"locked\n"
        holder.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(15):
            claims = [store.claim("k", f"{number}", 30, 0, b"") for number in range(20)]
            refused = await asyncio.gather(*claims, return_exceptions=True)
        assert [type(each) for each in refused] == [StoreUnavailable] * 20
    await store.aclose()
