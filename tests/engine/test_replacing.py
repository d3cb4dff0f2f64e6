"""A token that the vendor's API refused: what takes its place, and when renewing it again helps nobody."""

from __future__ import annotations

import asyncio
import logging

import pytest

from linkauth.errors import (
    ConfigurationError,
    InvalidToken,
)
from tests.engine.fakes import CLIENT, Fault, Store, Vendor, Worker, answer, refusal
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_peek_shows_what_would_be_served_and_begins_nothing():
    """The token while it is good, None where ``token()`` would wait: before the first, after its end, after a jump."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    credential = worker.credential(CLIENT)
    assert credential.peek() is None
    token = await credential.token()
    assert credential.peek() is token
    worker.wall_ahead += 3600
    assert credential.peek() is None
    worker.wall_ahead -= 3600
    await asyncio.sleep(901)
    assert credential.peek() is None
    assert vendor.counts["requests"] == 1


@virtual
async def test_an_api_that_refuses_every_token_does_not_cost_a_renewal_for_each_call():
    """Fresh and refused: for a while, that doubles, it is not replaced again; once one is taken, that is forgotten."""
    credential = Worker(Store(), Vendor()).credential(CLIENT)
    gaps = []
    token = await credential.token()
    for _ in range(8):
        credential.accepted(token, yes=False)
        assert credential.in_vain(token)
        gaps.append(credential._refusals.vain_until - monotonic())
        await asyncio.sleep(gaps[-1])
        assert not credential.in_vain(token)
        token = await credential.replacement(token)
    assert 0.5 <= gaps[0] <= 1
    assert 30 <= gaps[-1] <= 60
    credential.accepted(token, yes=True)
    credential.accepted(token, yes=False)
    await asyncio.sleep(1)
    assert not credential.in_vain(token)


@virtual
async def test_a_token_that_took_a_refused_ones_place_and_is_refused_too_is_the_callers():
    """Nobody says whether the API takes it, and it comes back: it is not replaced at once, nor the vendor asked."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(CLIENT)
    old = await credential.token()
    assert not credential.is_stuck(old)
    fresh = await credential.replacement(old)
    assert credential.is_stuck(fresh)
    assert await credential.replacement(fresh) is fresh
    assert credential.is_stuck(fresh)
    assert vendor.counts["requests"] == 2
    await asyncio.sleep(1)
    assert not credential.is_stuck(fresh)
    assert await credential.replacement(fresh) is not fresh
    assert vendor.counts["requests"] == 3


@virtual
async def test_a_refusal_of_an_older_token_says_nothing_of_the_current_one():
    """It was replaced while the request was on its way."""
    credential = Worker(Store(), Vendor()).credential(CLIENT)
    old = await credential.token()
    fresh = await credential.replacement(old)
    credential.accepted(old, yes=False)
    assert not credential.in_vain(fresh)
    assert not credential.in_vain(old)


@virtual
async def test_a_replacement_after_a_sleep_looks_at_the_store_first():
    """The machine slept, another worker has renewed meanwhile: its token is the replacement, and the vendor is not asked."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential, other = worker.credential(CLIENT), Worker(store, vendor).credential(CLIENT)
    old = await credential.token()
    await other.token()
    fresh = await other.refresh()
    worker.wall_ahead += 3600
    assert (await credential.replacement(old)).access_token == fresh.access_token
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_closed_engine_believes_the_wall_after_a_sleep():
    """Nothing is asked any more: a token that the wall clock says is over is not served from memory either."""
    store = Store()
    worker = Worker(store, Vendor())
    credential = worker.credential(CLIENT)
    token = await credential.token()
    await worker.aclose()
    assert await credential.token() == token
    before = store.counts.total()
    worker.wall_ahead += 3600
    with pytest.raises(ConfigurationError, match="closed"):
        await credential.token()
    assert store.counts.total() == before


@virtual
async def test_a_rotation_whose_token_is_refused_is_tried_once_more():
    """The access token was revoked: renewed once, the secret rotated once."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    await credential.rotate_secret()
    assert vendor.counts["/oauth/clients/shop/rotate"] == 2
    assert vendor.counts["/oauth/token"] == 2
    assert (await credential.refresh()).access_token


@virtual
async def test_a_rotation_whose_token_is_refused_twice_is_the_callers():
    """Renewed once, and refused again: said as it was, the secret as it was, and the vendor is asked no third time."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    no = refusal(401, "TOKEN_INVALID")
    vendor.faults += [Fault(no), Fault(acts=True), Fault(no)]
    with pytest.raises(InvalidToken):
        await credential.rotate_secret()
    assert vendor.counts["/oauth/clients/shop/rotate"] == 2
    assert vendor.secret == "first-secret"


@virtual
async def test_a_rotation_for_which_no_token_is_to_be_had_is_not_made():
    """The token endpoint itself says that a token is invalid: that is raised, and nobody believes the secret replaced."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    vendor.fails(answer(401, {"error": "invalid_token"}), times=9)
    with pytest.raises(InvalidToken):
        await credential.rotate_secret()
    assert vendor.counts["/oauth/clients/shop/rotate"] == 0
    assert vendor.secret == "first-secret"


@pytest.mark.parametrize("listener", [None, "fails"])
@virtual
async def test_who_listens_badly_disturbs_nobody(listener, caplog):
    """A listener that raises costs a log entry; that there is none costs nothing."""

    def fail(event):
        raise ZeroDivisionError

    worker = Worker(Store(), Vendor())
    worker.context.event_log._listeners = (fail,) if listener else ()
    assert (await worker.credential(CLIENT).token()).access_token
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert bool(logged) == bool(listener)


@virtual
async def test_a_refused_token_that_was_replaced_meanwhile_costs_no_look():
    """The current one is handed out from memory; only after a suspend the store is read first."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    old = await credential.token()
    new = await credential.refresh()
    store.counts.clear()
    assert await credential.replacement(old) == new
    assert not store.counts
    await asyncio.sleep(3600)
    worker.slept = 3600
    assert (await credential.replacement(old)).access_token not in {old.access_token, new.access_token}
    assert store.counts["read"] == 2  # and once for the newest client secret, before the exchange
