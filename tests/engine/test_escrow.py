"""What an earlier process left in escrow: brought back as soon as the engine opens, and judged by who needs it."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from secrets import token_bytes

import pytest

from linkauth.engine.escrow import FolderEscrow, Kept
from linkauth.engine.records import DeadRecord, token_key
from linkauth.errors import CorruptRecord, StoreUnavailable
from tests.engine.fakes import CLIENT, USER, Escrow, Store, Vendor, Worker, logged_in
from tests.engine.virtual import virtual

KEYS = [b64encode(bytes([number]) * 32).decode() for number in range(2)]


class Everything(Escrow):
    """One that is looked through when the engine opens."""

    async def everything(self):
        return list(self.kept.values())


async def left_behind(store: Store, vendor: Vendor, escrow: Escrow, **kwargs) -> str:
    """A process that dies with an answer that the store has not taken. The answer's access token."""
    doomed = Worker(store, vendor, escrow=escrow, **kwargs)
    await logged_in(doomed)
    store.down.add("commit")
    kept = await doomed.credential(USER).refresh()
    doomed.office.flights.closing = True
    await asyncio.sleep(1)
    store.down.clear()
    return kept.access_token


@virtual
async def test_an_answer_that_is_still_good_serves_the_restarted_process():
    """Found before the first renewal, stored, and handed out: the vendor is not asked."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    kept = await left_behind(store, vendor, escrow)
    assert (await Worker(store, vendor, escrow=escrow).credential(USER).token()).access_token == kept
    assert vendor.counts["/auth/refresh"] == 1
    assert escrow.kept == {}


@virtual
async def test_an_engine_that_opens_brings_everything_back():
    """Nobody has to ask for the credential first: another host has the answer as soon as this one is up again."""
    store, vendor, escrow = Store(), Vendor(), Everything()
    kept = await left_behind(store, vendor, escrow)
    restarted = Worker(store, vendor, escrow=escrow)
    restarted.open()
    await asyncio.sleep(0.1)
    assert escrow.kept == {}
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept
    await restarted.aclose()


@virtual
async def test_a_store_that_is_away_is_offered_it_until_it_is_back(caplog):
    """Said once, tried twice a second, and given up when the engine closes."""
    store, vendor, escrow = Store(), Vendor(), Everything()
    kept = await left_behind(store, vendor, escrow)
    store.down.add("commit")
    closed, restarted = Worker(store, vendor, escrow=escrow), Worker(store, vendor, escrow=escrow)
    closed.open()
    restarted.open()
    await asyncio.sleep(3)
    await closed.aclose()
    warnings = [record for record in caplog.records if "again and again" in record.message]
    assert len([record for record in warnings if record.levelno >= logging.WARNING]) == 2
    assert len(escrow.kept) == 1
    store.down.clear()
    await asyncio.sleep(1)
    assert escrow.kept == {}
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept


@virtual
async def test_an_engine_that_is_closed_before_it_looks_leaves_everything_where_it_is():
    """Opened and closed in one breath: nothing was read, nothing is lost."""
    store, vendor, escrow = Store(), Vendor(), Everything()
    await left_behind(store, vendor, escrow)
    restarted = Worker(store, vendor, escrow=escrow)
    restarted.open()
    await restarted.aclose()
    assert len(escrow.kept) == 1
    without = Worker(store, vendor)
    without.open()
    await without.aclose()


@pytest.mark.parametrize("fault", ["other keys", "refused", "the escrow's own"])
@virtual
async def test_what_cannot_be_brought_back_stays_and_is_told(fault, caplog):
    """Sealed with keys that are not here, refused by the store, an escrow that breaks: logged, and nothing thrown away."""
    store, vendor, escrow = Store(), Vendor(), Everything()
    await left_behind(store, vendor, escrow, keys=KEYS[0])
    restarted = Worker(store, vendor, escrow=escrow, keys=KEYS[1] if fault == "other keys" else KEYS[0])

    async def commit(*args):
        raise CorruptRecord("the store cannot read its own record")

    async def everything():
        raise ZeroDivisionError("canary")

    if fault == "refused":
        store.inner.commit = commit
    elif fault == "the escrow's own":
        escrow.everything = everything
    caplog.clear()
    restarted.open()
    await asyncio.sleep(5)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "escrow" in errors[0].message
    assert "canary" not in errors[0].message
    assert len(escrow.kept) == 1


@virtual
async def test_what_the_fleet_has_something_newer_for_is_left_to_its_credential():
    """Another worker was faster: the store's record stands, whoever opens an engine."""
    store, vendor, escrow = Store(), Vendor(), Everything()
    await left_behind(store, vendor, escrow)
    key = token_key(USER, "default")
    dead = DeadRecord(vendor=USER.name, account="default", reason="logged out", by_user=True)
    worker = Worker(store, vendor, escrow=escrow)
    await store.inner.commit(key, 99, worker.office.envelope.close(key, 99, dead))
    worker.open()
    await asyncio.sleep(1)
    assert (await store.inner.read(key)).record.version == 99
    assert len(escrow.kept) == 1


# -- An answer that cannot be read.


@virtual
async def test_a_session_that_may_hang_on_an_unreadable_answer_is_not_risked():
    """The store's refresh token may be a spent one: nothing is sent, and the operator is told what to do."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await left_behind(store, vendor, escrow)
    (kept,) = escrow.kept.values()
    escrow.kept = {(kept.key, kept.number): Kept(kept.key, kept.number, b"broken")}
    credential = Worker(store, vendor, escrow=escrow).credential(USER)
    await asyncio.sleep(901)
    for _ in range(2):
        with pytest.raises(CorruptRecord, match="risk a new login"):
            await credential.token()
        await asyncio.sleep(70)
    assert vendor.counts["/auth/refresh"] == 1
    assert len(escrow.kept) == 1


@virtual
async def test_an_unreadable_answer_that_the_store_has_no_need_of_harms_nobody(caplog):
    """The store has something newer, or the vendor does not rotate: said once, and left alone."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await logged_in(Worker(store, vendor))
    for credential in (
        Worker(store, vendor, escrow=escrow).credential(USER),
        Worker(store, vendor, escrow=escrow).credential(CLIENT),
    ):
        key = credential.ledger.key
        escrow.kept = {(key, 1): Kept(key, 1, b"broken")}
        caplog.clear()
        assert (await credential.token()).access_token
        await credential.refresh()
        assert caplog.text.count("left alone") == 1


# -- The folder.


async def test_an_escrow_folder_that_others_may_write_to_is_not_used(tmp_path):
    """Whoever can put an answer there could put his own there."""
    folder = tmp_path / "escrow"
    folder.mkdir()
    folder.chmod(0o777)
    escrow = FolderEscrow(str(folder), token_bytes)
    for call in (escrow.put(Kept("k", 1, b"v")), escrow.find("k"), escrow.drop("k", 1)):
        with pytest.raises(StoreUnavailable, match="alone"):
            await call


async def test_an_escrow_folder_that_is_not_there_holds_nothing(tmp_path):
    """There is nothing to find and nothing to drop, and looking makes no folder."""
    escrow = FolderEscrow(str(tmp_path / "escrow"), token_bytes)
    await escrow.drop("k", 9)
    assert await escrow.find("k") is None
    assert await escrow.everything() == []
    assert not (tmp_path / "escrow").exists()
