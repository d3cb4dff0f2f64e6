"""What is kept until the store has it."""

from __future__ import annotations

import asyncio

from tests.engine.fakes import CLIENT, Escrow, Store, Vendor, Worker
from tests.engine.virtual import virtual


@virtual
async def test_an_offer_that_lands_late_lets_nothing_newer_go():
    """While the store takes its time with one value another came: that one is still kept when the first is through."""
    store = Store()
    keeper = Worker(store, Vendor()).credential(CLIENT).ledger.keeper
    gate = asyncio.Event()
    store.before = lambda name: gate.wait()
    first = asyncio.create_task(keeper.commit(1, b"first"))
    await asyncio.sleep(0)
    second = await keeper.keep(2, b"second")
    gate.set()
    await first
    assert keeper.kept is second
    await keeper.insist()
    assert keeper.kept is None
    assert (await store.inner.read(keeper.key)).record.value == b"second"


@virtual
async def test_an_older_value_does_not_take_a_newer_ones_place():
    """A renewal's answer comes when a later login is kept already: what is offered on is the login."""
    store = Store()
    keeper = Worker(store, Vendor()).credential(CLIENT).ledger.keeper
    login = await keeper.keep(2, b"login")
    older = await keeper.keep(1, b"renewal")
    assert (older.number, older.value) == (1, b"renewal")
    assert keeper.kept is login
    await keeper.insist()
    assert (await store.inner.read(keeper.key)).record.value == b"login"


class Hanging(Escrow):
    """An escrow that never comes to an end."""

    async def put(self, kept):
        await asyncio.Event().wait()


@virtual
async def test_who_is_cancelled_while_an_escrow_hangs_ends():
    """It was the keeper's own task that was called off, no task of the escrow's: the value goes nowhere any more."""
    store = Store()
    keeper = Worker(store, Vendor(), escrow=Hanging()).credential(CLIENT).ledger.keeper
    keeping = asyncio.create_task(keeper.commit(1, b"value"))
    await asyncio.sleep(1)
    keeping.cancel()
    await asyncio.wait({keeping})
    assert keeping.cancelled()
    assert store.counts["commit"] == 0
