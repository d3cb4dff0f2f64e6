"""A store that may have lost data: whoever notices spends nothing until others had time to put back what they hold."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import CorruptRecord, LinkAuthError, ReauthorizationRequired, StoreUnavailable, VendorUnavailable
from linkauth.protocol.intent import Note, digest
from linkauth.store import Granted
from tests.engine.announcing import Telling
from tests.engine.fakes import BASE, USER, Keeping, Store, Vendor, Worker, logged_in, remembered
from tests.engine.virtual import VirtualLoop, monotonic, virtual, wall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from linkauth.engine.credential import Credential
    from linkauth.store import Change


class Deaf(Store):
    """A store that announces changes, to listeners who are cut off and have yet to notice that it is back."""

    async def changes(self) -> AsyncIterator[Change | None]:
        yield None
        await asyncio.Event().wait()


async def lost_a_record() -> tuple[Deaf, Vendor, Worker, Credential, Credential]:
    """A store that was away and lost its last record, which one worker holds; the other, with the one before, saw it go."""
    store, vendor = Deaf(), Vendor()
    knows, behind = Worker(store, vendor), Worker(store, vendor)
    newest = await logged_in(knows)
    older = behind.credential(USER)
    await older.token()
    snapshot = dict(store.inner._slots)
    await newest.refresh()
    store.inner._slots = snapshot
    await away(store, older.refresh())
    await asyncio.sleep(1)
    return store, vendor, behind, newest, older


async def away(store: Store, asks: Awaitable[object]) -> None:
    """The store is away for the one who ``asks``, and then it is back."""
    store.down.add("*")
    with pytest.raises(StoreUnavailable):
        await asks
    store.down.clear()


@virtual
async def test_who_sees_a_store_come_back_waits_before_it_listens_again():
    """It came back without its last record: the worker with the record before that does not spend what is spent."""
    _, vendor, _, newest, older = await lost_a_record()
    renewing = asyncio.create_task(older.refresh())
    await asyncio.sleep(1.5)  # by then the other's watch has begun anew
    await newest.replica.put_back()
    assert (await renewing).access_token == (await newest.token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_what_is_in_doubt_waits_as_long_though_the_store_was_away():
    """The moment for those who may put something back is over, and the access token is good: it is not spent for that."""
    store, vendor = Deaf(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    key, version = credential.replica.key, remembered(credential).version
    granted = await store.inner.claim(key, "lost", 1, version, b"")
    assert isinstance(granted, Granted)
    doubt = Note(doubt=digest(await credential.token()), since=wall(), failures=1, kind="NoAnswer")
    await store.inner.release(key, granted.number, doubt.encode())
    await away(store, credential.refresh())
    await asyncio.sleep(1)
    with pytest.raises(VendorUnavailable, match="given time"):
        await credential.refresh()
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_who_waits_waits_anew_when_the_store_is_away_again():
    """The others could not put anything back meanwhile: they are given their time again."""
    store, vendor, behind, newest, older = await lost_a_record()
    renewing = asyncio.create_task(older.refresh())
    await asyncio.sleep(2)
    await away(store, behind.credential(USER, "another").token())
    await behind.credential(USER, "another").replica.read()  # which the store answers
    await asyncio.sleep(0.6)
    await asyncio.sleep(2)
    await newest.replica.put_back()
    assert (await renewing).access_token == (await newest.token()).access_token
    assert vendor.counts["reuse"] == 0


@pytest.mark.parametrize("user", [USER, Keeping(base_url=BASE)], ids=["rotates", "keeps"])
@virtual
async def test_who_sees_a_store_come_back_empty_does_not_send_for_the_user_at_once(user):
    """A worker just born holds nothing: it waits until the one that holds the session has put it back."""
    store, vendor = Deaf(), Vendor()
    newest = Worker(store, vendor).credential(user)
    await newest.login(email="ada@example.com", password="correct horse")
    store.inner._slots = {}
    newborn = Worker(store, vendor).credential(user)
    await away(store, newborn.token())
    await asyncio.sleep(1)  # a failure is remembered for half a second
    asking = asyncio.create_task(newborn.token())
    await asyncio.sleep(2)
    await newest.replica.put_back()
    assert (await asking).access_token == (await newest.token()).access_token
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_the_user_is_sent_for_when_nobody_puts_anything_back():
    """Three seconds after the store's return, or at once where nobody could put anything back."""
    store, vendor = Deaf(), Vendor()
    newborn = Worker(store, vendor).credential(USER)
    await away(store, newborn.token())
    await asyncio.sleep(1)
    begun = monotonic()
    with pytest.raises(ReauthorizationRequired, match="nobody has logged in"):
        await newborn.token()
    assert 3 <= monotonic() - begun < 3.1
    begun = monotonic()
    with pytest.raises(ReauthorizationRequired):
        await Worker(store, vendor).credential(USER).token()
    assert monotonic() == begun


@virtual
async def test_a_worker_just_born_does_not_spend_what_a_store_came_back_with():
    """It saw the store away, and reads a record that is older than the one that others hold: they have their time."""
    store, vendor = Deaf(), Vendor()
    newest = await logged_in(Worker(store, vendor))
    snapshot = dict(store.inner._slots)
    await newest.refresh()
    store.inner._slots = snapshot
    newborn = Worker(store, vendor).credential(USER)
    await away(store, newborn.token())
    await asyncio.sleep(1)
    await newborn.token()
    asking = asyncio.create_task(newborn.refresh())
    await asyncio.sleep(2)
    await newest.replica.put_back()
    assert (await asking).access_token == (await newest.token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_worker_that_closes_does_not_wait_for_what_may_be_put_back():
    """It holds nothing, and has nothing to lose."""
    store, vendor = Deaf(), Vendor()
    worker = Worker(store, vendor)
    newborn = worker.credential(USER)
    await away(store, newborn.token())
    await asyncio.sleep(1)
    asking = asyncio.create_task(newborn.token())
    await asyncio.sleep(0.1)
    begun = monotonic()
    await worker.aclose()
    assert monotonic() == begun
    with pytest.raises(LinkAuthError, match="called off"):
        await asking


def test_the_next_loop_of_a_process_waits_for_nobody():
    """It begins to listen as a new process does: that the loop before it ended is no outage of the store's."""
    store, vendor = Deaf(), Vendor()
    worker = Worker(store, vendor)

    async def first() -> None:
        await logged_in(worker)

    async def next_one() -> float:
        before = monotonic()
        await worker.credential(USER).refresh()
        return monotonic() - before

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(first())
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(next_one()) < 1


@virtual
async def test_who_waits_for_what_may_be_put_back_believes_a_logout():
    """The user has left meanwhile, at another worker's: nothing is spent, and nobody waits for more."""
    _, vendor, _, newest, older = await lost_a_record()
    renewing = asyncio.create_task(older.refresh())
    await asyncio.sleep(0.5)
    await newest.logout()
    begun = monotonic()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await renewing
    assert monotonic() - begun < 3
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (1, 0)


@virtual
async def test_who_waits_for_what_may_be_put_back_goes_on_waiting_though_the_store_is_away():
    """For a look or two: what is put back after that is taken, and nothing is spent."""
    store, vendor, _, newest, older = await lost_a_record()
    renewing = asyncio.create_task(older.refresh())
    await asyncio.sleep(0.5)
    store.down.add("read")
    reads = store.counts["read"]
    await asyncio.sleep(0.5)
    store.down.clear()
    assert store.counts["read"] > reads
    assert not renewing.done()
    await newest.replica.put_back()
    assert (await renewing).access_token == (await newest.token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_who_was_cut_off_gives_the_others_their_time_again():
    """As long as a loss is suspected: three seconds from then on. Where none is, there is nothing to wait for."""
    worker = Worker(Deaf(), Vendor())
    read_repair = worker.context.read_repair
    assert await read_repair.suspicion(anew=True) == 0
    read_repair.beware()
    await asyncio.sleep(2)
    assert await read_repair.suspicion() == 1
    assert await read_repair.suspicion(anew=True) == 3
    await asyncio.sleep(3)
    assert await read_repair.suspicion() == 0
    assert not read_repair.suspects


@virtual
async def test_a_loss_that_is_heard_of_during_the_look_for_a_notice_begins_anew():
    """The time was over that all are given, and the store is asked whether somebody needs longer: it has just lost more."""
    store = Deaf()
    read_repair = Worker(store, Vendor()).context.read_repair
    read_repair.beware()
    await asyncio.sleep(3)

    def another(name: str) -> None:
        assert name == "read"
        store.before = lambda _: None
        read_repair.beware()

    store.before = another
    assert await read_repair.suspicion() == 3
    assert read_repair.suspects


class Broken:
    """Something that is held, was written last of all, and cannot be put back."""

    key = "token/x/broken"
    written_at = math.inf

    def __init__(self, error: Exception) -> None:
        self.error = error

    def is_newer_than(self, version: int) -> bool:
        return True

    async def put_back(self) -> None:
        raise self.error

    def announced(self, version: int) -> None: ...

    def missed(self) -> None: ...


@pytest.mark.parametrize(
    ("error", "level", "words"),
    [
        (CorruptRecord("it is broken"), logging.INFO, "record token/x/broken is not put back: it is broken"),
        (ValueError("swordfish"), logging.WARNING, "record token/x/broken is not put back (ValueError)"),
    ],
    ids=["cannot be read", "a mistake"],
)
@virtual
async def test_one_that_cannot_be_put_back_does_not_hold_up_the_others(error, level, words, caplog):
    """It comes first and fails, which is told: those after it are in the store again, and so is what is lost next."""
    caplog.set_level(logging.INFO, "linkauth")
    store = Telling()
    worker = Worker(store, Vendor())
    held = [await logged_in(worker, f"user {number}") for number in range(50)]
    broken = Broken(error)
    await worker.context.read_repair.follow(broken)
    for times in (1, 2):
        store.empty()
        store.tell(None)
        await asyncio.sleep(1)
        told = [(each.levelno, each.getMessage()) for each in caplog.records]
        assert told.count((level, words)) == times
        for each in held:
            assert await store.version(each.replica.key) == remembered(each).version
    await worker.aclose()
