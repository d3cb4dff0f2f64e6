"""The store as the engine sees it: its clock, its words, its faults, and its end."""

from __future__ import annotations

import pytest

from linkauth import open_store
from linkauth.engine.events import Event, EventKind
from linkauth.errors import (
    CorruptRecord,
    LinkAuthError,
    StoreUnavailable,
    VendorUnavailable,
)
from tests.engine import fakes
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker
from tests.engine.virtual import EPOCH, monotonic, virtual, wall


@virtual
async def test_the_hosts_clock_stands_in_until_the_store_was_asked():
    """Before the first look there is no other; after it only the store's counts."""
    worker = Worker(Store(), Vendor())
    worker.wall_ahead = 3600
    assert worker.context.clock.store_now() == wall() + 3600
    await worker.credential(CLIENT).token()
    assert worker.context.clock.store_now() == wall()


@virtual
async def test_what_the_store_says_of_a_record_is_passed_on():
    """Its own ``CorruptRecord`` comes out as it is, and without the frames in which the record was."""
    store = Store()

    async def broken(key):
        record = b"canary"
        raise CorruptRecord(f"{key} is broken") from ValueError(record)

    store.inner.read = broken
    with pytest.raises(CorruptRecord, match="is broken") as caught:
        await Worker(store, Vendor()).credential(fakes.USER).token()
    assert caught.value.__cause__ is caught.value.__context__ is None


@virtual
async def test_a_store_that_the_engine_opened_is_closed_with_it(monkeypatch):
    """Opened by its URL, it is nobody else's."""
    closed = []

    class Closing(type(open_store("memory:"))):
        async def aclose(self):
            closed.append(self)

    monkeypatch.setattr("linkauth.engine.engine.open_store", lambda url: Closing())
    await Worker("memory:", Vendor()).aclose()
    assert len(closed) == 1
    await Worker(closed[0], Vendor()).aclose()
    assert len(closed) == 1


@virtual
async def test_a_store_that_hangs_is_told_once_and_so_is_its_return():
    """It is given half of an exchange's time, so that the vendor has the rest."""
    store = Store()
    worker = Worker(store, Vendor(), timeout=4.0)
    store_client = worker.context.store_client
    store.hung.add("read")
    for _ in range(2):
        begun = monotonic()
        with pytest.raises(StoreUnavailable):
            await store_client.ask(store.read("token/x/1"))
        assert monotonic() - begun == 2
    store.hung.clear()
    for _ in range(2):
        await store_client.ask(store.read("token/x/1"))
    of_the_store = {"vendor": "store", "account": "", "duration": 0.0}
    fault = "the store did not answer within 2 s"
    assert worker.events == [
        Event(kind=EventKind.STORE_LOST, at=EPOCH + 2, outcome=fault, **of_the_store),
        Event(kind=EventKind.STORE_BACK, at=EPOCH + 4, outcome="", **of_the_store),
    ]


@virtual
async def test_a_store_that_raises_anything_is_a_store_that_is_away():
    """Somebody else's store raises what it likes: ``StoreUnavailable`` with the class alone, for its words may hold a URL."""

    class Odd(Store):
        def __getattr__(self, name):
            async def call(*args, **kwargs):
                raise ZeroDivisionError("redis://user:canary@host")

            return call if name in {"claim", "read"} else super().__getattr__(name)

    with pytest.raises(StoreUnavailable, match="ZeroDivisionError") as caught:
        await Worker(Odd(), Vendor()).credential(USER).token()
    assert "canary" not in str(caught.value)


@virtual
async def test_a_store_that_hangs_is_given_up_in_time():
    """With no token, a rotating vendor and a store that never answers: an error within the time-out."""
    store = Store()
    store.hung.add("*")
    with pytest.raises((StoreUnavailable, VendorUnavailable)):
        await Worker(store, Vendor()).credential(USER).token()
    assert monotonic() - 1000 <= 11
    with pytest.raises(LinkAuthError):
        await Worker(store, Vendor()).credential(USER).login(email="a@example.com", password="p")
