"""What is kept until the store has it."""

from __future__ import annotations

import asyncio

from tests.engine.fakes import CLIENT, Escrow, Store, Vendor, Worker
from tests.engine.virtual import virtual


@virtual
async def test_an_offer_that_lands_late_lets_nothing_newer_go():
    """While the store takes its time with one value another came: that one is still kept when the first is through."""
    store = Store()
    outbox = Worker(store, Vendor()).credential(CLIENT).replica.outbox
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
    assert (await store.inner.read(outbox.key)).record.value == b"second"


@virtual
async def test_an_older_value_does_not_take_a_newer_ones_place():
    """A renewal's answer comes when a later login is kept already: what is offered on is the login."""
    store = Store()
    outbox = Worker(store, Vendor()).credential(CLIENT).replica.outbox
    login = await outbox.keep(2, b"login")
    older = await outbox.keep(1, b"renewal")
    assert (older.number, older.value) == (1, b"renewal")
    assert outbox.kept is login
    await outbox.insist()
    assert (await store.inner.read(outbox.key)).record.value == b"login"


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
