"""The folder in which answers wait: what it takes for its own, who may read it, and what it leaves behind."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from base64 import b64encode
from pathlib import Path
from secrets import token_bytes

import pytest

from linkauth.engine.escrow import LARGEST, FolderEscrow, Kept
from linkauth.errors import (
    ConfigurationError,
    StoreUnavailable,
)
from tests.engine.fakes import Escrow, Store, Vendor, Worker


async def escrow_in(folder: Path) -> FolderEscrow:
    made = FolderEscrow(str(folder), os.urandom)
    await made.put(Kept("token/x/1", 3, b"mine"))
    return made


class BytesPath:
    """A path as ``os.PathLike`` allows it, too."""

    def __fspath__(self):
        return b"/var/lib/app"


def test_a_folder_named_to_the_engine_is_where_answers_wait(tmp_path):
    """``escrow=PATH``: a string or a path is made into an escrow; one of somebody's own is taken as it is."""
    keys, own = b64encode(b"k" * 32).decode(), Escrow()
    for path in (str(tmp_path), tmp_path):
        made = Worker(Store(), Vendor(), escrow=path, keys=keys).context.escrow
        assert isinstance(made, FolderEscrow)
        assert made._folder == tmp_path
    assert Worker(Store(), Vendor(), escrow=own, keys=keys).context.escrow is own


async def test_an_answer_waits_in_a_folder_that_is_given_as_a_path(tmp_path):
    """What is put there is found by who names the same folder as a string."""
    keys = b64encode(b"k" * 32).decode()
    await Worker(Store(), Vendor(), escrow=tmp_path / "escrow", keys=keys).context.escrow.put(Kept("a/b/c", 1, b"v"))
    found = await Worker(Store(), Vendor(), escrow=f"{tmp_path}/escrow", keys=keys).context.escrow.everything()
    assert found == [Kept("a/b/c", 1, b"v")]


@pytest.mark.parametrize(
    "given", ["", "a\0b", "~no-such-user/escrow", BytesPath(), b"/var/lib/app", 42, object(), Path]
)
def test_what_cannot_be_an_escrow_is_refused_when_the_engine_is_made(given):
    """Later it would be too late: the answer that cannot be kept is there."""
    keys = b64encode(b"k" * 32).decode()
    with pytest.raises(ConfigurationError, match="escrow"):
        Worker(Store(), Vendor(), escrow=given, keys=keys)


def test_a_folder_without_keys_is_refused(tmp_path):
    """As a path, too: answers lie there encrypted or not at all."""
    with pytest.raises(ConfigurationError, match="keys"):
        Worker(Store(), Vendor(), escrow=tmp_path)


def test_escrow_in_a_folder_needs_keys():
    """Answers lie there encrypted or not at all."""
    with pytest.raises(ConfigurationError, match="keys"):
        Worker(Store(), Vendor(), escrow="/tmp/escrow")


async def test_an_escrow_folder_that_others_may_write_to_is_not_used(tmp_path):
    """Whoever can put an answer there could put his own there."""
    folder = tmp_path / "escrow"
    folder.mkdir()
    folder.chmod(0o777)
    escrow = FolderEscrow(str(folder), token_bytes)
    for call in (escrow.put(Kept("k", 1, b"v")), escrow.find("k"), escrow.drop("k", 1)):
        with pytest.raises(StoreUnavailable, match="alone"):
            await call


async def test_the_newest_of_a_folder_is_the_one_with_the_highest_number(tmp_path):
    """In whatever order the files were written or are listed, and 100 is more than 99."""
    escrow = FolderEscrow(str(tmp_path), token_bytes)
    for number in [7, 100, *range(20, 60, 3), 99, 2]:
        await escrow.put(Kept("a/b", number, b"%d" % number))
        await escrow.put(Kept("a/c", 200 - number, b"%d" % number))
    assert await escrow.find("a/b") == Kept("a/b", 100, b"100")
    assert await escrow.everything() == [Kept("a/b", 100, b"100"), Kept("a/c", 198, b"2")]
    await escrow.drop("a/b", 99)
    assert await escrow.find("a/b") == Kept("a/b", 100, b"100")


async def test_an_escrow_folder_that_is_not_there_holds_nothing(tmp_path):
    """There is nothing to find and nothing to drop, and looking makes no folder."""
    escrow = FolderEscrow(str(tmp_path / "escrow"), token_bytes)
    await escrow.drop("k", 9)
    assert await escrow.find("k") is None
    assert await escrow.everything() == []
    assert not (tmp_path / "escrow").exists()


async def test_an_escrow_folder_is_private_and_whole(tmp_path):
    """0600 files in a 0700 folder; the newest of a key is found, older ones go, and nothing half-written is read."""
    from secrets import token_bytes

    folder = tmp_path / "a" / "escrow"
    escrow = FolderEscrow(str(folder), token_bytes)
    assert await escrow.find("token/x/1") is None
    assert await escrow.everything() == []
    for number in (9, 10, 11):
        await escrow.put(Kept("token/x/1", number, b"v%d" % number))
    await escrow.put(Kept("token/x/10", 99, b"another key"))
    assert await escrow.find("token/x/1") == Kept("token/x/1", 11, b"v11")
    (folder / "read me").write_text("no answer")
    assert await escrow.everything() == [Kept("token/x/1", 11, b"v11"), Kept("token/x/10", 99, b"another key")]
    (folder / "read me").unlink()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    await escrow.drop("token/x/1", 10)
    assert await escrow.find("token/x/1") == Kept("token/x/1", 11, b"v11")
    await escrow.drop("token/x/1", 11)
    assert await escrow.find("token/x/1") is None
    assert await escrow.find("token/x/10") is not None
    folder.chmod(0o500)


@pytest.mark.parametrize("what", ["file", "missing parent that is a file"])
async def test_an_escrow_folder_that_is_none(tmp_path, what):
    """A file where the folder should be: ``StoreUnavailable``, the operator's."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder = blocked if what == "file" else blocked / "escrow"
    with pytest.raises(StoreUnavailable, match="escrow"):
        await FolderEscrow(str(folder), lambda count: b"x" * count).put(Kept("k", 1, b"v"))


@pytest.mark.parametrize("fails", ["fsync", "replace"])
async def test_an_answer_that_could_not_be_kept_leaves_nothing(tmp_path, monkeypatch, fails):
    """A full disk: said with the folder and the system's words, and no half file stays."""
    kept = await escrow_in(tmp_path / "escrow")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if fails == "fsync" else (Path, "replace")), full)
    with pytest.raises(StoreUnavailable, match=rf"{tmp_path}/escrow cannot be used: No space left on device"):
        await kept.put(Kept("token/x/1", 4, b"mine"))
    assert [path.name for path in (tmp_path / "escrow").iterdir()] == ["token+x+1@3.answer"]


async def test_what_killed_processes_were_writing_is_swept(tmp_path):
    """After an hour, with the next answer; what may still have a writer stays, and what is not ours."""
    folder = tmp_path / "escrow"
    kept = await escrow_in(folder)
    old = time.time() - 3700
    for name in (".0123456789abcdef", ".fedcba9876543210", ".bashrc", ".0123", ".0123456789abcdef.swp"):
        (folder / name).write_bytes(b"half")
        if "fed" not in name:
            os.utime(folder / name, (old, old))
    (folder / ".aaaaaaaaaaaaaaaa").symlink_to(tmp_path)
    os.utime(folder / ".aaaaaaaaaaaaaaaa", (old, old), follow_symlinks=False)
    await kept.put(Kept("token/x/1", 4, b"mine"))
    left = {path.name for path in folder.glob(".*")}
    assert left == {".fedcba9876543210", ".bashrc", ".0123", ".0123456789abcdef.swp", ".aaaaaaaaaaaaaaaa"}


async def test_what_is_no_plain_file_is_not_read(tmp_path):
    """A link, a folder or a thing of any size under an answer's name: somebody else's, and left alone."""
    folder = tmp_path / "escrow"
    kept = await escrow_in(folder)
    (tmp_path / "elsewhere").write_bytes(b"elsewhere")
    (folder / "token+x+1@4.answer").symlink_to(tmp_path / "elsewhere")
    (folder / "token+x+1@5.answer").mkdir()
    (folder / "token+x+1@6.answer").touch()
    os.truncate(folder / "token+x+1@6.answer", LARGEST + 1)
    (folder / "token+x+2@1.answer").symlink_to(tmp_path / "elsewhere")
    assert await kept.find("token/x/1") == Kept("token/x/1", 3, b"mine")
    assert await kept.everything() == [Kept("token/x/1", 3, b"mine")]
    await kept.drop("token/x/1", 9)
    assert (tmp_path / "elsewhere").exists()
    assert await kept.find("token/x/1") is None
    (folder / "token+x+1@7.answer").touch()
    os.truncate(folder / "token+x+1@7.answer", LARGEST)
    assert (await kept.find("token/x/1")).number == 7


async def test_a_folder_that_others_may_read_is_this_users_still(tmp_path):
    """What lies there is sealed; only who may write there could put in something else."""
    folder = tmp_path / "escrow"
    kept = await escrow_in(folder)
    folder.chmod(0o755)
    assert (await kept.find("token/x/1")).number == 3


async def test_keeping_an_answer_leaves_nothing_open(tmp_path):
    """A worker keeps thousands in its life."""
    kept = await escrow_in(tmp_path / "escrow")
    before = len(list(Path("/dev/fd").iterdir()))
    for number in range(20):
        await kept.put(Kept("token/x/1", number, b"mine"))
    assert len(list(Path("/dev/fd").iterdir())) == before


async def test_an_answer_that_another_process_has_removed_meanwhile_is_gone(tmp_path, monkeypatch):
    """Which is what was wanted: the rest is removed, too."""
    kept = await escrow_in(tmp_path / "escrow")
    found = await asyncio.to_thread(kept._files)
    monkeypatch.setattr(kept, "_files", lambda key=None: [(key, 1, tmp_path / "gone"), *found])
    await kept.drop("token/x/1", 3)
    assert list((tmp_path / "escrow").iterdir()) == []
