"""What is kept until the store has it."""

from __future__ import annotations

import asyncio

from tests.engine.fakes import CLIENT, Store, Vendor, Worker
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
