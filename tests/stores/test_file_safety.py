"""What the file store refuses, survives and cleans up."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.store import Granted, Record
from linkauth_stores import file, folder, presence
from linkauth_stores.file import FileStore
from linkauth_stores.slot import Slot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

KEY = "token/linkxg/0a1b"
NAME = "token+linkxg+0a1b.record"
CANARY = b"canary-c8a1"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def store(place: Path) -> AsyncIterator[FileStore]:
    made = FileStore(place)
    yield made
    await made.aclose()


async def test_only_the_owner_may_look(store: FileStore, place: Path) -> None:
    """The folder is 0700, every file 0600, whatever the umask."""
    before = os.umask(0)
    try:
        await store.claim(KEY, "me", 30, 0, b"")
        await store.commit(KEY, 1, b"value")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    files = list(place.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def a_link(place: Path) -> str:
    (place.parent / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(place.parent / "elsewhere")
    return "is a symbolic link"


def a_file(place: Path) -> str:
    place.write_text("")
    return "is no folder"


def below_a_file(place: Path) -> str:
    place.parent.rmdir()
    place.parent.write_text("")
    return "is no folder"


def open_to_the_group(place: Path) -> str:
    place.mkdir()
    place.chmod(0o750)
    return r"is open to others \(mode 0750\): chmod 700"


def somebody_elses(place: Path) -> str:
    place.mkdir(mode=0o700)
    os.chown(place, 12345, -1)
    return "belongs to user 12345"


@pytest.mark.parametrize(
    "plant", [a_link, a_file, below_a_file, open_to_the_group, pytest.param(somebody_elses, marks=needs_root)]
)
async def test_a_folder_that_others_reach_is_refused(tmp_path: Path, plant: Callable[[Path], str]) -> None:
    """Every call says what is wrong with it, and the operator has to act; nothing is written."""
    place = tmp_path / "above" / "store"
    place.parent.mkdir()
    reason = plant(place)
    store = FileStore(place)
    for call in (store.read(KEY), store.commit(KEY, 1, b""), store.wait_for_change(KEY, 0, 1)):
        with pytest.raises(StoreUnavailable, match=reason) as caught:
            await call
        assert str(place) in str(caught.value)
        assert caught.value.who == "the operator"
    with pytest.raises(StoreUnavailable):
        [key async for key in store.keys("")]
    await store.aclose()


@pytest.mark.parametrize("name", [NAME, "lock"])
async def test_a_planted_link_is_refused(store: FileStore, place: Path, name: str) -> None:
    """Neither record nor lock is followed to a file elsewhere, which stays as it is."""
    await store.read(KEY)
    target = place.parent / "target"
    target.write_bytes(b"somebody's")
    planted = place / (name if name == NAME else f".{folder.lock_of(NAME)}.lock")
    planted.symlink_to(target)
    with pytest.raises(StoreUnavailable, match="is a symbolic link"):
        await store.commit(KEY, 1, b"value")
    assert target.read_bytes() == b"somebody's"


async def test_a_pipe_is_refused(store: FileStore, place: Path) -> None:
    """What is no file is not waited for."""
    await store.read(KEY)
    os.mkfifo(place / NAME)
    with pytest.raises(StoreUnavailable, match="is no file"):
        await store.read(KEY)


@needs_root
async def test_a_record_of_another_user_is_refused(store: FileStore, place: Path) -> None:
    """Somebody else has put it there."""
    await store.commit(KEY, 1, b"value")
    os.chown(place / NAME, 12345, -1)
    with pytest.raises(StoreUnavailable, match="belongs to user 12345"):
        await store.read(KEY)


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
async def test_a_broken_record_is_named_and_not_shown(store: FileStore, place: Path, kind: str) -> None:
    """Whatever is wrong with it: ``CorruptRecord`` with the file's path, and nothing of what is in it."""
    await store.commit(KEY, 1, CANARY * 3)
    path = place / NAME
    raw = path.read_bytes()
    path.write_bytes(BROKEN[kind](raw))
    with pytest.raises(CorruptRecord) as caught:
        await store.read(KEY)
    with pytest.raises(CorruptRecord):
        await store.claim(KEY, "me", 30, 0, b"")
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None
    for secret in ("canary", "Y2FuYX"):
        assert secret not in repr(vars(caught.value)) + repr(caught.value) + str(caught.value)
    if kind == "newer":
        assert "update linkauth" in str(caught.value)


async def test_a_broken_record_is_still_listed(store: FileStore, place: Path) -> None:
    """Listing keys does not fail for one bad file: whoever then reads that one is told."""
    await store.commit(KEY, 1, b"value")
    await store.commit("token/linkxg/other", 1, b"value")
    (place / NAME).write_bytes(b"broken")
    (place / f"token+linkxg+{'x' * 150}~0123.record").write_bytes(b"broken, and its key not in its name")
    assert sorted([key async for key in store.keys("token/")]) == [KEY, "token/linkxg/other"]


async def test_a_record_that_vanishes_while_keys_are_listed_is_left_out(
    store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deletes the files in between; nobody is told of keys that are not there."""
    await store.commit(KEY, 1, b"value")
    monkeypatch.setattr(folder, "names", lambda at: [NAME, "token+gone.record"])
    assert [key async for key in store.keys("token/")] == [KEY]


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_a_disk_that_takes_nothing_makes_the_store_unavailable(
    store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Full, read-only or broken: the old record stands, nothing half-written is left, and the reason is told."""
    await store.commit(KEY, 1, b"before")
    real = getattr(os, call)

    def refuse(path: object, flags: int = 0, *rest: object, **more: object) -> object:
        if call == "open" and not flags & os.O_EXCL:
            return real(path, flags, *rest, **more)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        with pytest.raises(StoreUnavailable, match=os.strerror(code)):
            await store.commit(KEY, 2, b"after")
    assert (await store.read(KEY)).record == Record(1, b"before")
    assert not list(place.glob(".*.tmp"))


async def test_a_write_is_durable_before_it_counts(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is flushed to disk, then takes its place, then the folder is flushed; only then the call returns."""
    await store.read(KEY)
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
    await store.commit(KEY, 1, b"value")
    assert seen == ["file", "replace", "folder"]
    await store.read(KEY)
    await store.extend(KEY, 1, 30)
    assert seen == ["file", "replace", "folder"], "what changes nothing writes nothing"


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
    store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was forgettable when the sweep looked, and is not any more when it may remove it."""
    await store.commit(KEY, 1, b"old", ttl=60)
    await store.aclose()  # which waits for the sweep that this began
    monkeypatch.setattr(store, "_clock", lambda: time.time() + 7200)
    locked = folder.locked

    @contextmanager
    def overtaken(at: int, name: str, **patience: float) -> Iterator[None]:
        with locked(at, name, **patience):
            if name == NAME:
                folder.replace(at, NAME, Slot(version=2, last=2, value=b"new").dump(KEY))
            yield

    with monkeypatch.context() as patched:
        patched.setattr(folder, "locked", overtaken)
        await asyncio.to_thread(store._sweep)
    assert (await store.read(KEY)).record == Record(2, b"new")


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
    store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's reason is told, whatever it is."""
    await store.commit(KEY, 1, b"value")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(StoreUnavailable, match="Permission denied"):
            await store.read(KEY)


async def test_a_process_that_cannot_show_itself_claims_nothing(
    store: FileStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease whose owner nobody could look up is not granted."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refuse)
        with pytest.raises(StoreUnavailable):
            await store.claim(KEY, "me", 30, 0, b"")
    claim = await store.claim(KEY, "me", 30, 0, b"")
    assert isinstance(claim, Granted)
    assert not claim.inherited


async def test_a_cancelled_claim_that_failed_needs_no_undoing(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no lease to give back, and the failure is nobody's any more."""
    await store.read(KEY)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def fail(*_: object) -> Slot:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        raise StoreUnavailable("planted")

    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "_load", fail)
        claiming = asyncio.create_task(store.claim(KEY, "me", 30, 0, b""))
        await begun.wait()
        claiming.cancel()
        await asyncio.wait([claiming])
        go_on.set()
        await store.aclose()
    assert claiming.cancelled()
    assert isinstance(await store.claim(KEY, "next", 30, 0, b""), Granted)


def test_only_its_own_claim_is_undone() -> None:
    """A cancelled claim that was overtaken, or committed, meanwhile takes nothing from anybody."""
    slot, claim = Slot().claim("me", 1.0, 0, b"mine", 0.0)
    assert isinstance(claim, Granted)
    overtaken, _ = slot.claim("you", 1.0, 0, b"yours", 2.0)
    assert overtaken.unclaim(claim.number) is overtaken
    committed, _ = slot.commit(claim.number, b"value", None, 0.5)
    assert committed.unclaim(claim.number) is committed
