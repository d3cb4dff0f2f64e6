"""What the file store survives: broken records, a failing disk, folders that go away."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.store import Granted, Record
from linkauth_stores import folder, presence
from linkauth_stores.file import FileStore
from linkauth_stores.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "token/linkxg/0a1b"
NAME = "token+linkxg+0a1b.record"
CANARY = b"canary-c8a1"


def changed(**fields: object) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        head, _, rest = raw.partition(b"\n")
        return json.dumps({**json.loads(head), **fields}).encode() + b"\n" + rest

    return change


LEASE = {"number": 1, "owner": "me", "until": 1.0, "found": "", "inherited": False, "process": ""}


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "cut short": lambda raw: raw[: len(raw) // 2],
    "value cut short": lambda raw: raw[:-6],
    "value gone": lambda raw: raw.partition(b"\n")[0],
    "no JSON": lambda raw: CANARY + raw,
    "no object": lambda raw: b"[" + CANARY + b"]\n",
    "deep": lambda raw: b"[" * 100_000,
    "not base64": lambda raw: raw[:-6] + b"!\xff!\n",
    "no UTF-8": lambda raw: b'{"format": "\xff"}',
    "version a string": changed(version="1"),
    "version true": changed(version=True),
    "size a string": changed(size="1"),
    "expiry NaN": changed(expires=float("nan")),
    "expiry infinite": changed(expires=float("inf")),
    "expiry a string": changed(expires="1"),
    "note a number": changed(note=1),
    "lease a list": changed(lease=[]),
    "lease empty": changed(lease={}),
    "lease without end": changed(lease={**LEASE, "until": None}),
    "lease's owner a number": changed(lease={**LEASE, "owner": 1}),
    "key a number": changed(key=1),
    "another key's": changed(key="token/linkxg/other"),
    "newer": changed(format=2),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_record_is_named_and_not_shown(file_store: FileStore, place: Path, kind: str) -> None:
    """Whatever is wrong with it: ``CorruptRecord`` with the file's path, and nothing of what is in it."""
    await file_store.commit(KEY, 1, CANARY * 3)
    path = place / NAME
    raw = path.read_bytes()
    path.write_bytes(BROKEN[kind](raw))
    with pytest.raises(CorruptRecord) as caught:
        await file_store.read(KEY)
    with pytest.raises(CorruptRecord):
        await file_store.claim(KEY, "me", 30, 0, b"")
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None
    for secret in ("canary", "Y2FuYX"):
        assert secret not in repr(vars(caught.value)) + repr(caught.value) + str(caught.value)
    if kind == "newer":
        assert "update linkauth" in str(caught.value)


async def test_a_broken_record_is_still_listed(file_store: FileStore, place: Path) -> None:
    """Listing keys does not fail for one bad file: whoever then reads that one is told."""
    await file_store.commit(KEY, 1, b"value")
    await file_store.commit("token/linkxg/other", 1, b"value")
    (place / NAME).write_bytes(b"broken")
    (place / f"token+linkxg+{'x' * 150}~0123.record").write_bytes(b"broken, and its key not in its name")
    assert sorted([key async for key in file_store.keys("token/")]) == [KEY, "token/linkxg/other"]


async def test_a_record_that_vanishes_while_keys_are_listed_is_left_out(
    file_store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deletes the files in between; nobody is told of keys that are not there."""
    await file_store.commit(KEY, 1, b"value")
    monkeypatch.setattr(folder, "names", lambda at: [NAME, "token+gone.record"])
    assert [key async for key in file_store.keys("token/")] == [KEY]


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_a_disk_that_takes_nothing_makes_the_store_unavailable(
    file_store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Full, read-only or broken: the old record stands, nothing half-written is left, and the reason is told."""
    await file_store.commit(KEY, 1, b"before")
    real = getattr(os, call)

    def refuse(path: object, flags: int = 0, *rest: object, **more: object) -> object:
        if call == "open" and not flags & os.O_EXCL:
            return real(path, flags, *rest, **more)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        with pytest.raises(StoreUnavailable, match=os.strerror(code)):
            await file_store.commit(KEY, 2, b"after")
    assert (await file_store.read(KEY)).record == Record(1, b"before")
    assert not list(place.glob(".*.tmp"))


async def test_a_write_is_durable_before_it_counts(file_store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is flushed to disk, then takes its place, then the folder is flushed; only then the call returns."""
    await file_store.read(KEY)
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replaced(*names: str, **more: int) -> None:
        seen.append("replace")
        replace(*names, **more)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", replaced)
    await file_store.commit(KEY, 1, b"value")
    assert seen == ["file", "replace", "folder"]
    await file_store.read(KEY)
    await file_store.extend(KEY, 1, 30)
    assert seen == ["file", "replace", "folder"], "what changes nothing writes nothing"


async def test_a_folder_that_was_emptied_is_filled_again(place: Path) -> None:
    """Somebody removes everything under a living process: leases begin anew, and it is known to live again."""
    store = FileStore(place)
    await store.claim(KEY, "me", 30, 0, b"")
    for path in place.iterdir():
        path.unlink()
    claim = await store.claim(KEY, "again", 30, 7, b"")
    assert isinstance(claim, Granted)
    assert claim.number == 8
    assert len(list(place.glob(".*.alive"))) == 1
    await store.aclose()


def test_a_process_without_a_readable_name_counts_as_alive(place: Path) -> None:
    """Nobody is robbed of a lease because its owner cannot be looked up."""
    with folder.opened(place) as at:
        assert presence.is_alive(at, "../../etc/passwd")
        assert presence.is_alive(at, "")
        assert not presence.is_alive(at, "0" * 32)


async def test_a_folder_that_may_not_be_opened_makes_the_store_unavailable(
    file_store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's reason is told, whatever it is."""
    await file_store.commit(KEY, 1, b"value")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(StoreUnavailable, match="Permission denied"):
            await file_store.read(KEY)


async def test_a_process_that_cannot_show_itself_claims_nothing(
    file_store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease whose owner nobody could look up is not granted."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refuse)
        with pytest.raises(StoreUnavailable):
            await file_store.claim(KEY, "me", 30, 0, b"")
    claim = await file_store.claim(KEY, "me", 30, 0, b"")
    assert isinstance(claim, Granted)
    assert not claim.inherited


async def test_a_cancelled_claim_that_failed_needs_no_undoing(
    file_store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no lease to give back, and the failure is nobody's any more."""
    await file_store.read(KEY)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def fail(*_: object) -> Slot:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        raise StoreUnavailable("planted")

    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "_load", fail)
        claiming = asyncio.create_task(file_store.claim(KEY, "me", 30, 0, b""))
        await begun.wait()
        claiming.cancel()
        await asyncio.wait([claiming])
        go_on.set()
        await file_store.aclose()
    assert claiming.cancelled()
    assert isinstance(await file_store.claim(KEY, "next", 30, 0, b""), Granted)


def test_only_its_own_claim_is_undone() -> None:
    """A cancelled claim that was overtaken, or committed, meanwhile takes nothing from anybody."""
    slot, claim = Slot().claim("me", 1.0, 0, b"mine", 0.0)
    assert isinstance(claim, Granted)
    overtaken, _ = slot.claim("you", 1.0, 0, b"yours", 2.0)
    assert overtaken.unclaim(claim.number) is overtaken
    committed, _ = slot.commit(claim.number, b"value", None, 0.5)
    assert committed.unclaim(claim.number) is committed
