"""An answer that comes when somebody else has written: which of the two sessions lives, and who learns of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from linkauth.errors import ReauthorizationRequired, StoreUnavailable
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import (
    CLIENT,
    LATER,
    USER,
    Escrow,
    Store,
    Vendor,
    Worker,
    logged_in,
    refusal,
)
from tests.engine.virtual import virtual

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential


async def written(store: Store, credential: Credential, number: int, record: Any) -> None:
    """Somebody writes ``record`` as version ``number``."""
    key = credential.replica.key
    value = credential._context.codec.close(key, number, record)
    await store.inner.commit(key, number, value)


async def version(store: Store, credential: Credential) -> int:
    record = (await store.inner.read(credential.replica.key)).record
    return record.version if record else 0


# -- A worker whose answer the store would not take, and that another worker took for dead.


class Kept:
    """A worker that has an answer and no store, and a fleet that holds its session for dead meanwhile."""

    def __init__(self) -> None:
        self.inner = MemoryStore(clock=clock.wall)
        self.mine, self.theirs = Store(self.inner), Store(self.inner)
        self.vendor = Vendor()
        self.escrow = Escrow()
        self.worker = Worker(self.mine, self.vendor, escrow=self.escrow)
        self.other = Worker(self.theirs, self.vendor)

    async def begin(self) -> Credential:
        credential = await logged_in(self.worker)
        await asyncio.sleep(890)
        self.mine.down |= {"commit", "extend"}
        await credential.refresh()
        await asyncio.sleep(30)
        with pytest.raises(ReauthorizationRequired):
            await self.other.credential(USER).token()
        self.vendor.refused.clear()  # as a vendor does that ends only the session of whoever repeats
        return credential

    async def dead(self) -> bool:
        record = (await self.inner.read(self.worker.credential(USER).replica.key)).record
        return isinstance(self.worker.context.codec.open(self.worker.credential(USER).replica.key, record), DeadRecord)


@virtual
async def test_an_answer_outlives_the_refusal_that_it_caused():
    """Another worker was refused the spent token and wrote that down: the answer that spent it takes that place."""
    scene = Kept()
    credential = await scene.begin()
    assert await scene.dead()
    scene.mine.down.clear()
    await asyncio.sleep(2)
    assert not await scene.dead()
    assert (await scene.other.credential(USER).token()).access_token == (await credential.token()).access_token
    assert (await credential.refresh()).access_token


@virtual
async def test_an_answer_waits_for_whoever_holds_the_lease():
    """Somebody is at the dead record: his turn first, and then the answer that lives."""
    scene = Kept()
    credential = await scene.begin()
    key = credential.replica.key
    claim = await scene.inner.claim(key, "somebody", 600, LATER, b"")
    scene.mine.down.clear()
    await asyncio.sleep(1)
    scene.worker.events.clear()
    await asyncio.sleep(20)
    assert await scene.dead()
    assert scene.worker.heard() == []  # waiting is no fault of the store
    await scene.inner.release(key, claim.number)
    await asyncio.sleep(1)
    assert not await scene.dead()


@virtual
async def test_a_login_whose_answer_was_lost_gives_way_to_a_later_one():
    """Both of one process: the store took the first without saying so, and the second is over before that is known."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    lost, gate = True, asyncio.Event()

    def first(name):
        nonlocal lost
        if name == "commit" and lost:
            lost = False
            return gone()
        return None

    async def gone():
        await store.inner.release(credential.replica.key, 1)
        await gate.wait()
        raise StoreUnavailable("the answer is lost")

    store.before = first
    early = asyncio.create_task(credential.login(email="ada@example.com", password="correct horse"))
    await asyncio.sleep(1)
    later = await credential.login(email="ada@example.com", password="correct horse")
    gate.set()
    assert await early == later
    assert await credential.token() == later
    await asyncio.sleep(5)
    assert await credential.token() == later
    assert await Worker(store, vendor).credential(USER).token() == later


@virtual
async def test_a_look_that_took_long_is_not_thrown_away_for_a_login():
    """While it looked a login came through, and then another elsewhere, of which the look tells: that one is the newest."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    gate, first = asyncio.Event(), True

    def slowly(name):
        nonlocal first
        if name == "read" and first:
            first = False
            return gate.wait()
        return None

    store.before = slowly
    looking = asyncio.create_task(worker.credential(USER).token())
    await asyncio.sleep(1)
    await logged_in(worker)
    newest = await (await logged_in(Worker(store, vendor))).token()
    gate.set()
    assert await looking == newest
    assert await worker.credential(USER).token() == newest


@virtual
async def test_a_login_that_came_first_stays():
    """The user logged in when the session looked dead: the old session's answer gives way to the new one."""
    scene = Kept()
    credential = await scene.begin()

    def log_in(name: str) -> Any:
        if name == "claim":
            scene.mine.before = lambda _: None
            return scene.other.credential(USER).login(email="ada@example.com", password="correct horse")
        return None

    scene.mine.before = log_in
    scene.mine.down.clear()
    await asyncio.sleep(2)
    assert (await credential.token()).access_token == (await scene.other.credential(USER).token()).access_token
    assert not await scene.dead()


@virtual
async def test_an_answer_is_kept_on_where_the_store_goes_away_again():
    """It took the offer, said that another has written, and is gone: the answer is served and offered on."""
    scene = Kept()
    credential = await scene.begin()
    before = scene.mine.counts["commit"]
    scene.mine.down = {"claim"}
    await asyncio.sleep(3)
    assert await scene.dead()
    assert (await credential.token()).access_token
    assert not credential.replica.is_newer_than(0)  # the store never had it, so it cannot have lost it
    assert scene.mine.counts["commit"] - before < 10  # with a pause in between
    assert len(scene.escrow.kept) == 1
    scene.mine.down.clear()
    await asyncio.sleep(3)
    assert not await scene.dead()


@virtual
async def test_an_answer_lies_in_escrow_until_it_or_something_later_stands():
    """A process that is killed while it takes an older record's place leaves the answer to the next one."""
    scene, lay = Kept(), list[int]()
    await scene.begin()
    scene.mine.before = lambda name: lay.append(len(scene.escrow.kept)) if name in {"claim", "commit"} else None
    scene.mine.down.clear()
    await asyncio.sleep(2)
    assert not await scene.dead()
    assert len(lay) >= 3
    assert 0 not in lay
    assert not scene.escrow.kept


@virtual
async def test_an_answer_is_kept_on_where_the_store_goes_away_under_the_new_lease():
    """It has the lease to take the dead record's place, and the store does not take that commit: it is offered on."""
    scene = Kept()
    await scene.begin()
    scene.mine.before = lambda name: scene.mine.down.add("commit") if name == "claim" else None
    scene.mine.down.clear()
    await asyncio.sleep(2)
    assert await scene.dead()
    scene.mine.before = lambda _: None
    scene.mine.down.clear()
    await asyncio.sleep(2)
    assert not await scene.dead()


@virtual
async def test_closing_leaves_such_an_answer_in_escrow(caplog):
    """It ends, says what it leaves behind, and a restarted process brings the session back to life."""
    scene = Kept()
    credential = await scene.begin()
    kept = await credential.token()
    scene.mine.down = {"claim"}
    await asyncio.sleep(1)
    begun = clock.monotonic()
    await scene.worker.aclose()
    assert clock.monotonic() - begun < 2
    assert "the store has not taken the last answer" in caplog.text
    scene.theirs.down = {"claim"}
    restarted = Worker(scene.theirs, scene.vendor, escrow=scene.escrow)
    assert (await restarted.credential(USER).token()).access_token == kept.access_token  # served meanwhile
    scene.theirs.down.clear()
    await asyncio.sleep(1)
    assert (await restarted.credential(USER).token()).access_token == kept.access_token
    assert not scene.escrow.kept


@virtual
async def test_a_login_that_gave_way_to_a_token_that_is_over_brings_one_that_is_good():
    """Somebody claimed later and wrote what has ended since: the caller is not given that."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    over = attrs.evolve(await credential.token(), access_token="over", expires_at=clock.wall() - 1)

    async def later() -> None:
        assert credential.replica.lease_held is not None
        await store.inner.release(
            credential.replica.key, credential.replica.lease_held.number
        )  # as if its lease had ended
        await written(store, credential, LATER, TokenRecord(vendor=USER.name, account="default", token=over))

    def first(name: str) -> Any:
        if name == "commit":
            store.before = lambda _: None
            return later()
        return None

    store.before = first
    token = await credential.login(email="ada@example.com", password="correct horse")
    assert token.expires_at > clock.wall()
    assert await credential.token() == token


@virtual
async def test_a_login_is_not_held_up_by_a_renewal_of_what_it_brought():
    """The store took half of the token's life, so that may nearly be over: it is good, and handed out."""
    store, vendor = Store(), Vendor()
    vendor.lifetime = 3.0
    credential = Worker(store, vendor).credential(USER)
    store.before = lambda name: asyncio.sleep(1.45) if name == "commit" else None
    begun = clock.monotonic()
    await credential.login(email="ada@example.com", password="correct horse")
    assert clock.monotonic() == begun + 1.45
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_a_clients_answer_that_was_forgotten_meanwhile_still_serves():
    """Somebody logs the client out while its token is on its way: whoever asked for it gets it, and nothing is stored."""
    store, vendor = Store(), Vendor()
    slow, other = Worker(store, vendor), Worker(store, vendor)
    vendor.faults.clear()
    gate = vendor.holds()
    asking = asyncio.create_task(slow.credential(CLIENT).token())
    await asyncio.sleep(1)
    await store.inner.delete(slow.credential(CLIENT).replica.key, 99)
    gate.set()
    token = await asking
    assert await slow.credential(CLIENT).token() == token
    assert not slow.credential(CLIENT).replica.is_newer_than(0)  # nothing of it is put back
    assert await version(store, other.credential(CLIENT)) == 0
    assert "superseded" in slow.heard()


@virtual
async def test_a_refusal_gives_way_to_what_was_written_meanwhile():
    """Between the last look and the record of the refusal somebody brings a token: that is what everybody has."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    newer = attrs.evolve(await credential.token(), access_token="x.newer.x", refresh_token="newer")

    def first(name: str) -> Any:
        if name == "commit":
            store.before = lambda _: None
            return written(store, credential, LATER, TokenRecord(vendor=USER.name, account="default", token=newer))
        return None

    vendor.fails(refusal(401, "TOKEN_INVALID"))
    store.before = first
    assert (await credential.refresh()).access_token == "x.newer.x"
    assert await version(store, credential) == LATER


@virtual
async def test_a_refusal_is_believed_though_the_store_cannot_be_read():
    """The look for something newer fails, the record of the refusal does not: the user is sent for."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    store.down.add("read")
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    store.down.clear()
    with pytest.raises(ReauthorizationRequired):
        await Worker(store, vendor).credential(USER).token()
    assert vendor.counts["/auth/refresh"] == 1
