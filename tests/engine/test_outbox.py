"""What is kept until the store has it, and how often it is offered."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace

import attrs
import pytest

from linkauth.engine.outbox import Outbox
from linkauth.engine.replica import Replica
from linkauth.errors import StoreUnavailable
from linkauth.oauth.token import Token
from linkauth.protocol.records import Session, TokenRecord
from tests.engine.fakes import CLIENT, LATER, USER, Escrow, Store, Vendor, Worker
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_an_offer_that_lands_late_lets_nothing_newer_go():
    """While the store takes its time with one value another came: that one is still kept when the first is through."""
    store = Store()
    replica = Worker(store, Vendor()).credential(CLIENT).replica
    outbox = replica.outbox
    gate = asyncio.Event()
    store.before = lambda name: gate.wait()
    first = asyncio.create_task(outbox.commit(1, b"first"))
    await asyncio.sleep(0)
    second = await outbox.keep(2, b"second")
    gate.set()
    await first
    assert outbox.kept is second
    await outbox.insist()
    assert outbox.kept is None
    assert (await store.inner.read(replica.key)).record.value == b"second"


@virtual
async def test_an_older_value_does_not_take_a_newer_ones_place():
    """A renewal's answer comes when a later login is kept already: what is offered on is the login."""
    store = Store()
    replica = Worker(store, Vendor()).credential(CLIENT).replica
    outbox = replica.outbox
    login = await outbox.keep(2, b"login")
    older = await outbox.keep(1, b"renewal")
    assert (older.number, older.value) == (1, b"renewal")
    assert outbox.kept is login
    await outbox.insist()
    assert (await store.inner.read(replica.key)).record.value == b"login"


@virtual
async def test_what_takes_an_older_records_place_leaves_a_later_login_in_its_own():
    """An answer is given a number above the record before it, and meanwhile a login is kept: that is what is offered on."""
    store, escrow = Store(), Escrow()
    worker = Worker(store, Vendor(), escrow=escrow)
    replica, close = worker.credential(USER).replica, worker.context.codec.close

    def value(session: int, generation: int, number: int) -> bytes:
        token = Token(access_token=f"{session}.{generation}", issued_at=0.0, expires_at=60.0)
        who = Session(session, "a")
        record = TokenRecord(vendor="v", account="a", token=token, session=who, generation=generation)
        return close(replica.key, number, record)

    async def log_in() -> None:
        store.before = lambda _: None
        await replica.outbox.keep(LATER, value(2, 0, LATER))

    await store.inner.commit(replica.key, 5, value(1, 0, 5))
    store.before = lambda name: log_in() if name == "claim" else None
    landed = await replica.outbox.commit(3, value(1, 1, 3))
    assert (landed.mine, landed.record.version) == (True, 6)
    assert (await store.inner.read(replica.key)).record == landed.record
    assert replica.outbox.kept.number == LATER
    assert list(escrow.kept) == [(replica.key, LATER)]
    await replica.outbox.insist()
    assert (await store.inner.read(replica.key)).record.version == LATER


class Hanging(Escrow):
    """An escrow that never comes to an end."""

    async def put(self, kept):
        await asyncio.Event().wait()


@virtual
async def test_who_is_cancelled_while_an_escrow_hangs_ends():
    """It was the outbox's own task that was called off, no task of the escrow's: the value goes nowhere any more."""
    store = Store()
    outbox = Worker(store, Vendor(), escrow=Hanging()).credential(CLIENT).replica.outbox
    keeping = asyncio.create_task(outbox.commit(1, b"value"))
    await asyncio.sleep(1)
    keeping.cancel()
    await asyncio.wait({keeping})
    assert keeping.cancelled()
    assert store.counts["commit"] == 0


def outbox(store: Store) -> Outbox:
    context = Worker(store, Vendor()).context
    world = attrs.evolve(context.world, random=SimpleNamespace(random=lambda: 0.0))
    return Outbox(Replica(attrs.evolve(context, world=world), "token/x/1", 15.0))


@virtual
async def test_offers_move_apart_but_not_far():
    """Whoever comes back to an emptied store waits little longer for what is kept here: half a second at the most."""
    store, offered = Store(), []
    store.before = lambda name: offered.append(monotonic()) if name == "commit" else None
    store.down.add("commit")
    keeping = outbox(store)
    with pytest.raises(StoreUnavailable):
        await keeping.commit(1, b"answer")
    offered.clear()
    insisting = asyncio.create_task(keeping.insist())
    await asyncio.sleep(2)
    store.down.clear()
    await insisting
    gaps = [round(after - before, 6) for before, after in itertools.pairwise(offered)]
    assert gaps == [0.1, 0.2, 0.4, 0.5, 0.5, 0.5]


@virtual
async def test_only_the_newest_answer_is_offered_on():
    """Nothing kept: nothing is offered. Something newer kept meanwhile: the older one is let go of."""
    store = Store()
    keeping = outbox(store)
    assert await keeping.insist() is None
    store.down.add("commit")
    await keeping.keep(1, b"older")
    insisting = asyncio.create_task(keeping.insist())
    await asyncio.sleep(0.05)
    await keeping.keep(2, b"newer")
    store.down.clear()
    assert await insisting is None
    assert (await store.inner.read("token/x/1")).record is None
    await keeping.insist()
    assert (await store.inner.read("token/x/1")).record.value == b"newer"
