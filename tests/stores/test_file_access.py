"""Who may look into the file store's folder, and what else somebody put there: refused."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import StoreUnavailable
from linkauth_stores import folder
from linkauth_stores.file import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "token/linkxg/0a1b"
NAME = "token+linkxg+0a1b.record"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


async def test_only_the_owner_may_look(file_store: FileStore, place: Path) -> None:
    """The folder is 0700, every file 0600, whatever the umask."""
    before = os.umask(0)
    try:
        await file_store.claim(KEY, "me", 30, 0, b"")
        await file_store.commit(KEY, 1, b"value")
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
async def test_a_planted_link_is_refused(file_store: FileStore, place: Path, name: str) -> None:
    """Neither record nor lock is followed to a file elsewhere, which stays as it is."""
    await file_store.read(KEY)
    target = place.parent / "target"
    target.write_bytes(b"somebody's")
    planted = place / (name if name == NAME else f".{folder.lock_of(NAME)}.lock")
    planted.symlink_to(target)
    with pytest.raises(StoreUnavailable, match="is a symbolic link"):
        await file_store.commit(KEY, 1, b"value")
    assert target.read_bytes() == b"somebody's"


async def test_a_pipe_is_refused(file_store: FileStore, place: Path) -> None:
    """What is no file is not waited for."""
    await file_store.read(KEY)
    os.mkfifo(place / NAME)
    with pytest.raises(StoreUnavailable, match="is no file"):
        await file_store.read(KEY)


@needs_root
async def test_a_record_of_another_user_is_refused(file_store: FileStore, place: Path) -> None:
    """Somebody else has put it there."""
    await file_store.commit(KEY, 1, b"value")
    os.chown(place / NAME, 12345, -1)
    with pytest.raises(StoreUnavailable, match="belongs to user 12345"):
        await file_store.read(KEY)
