"""An escrow folder with what nobody of us put there: foreign names, half files, links, pipes, and other people's folders."""

from __future__ import annotations

import os
from secrets import token_bytes

import pytest

from linkauth.engine.escrow import LARGEST, FolderEscrow, Kept
from linkauth.errors import CorruptRecord, StoreUnavailable
from tests.engine.fakes import USER, Escrow, Store, Vendor, Worker, logged_in
from tests.engine.virtual import virtual

KEY = "token/x/1"


@pytest.mark.blocking
async def test_foreign_files_are_passed_over_and_left_alone(tmp_path):
    """Other names, a link, a pipe, a folder and a giant beside the answer: it is found, it is dropped, they stay."""
    folder = tmp_path / "escrow"
    escrow = FolderEscrow(str(folder), token_bytes)
    await escrow.put(Kept(KEY, 3, b"the answer"))
    for name in ("\u00b2", "\u0661", "-1", "4x", "", "9" * 200, "1.5"):
        (folder / f"token+x+1@{name}.answer").write_bytes(b"foreign")
    (tmp_path / "elsewhere").write_bytes(b"foreign")
    (folder / "token+x+1@5.answer").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "token+x+1@6.answer")
    (folder / "token+x+1@7.answer").mkdir()
    with (folder / "token+x+1@8.answer").open("wb") as giant:
        giant.truncate(LARGEST + 1)
    before = {path.name for path in folder.iterdir()}
    assert await escrow.find(KEY) == Kept(KEY, 3, b"the answer")
    await escrow.drop(KEY, 99)
    assert await escrow.find(KEY) is None
    assert before - {path.name for path in folder.iterdir()} == {"token+x+1@3.answer"}


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
async def test_a_folder_that_others_may_write_to_is_not_used(tmp_path, mode):
    """Whoever may write there could plant an answer, or swap one: nothing is read and nothing put."""
    folder = tmp_path / "escrow"
    folder.mkdir()
    folder.chmod(mode)
    escrow = FolderEscrow(str(folder), token_bytes)
    for call in (escrow.find(KEY), escrow.put(Kept(KEY, 1, b"v")), escrow.drop(KEY, 1)):
        with pytest.raises(StoreUnavailable, match="escrow folder is not this user's alone"):
            await call
    assert list(folder.iterdir()) == []


@virtual
async def test_an_answer_that_cannot_be_read_stops_what_might_hang_on_it():
    """Half a file, of a vendor that rotates and newer than the record: nothing is spent, and the operator is told."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    credential = await logged_in(Worker(store, vendor))
    asked = vendor.counts["requests"]
    await escrow.put(Kept(credential.replica.key, credential._state.version + 1, b'{"linkauth":1,"kind":"tok'))
    with pytest.raises(CorruptRecord, match=r"in escrow: record .* is not one of linkauth's; give the key"):
        await Worker(store, vendor, escrow=escrow).credential(USER).refresh()
    assert vendor.counts["requests"] == asked
    escrow.kept.clear()
    assert (await Worker(store, vendor, escrow=escrow).credential(USER).refresh()).access_token


@virtual
async def test_an_answer_that_cannot_be_read_stops_nobody_else(caplog):
    """Half a file that the store's record is not older than: it is said, and the renewal goes on."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    credential = await logged_in(Worker(store, vendor))
    await escrow.put(Kept(credential.replica.key, 1, b'{"linkauth":1,"kind":"tok'))
    assert (await Worker(store, vendor, escrow=escrow).credential(USER).refresh()).access_token
    assert "in escrow: record" in caplog.text
