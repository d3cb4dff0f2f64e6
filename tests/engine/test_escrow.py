"""What an earlier process left in escrow: brought back as soon as the engine opens, and judged by who needs it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from linkauth.engine.escrow import Kept
from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.protocol.keys import token_key
from linkauth.protocol.records import DeadRecord
from tests.engine.announcing import Telling
from tests.engine.fakes import CLIENT, LATER, USER, Escrow, Store, Vendor, Worker, logged_in
from tests.engine.virtual import monotonic, virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


KEYS = [b64encode(bytes([number]) * 32).decode() for number in range(2)]


async def left_behind(store: Store, vendor: Vendor, escrow: Escrow, **kwargs) -> str:
    """A process that dies with an answer that the store has not taken. The answer's access token."""
    doomed = Worker(store, vendor, escrow=escrow, **kwargs)
    await logged_in(doomed)
    store.down.add("commit")
    kept = await doomed.credential(USER).refresh()
    doomed.context.flights.closing = True
    await asyncio.sleep(1)
    store.down.clear()
    return kept.access_token


async def died_with_an_answer(store: Store, vendor: Vendor, escrow: Escrow, **kwargs) -> None:
    """As ``left_behind``, 15 minutes ago; all tokens have expired since, and the store takes nothing yet."""
    await left_behind(store, vendor, escrow, **kwargs)
    store.down.add("commit")
    await asyncio.sleep(901)


@virtual
async def test_an_answer_that_is_still_good_serves_the_restarted_process():
    """Found before the first renewal, stored, and handed out: the vendor is not asked."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    kept = await left_behind(store, vendor, escrow)
    assert (await Worker(store, vendor, escrow=escrow).credential(USER).token()).access_token == kept
    assert vendor.counts["/auth/refresh"] == 1
    assert escrow.kept == {}


@virtual
async def test_a_store_that_is_away_is_offered_it_until_it_is_back(caplog):
    """Said once, tried twice a second, and given up when the engine closes."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
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
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await left_behind(store, vendor, escrow)
    restarted = Worker(store, vendor, escrow=escrow)
    restarted.open()
    await restarted.aclose()
    assert len(escrow.kept) == 1
    without = Worker(store, vendor)
    without.open()
    await without.aclose()


@pytest.mark.parametrize("fault", ["other keys", "refused"])
@virtual
async def test_what_cannot_be_brought_back_stays_and_is_told(fault, caplog):
    """Sealed with keys that are not here, refused by the store: logged, and nothing thrown away."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await left_behind(store, vendor, escrow, keys=KEYS[0])
    restarted = Worker(store, vendor, escrow=escrow, keys=KEYS[1] if fault == "other keys" else KEYS[0])

    async def commit(*args):
        raise CorruptRecord("the store cannot read its own record")

    if fault == "refused":
        store.inner.commit = commit
    caplog.clear()
    restarted.open()
    await asyncio.sleep(5)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "escrow" in errors[0].message
    assert len(escrow.kept) == 1


@virtual
async def test_what_the_fleet_has_something_later_for_is_let_go_of():
    """The user has logged out since: the store's record stands, whoever opens an engine."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await left_behind(store, vendor, escrow)
    key = token_key(USER, "default")
    dead = DeadRecord(vendor=USER.name, account="default", reason="logged out", by_user=True)
    worker = Worker(store, vendor, escrow=escrow)
    await store.inner.commit(key, LATER, worker.context.codec.close(key, LATER, dead))
    worker.open()
    await asyncio.sleep(1)
    assert (await store.inner.read(key)).record.version == LATER
    assert escrow.kept == {}


@virtual
async def test_escrow_brings_back_what_a_dead_process_had():
    """Killed after the answer and before the commit: a restarted worker finds it in escrow, commits and serves it."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    doomed = Worker(store, vendor, escrow=escrow)
    await logged_in(doomed)
    store.down.add("commit")
    kept = await doomed.credential(USER).refresh()
    assert len(escrow.kept) == 1
    doomed.context.flights.closing = True  # it is gone: it offers nothing any more
    await asyncio.sleep(1)
    store.down.clear()
    await asyncio.sleep(901)
    restarted = Worker(store, vendor, escrow=escrow)
    fresh = await restarted.credential(USER).token()
    assert fresh.access_token != kept.access_token  # that one has expired, but its refresh token was good
    assert escrow.kept == {}
    assert vendor.counts["reuse"] == 0


@virtual
async def test_an_answer_in_escrow_serves_though_the_store_does_not_take_it():
    """The restarted process has a token that is good: nobody has to wait for the store, and it is offered on."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    kept = await left_behind(store, vendor, escrow)
    store.down.add("commit")
    restarted = Worker(store, vendor, escrow=escrow).credential(USER)
    assert (await restarted.token()).access_token == kept
    with pytest.raises(StoreUnavailable):
        await restarted.refresh()
    store.down.clear()
    await asyncio.sleep(1)
    assert escrow.kept == {}
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_what_lay_in_escrow_is_offered_again_when_the_store_is_back():
    """The restarted process is asked while the store is away: it goes on offering, and is not stuck with the answer."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await died_with_an_answer(store, vendor, escrow)
    restarted = Worker(store, vendor, escrow=escrow)
    with pytest.raises(StoreUnavailable):
        await restarted.credential(USER).token()
    store.down.clear()
    await asyncio.sleep(1)
    assert escrow.kept == {}
    assert (await Worker(store, vendor).credential(USER).token()).access_token
    assert (await restarted.credential(USER).token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_an_opened_engine_commits_what_lies_in_escrow_before_anybody_asks():
    """The restarted process is asked for nothing; another host is, and does not spend the token that is spent already."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await died_with_an_answer(store, vendor, escrow)
    restarted = Worker(store, vendor, escrow=escrow)
    restarted.open()
    await asyncio.sleep(20)  # the store is still away; then it is back
    assert len(escrow.kept) == 1
    store.down.clear()
    assert (await Worker(store, vendor).credential(USER).token()).access_token
    assert vendor.counts["reuse"] == 0
    assert escrow.kept == {}
    await restarted.aclose()


@virtual
async def test_an_engine_that_closes_leaves_escrow_to_the_next():
    """The store stays away: closing does not wait for it, and what lies in escrow lies there still."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await died_with_an_answer(store, vendor, escrow)
    restarted = Worker(store, vendor, escrow=escrow)
    restarted.open()
    await asyncio.sleep(20)
    before = monotonic()
    await restarted.aclose()
    assert monotonic() == before
    assert len(escrow.kept) == 1


@virtual
async def test_escrow_of_other_keys_is_not_handed_to_the_fleet(caplog):
    """An answer that this engine cannot open stays where it is, with a word in the log; so does one that is outdated."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await died_with_an_answer(store, vendor, escrow, keys=b64encode(b"k" * 32).decode())
    store.down.clear()
    other = Worker(store, vendor, escrow=escrow, keys=b64encode(b"o" * 32).decode())
    other.open()
    await other.context.flights.landed()
    ((key, number),) = escrow.kept
    assert f"record {key}" in caplog.text
    assert (await store.read(key)).record.version < number
    await store.commit(key, number + 1, b"newer")
    keyed = Worker(store, vendor, escrow=escrow, keys=b64encode(b"k" * 32).decode())
    keyed.open()
    await keyed.context.flights.landed()
    assert (await store.read(key)).record.value == b"newer"
    assert len(escrow.kept) == 1  # nobody can say which is later


@virtual
@pytest.mark.parametrize("fault", [OSError("canary"), StoreUnavailable("the escrow folder cannot be used")])
async def test_an_escrow_that_cannot_be_looked_through(caplog, fault):
    """Said once, and looked at again by each credential before it is renewed."""

    class Broken(Escrow):
        async def everything(self):
            raise fault

    store, vendor, escrow = Store(), Vendor(), Broken()
    await died_with_an_answer(store, vendor, escrow)
    store.down.clear()
    restarted = Worker(store, vendor, escrow=escrow)
    restarted.open()
    await asyncio.sleep(60)
    assert caplog.text.count("escrow failed") == 1
    assert "canary" not in caplog.text
    assert (await restarted.credential(USER).token()).access_token
    assert escrow.kept == {}
    assert vendor.counts["reuse"] == 0


@virtual
async def test_escrow_holds_nothing_that_the_store_has():
    """Once the store has an answer, or a newer one, the escrow is empty."""
    escrow = Escrow()
    credential = await logged_in(Worker(Store(), Vendor(), escrow=escrow))
    for _ in range(3):
        await credential.refresh()
    assert escrow.kept == {}


@virtual
async def test_an_escrow_that_cannot_be_used_holds_nobody_up(caplog):
    """It is gone, it is broken, it hangs: that is logged, and the store has the answer all the same."""

    class Gone(Escrow):
        async def put(self, *args):
            raise StoreUnavailable("the escrow folder cannot be used")

        drop = find = put

    class Broken(Escrow):
        async def put(self, *args):
            raise OSError("canary")

        drop = find = put

    class Hung(Escrow):
        async def put(self, *args):
            await asyncio.Event().wait()

    store, vendor = Store(), Vendor()
    for escrow in (Gone(), Broken(), Hung()):
        credential = await logged_in(Worker(store, vendor, escrow=escrow))
        fresh = await credential.refresh()
        assert (await Worker(store, vendor).credential(USER).token()).access_token == fresh.access_token
    assert "escrow folder" in caplog.text
    assert "canary" not in caplog.text


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
        key = credential.replica.key
        escrow.kept = {(key, 1): Kept(key, 1, b"broken")}
        caplog.clear()
        assert (await credential.token()).access_token
        await credential.refresh()
        assert caplog.text.count("left alone") == 1


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
