"""A store that lost its data gives numbers anew: two records under one, and which of the two sessions lives."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from linkauth.errors import ReauthorizationRequired
from linkauth.protocol.records import TokenRecord
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import (
    CLIENT,
    USER,
    Store,
    Vendor,
    Worker,
    logged_in,
    remembered,
)
from tests.engine.test_late_answers import written
from tests.engine.virtual import virtual


@virtual
async def test_an_answer_under_a_number_that_was_given_before_serves_while_the_store_is_away():
    """The store lost its data and counts anew: what is held has a higher number, and was spent for this answer."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await credential.refresh()
    held, number = await credential.token(), remembered(credential).version
    _, time = await credential.replica.read()
    answer = attrs.evolve(held, access_token="answer")
    lineage = remembered(credential).lineage.renewed(held)
    store.down.add("commit")
    before = remembered(credential)
    for given in (number - 1, number):
        assert await credential.replica.store(answer, given, time, irreplaceable=True, lineage=lineage) == answer
        assert await credential.token() == answer
        credential.replica.learn(lambda _: before)
    store.down.clear()


@pytest.mark.parametrize("later", [-1, 1], ids=["sooner", "later"])
@virtual
async def test_of_two_answers_under_one_number_the_one_that_was_issued_later_lives(later):
    """A store that lost its data gave the number twice, and the other was stored first."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await asyncio.sleep(100)
    twin = attrs.evolve(await credential.token(), access_token="twin", issued_at=clock.wall() + later)

    def first(name: str) -> Any:
        if name == "commit":
            store.before = lambda _: None
            assert credential.replica.lease_held is not None
            number = credential.replica.lease_held.number
            return written(store, credential, number, TokenRecord(vendor=USER.name, account="default", token=twin))
        return None

    store.before = first
    assert ((await credential.refresh()).access_token == "twin") is (later > 0)
    other = await Worker(store, vendor).credential(USER).token()
    assert other.access_token == (await credential.token()).access_token


@virtual
async def test_a_login_after_a_loss_is_taken():
    """After a loss somebody logs in anew: it is another session, above the number that is held here, and it is adopted."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await asyncio.sleep(10)
    store.inner = MemoryStore(clock=clock.wall)
    twin = await logged_in(Worker(store, vendor))
    assert remembered(twin).version > remembered(credential).version
    assert (await credential.refresh()).access_token == (await twin.token()).access_token
    assert vendor.counts["/auth/refresh"] == 0
    begun = clock.monotonic()
    await twin.refresh()  # the lease is given back
    assert clock.monotonic() == begun


@virtual
async def test_a_twin_that_cannot_be_read_is_none():
    """Under the held number stands something broken: what is held is renewed, and takes its place."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.inner = MemoryStore(clock=clock.wall)
    await store.inner.commit(credential.replica.key, remembered(credential).version, b"broken")
    fresh = await credential.refresh()
    assert (await Worker(store, vendor).credential(USER).token()).access_token == fresh.access_token


@virtual
async def test_an_older_record_that_came_back_is_no_twin():
    """A snapshot brought back what was spent: after a moment for whoever has more, the newest that is held is renewed."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    key = credential.replica.key
    old = (await store.inner.read(key)).record
    await credential.refresh()
    store.inner = MemoryStore(clock=clock.wall)
    await store.inner.commit(key, old.version, old.value)
    await credential.refresh()
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (2, 0)


@virtual
async def test_nothing_is_held_before_anything_was_read():
    """Whoever asks for the held token where there is none is told in words."""
    credential = Worker(Store(), Vendor()).credential(USER)
    with pytest.raises(ReauthorizationRequired, match="there is no token"):
        credential.replica.current()


@virtual
async def test_a_machines_token_under_the_very_number_is_adopted():
    """A store that lost its data gave another worker the number that is held here: what came later is found with the lease, and used."""
    store, vendor, elsewhere = Store(), Vendor(), Store()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    await asyncio.sleep(500)
    later = await Worker(elsewhere, vendor).credential(CLIENT).token()
    found = (await elsewhere.read(credential.replica.key)).record
    store.inner = MemoryStore(clock=clock.wall)
    await store.inner.commit(credential.replica.key, remembered(credential).version, found.value)
    await asyncio.sleep(401)
    assert await credential.token() == later
