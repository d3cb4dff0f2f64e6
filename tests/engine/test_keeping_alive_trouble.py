"""What a keep-alive round does about what is not due, not its own, not there any more, and not well."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.engine.escrow import Kept
from linkauth.protocol.keys import token_key
from linkauth.vendors.linkxg_user import LinkXGUser
from tests.engine.fakes import CLIENT, LATER, USER, Escrow, Store, Vendor, Worker, logged_in, refusal
from tests.engine.virtual import virtual

WEEK = 7 * 86400.0
ELSEWHERE = LinkXGUser(base_url="https://elsewhere.example/api/v1")


async def grown(worker: Worker, *names: str) -> None:
    """So many users who logged in most of a week ago."""
    for name in names:
        await logged_in(worker, name)
    await asyncio.sleep(0.8 * WEEK)


@virtual
async def test_only_what_would_lapse_is_renewed():
    """Clients' tokens, sessions that are over, and what was renewed a day ago are left alone."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await grown(worker, "due", "over", "fresh")
    await worker.credential(USER, "over").logout()
    await worker.credential(USER, "fresh").refresh()
    await worker.credential(CLIENT).token()
    before = vendor.counts["/auth/refresh"]
    assert await worker.keep_alive(USER, CLIENT, rounds=1) == 1
    assert vendor.counts["/auth/refresh"] == before + 1
    assert vendor.counts["/oauth/token"] == 1


@virtual
async def test_only_what_was_named_is_renewed():
    """A credential of another registration in the same store is somebody else's business."""
    store, vendor = Store(), Vendor()
    await grown(Worker(store, vendor), "ada")
    assert await Worker(store, vendor).keep_alive(ELSEWHERE, rounds=1) == 0
    assert await Worker(store, vendor).keep_alive(ELSEWHERE, USER, rounds=1) == 1


@virtual
async def test_a_record_that_goes_away_in_the_round_is_passed_over():
    """It was there when the keys were listed."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await grown(worker, "ada", "bob")
    gone = token_key(USER, "ada")

    def delete(name):
        # The round lists the keys right after its claim; what it reads next is one of them.
        return store.inner.delete(gone, LATER) if name == "read_many" and store.counts["claim"] > claims else None

    claims = store.counts["claim"]
    store.before = delete
    assert await worker.keep_alive(USER, rounds=1) == 1


@virtual
async def test_one_that_cannot_be_renewed_holds_up_no_other(caplog):
    """Refused by the vendor, or an escrow that nobody can read: logged by name, and the round goes on."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    await grown(Worker(store, vendor), "refused", "unreadable", "well", "well too")
    key = token_key(USER, "unreadable")
    escrow.kept = {(key, LATER): Kept(key, LATER, b"broken")}
    worker = Worker(store, vendor, escrow=escrow)
    session = (await worker.credential(USER, "refused").replica.read())[0].record
    token = worker.context.codec.open(token_key(USER, "refused"), session).token
    vendor.refused.add(vendor._refresh[token.refresh_token])
    assert await worker.keep_alive(USER, rounds=1) == 2
    assert all(f"/{name}>" in caplog.text for name in ("refused", "unreadable"))


@virtual
async def test_a_store_that_goes_away_in_the_round_is_waited_for():
    """The round breaks off and begins again when the store is back; who was renewed is not renewed once more."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await grown(worker, "a", "b", "c", "d")

    def away(name):
        if name == "claim" and vendor.counts["/auth/refresh"] == 2:
            store.down.add("claim")

    store.before = away
    keeper = asyncio.create_task(worker.keep_alive(USER, rounds=1))
    await asyncio.sleep(30)
    assert vendor.counts["/auth/refresh"] == 2
    store.before = lambda _: None
    store.down.clear()
    await keeper
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (4, 0)


@pytest.mark.slow
@virtual
async def test_a_round_whose_lease_was_lost_is_left_to_whoever_comes_next():
    """Its lease could not be extended and ended: it stops where it is, and a new round renews what is left."""
    store, vendor = Store(), Vendor()
    vendor.delay = 5.0
    worker = Worker(store, vendor)
    names = [f"account{number}" for number in range(150)]
    await grown(worker, *names)
    store.down.add("extend")
    keeper = asyncio.create_task(worker.keep_alive(USER, rounds=1))
    await asyncio.sleep(70)
    assert 80 <= vendor.counts["/auth/refresh"] <= 110
    store.down.clear()
    await keeper
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (150, 0)


@virtual
async def test_two_that_claim_at_once_make_one_round():
    """One makes it; the other waits, finds when the next one is, and makes none."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor), Worker(store, vendor)]
    await grown(workers[0], "a", "b")
    keepers = [asyncio.create_task(worker.keep_alive(USER)) for worker in workers]
    await asyncio.sleep(30)
    assert vendor.counts["/auth/refresh"] == 2
    for keeper in keepers:
        keeper.cancel()
    await asyncio.wait(keepers)


@virtual
async def test_without_names_the_engines_own_vendors_are_kept():
    """Those of the credentials that it was asked for."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await grown(worker, "ada")
    vendor.fails(refusal(503, "DOWN"))
    assert await worker.keep_alive(rounds=1) == 1
