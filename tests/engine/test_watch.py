"""A store that may have lost data: whoever notices spends nothing until others had time to put back what they hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from linkauth.errors import StoreUnavailable
from tests.engine.fakes import USER, Store, Vendor, Worker, logged_in
from tests.engine.virtual import virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from linkauth.store import Change


class Deaf(Store):
    """A store that announces changes, to listeners who are cut off and have yet to notice that it is back."""

    async def changes(self) -> AsyncIterator[Change | None]:
        yield None
        await asyncio.Event().wait()


@virtual
async def test_who_sees_a_store_come_back_waits_before_it_listens_again():
    """It came back without its last record: the worker with the record before that does not spend what is spent."""
    store, vendor = Deaf(), Vendor()
    knows, behind = Worker(store, vendor), Worker(store, vendor)
    newest = await logged_in(knows)
    older = behind.credential(USER)
    await older.token()
    snapshot = dict(store.inner._slots)
    await newest.refresh()
    store.inner._slots = snapshot
    store.down.add("*")
    try:
        await older.refresh()
    except StoreUnavailable:
        store.down.clear()
    await asyncio.sleep(1)
    renewing = asyncio.create_task(older.refresh())
    await asyncio.sleep(1.5)  # by then the other's watch has begun anew
    await newest.ledger.put_back()
    assert (await renewing).access_token == (await newest.token()).access_token
    assert vendor.counts["reuse"] == 0
