"""What an escrow takes for its own, how often it is offered, and when the watch begins: where mutants survived the rest."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import time
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkauth.engine.escrow import LARGEST, FolderEscrow, Kept
from linkauth.errors import ConfigurationError, StoreUnavailable
from linkauth.protocol.records import DeadRecord
from tests.engine.fakes import USER, Escrow, Store, Vendor, Worker, logged_in
from tests.engine.test_lost_store import Telling
from tests.engine.virtual import monotonic, virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def escrow_in(folder: Path) -> FolderEscrow:
    made = FolderEscrow(str(folder), os.urandom)
    await made.put(Kept("token/x/1", 3, b"mine"))
    return made


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


class BytesPath:
    """A path as ``os.PathLike`` allows it, too."""

    def __fspath__(self):
        return b"/var/lib/app"


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


@virtual
async def test_what_is_left_behind_is_offered_twice_a_second():
    """A store that is away for long is not asked more often: the gaps grow up to half a second."""
    store, escrow, offered = Store(), Escrow(), []
    worker = Worker(store, Vendor(), escrow=escrow)
    key = worker.credential(USER).replica.key
    value = worker.context.codec.close(key, 1, DeadRecord(vendor="v", account="a", reason="r"))
    await escrow.put(Kept(key, 1, value))
    store.down.add("*")
    store.before = lambda name: offered.append(monotonic())
    worker.open()
    await asyncio.sleep(10)
    gaps = [after - before for before, after in itertools.pairwise(offered)]
    assert gaps[0] <= 0.1
    assert 0.1 <= gaps[1] <= 0.2
    assert 0.2 <= gaps[2] <= 0.4
    assert all(0.39 <= gap <= 0.51 for gap in gaps[4:])
    store.down.clear()
    await asyncio.sleep(1)
    assert escrow.kept == {}


@pytest.mark.parametrize(("takes", "waited"), [(0.4, 0.4), (3600, 1.0)])
@virtual
async def test_nothing_is_read_before_the_store_is_listened_to(takes, waited):
    """What is lost between the two would be missed; but listening that does not begin holds nobody up for long."""

    class Slow(Telling):
        async def changes(self) -> AsyncIterator:
            await asyncio.sleep(takes)
            async for change in super().changes():
                yield change

    store, read = Slow(), []
    store.before = lambda name: read.append(monotonic())
    worker = Worker(store, Vendor())
    begun = monotonic()
    await logged_in(worker)
    assert read[0] - begun == pytest.approx(waited)
    await worker.context.read_repair.aclose()


@virtual
async def test_those_who_hear_of_a_loss_at_one_moment_do_not_all_write_at_one_moment():
    """Within half a second, each at a time of its own: the first puts it back, the others find it there."""
    store, vendor, wrote = Telling(), Vendor(), []
    first = await logged_in(Worker(store, vendor))
    for _ in range(5):
        await Worker(store, vendor).credential(USER).token()
    store.empty()
    store.before = lambda name: wrote.append((name, monotonic()))
    heard = monotonic()
    store.tell(None)
    await asyncio.sleep(1)
    looks = [at - heard for name, at in wrote if name == "read"]
    assert len(looks) == len(set(looks)) == 6
    assert 0 < min(looks) <= max(looks) < 0.5
    assert [name for name, _ in wrote].count("commit") == 1
    assert first.replica.is_newer_than(0)
