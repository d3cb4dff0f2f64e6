"""A token in memory: what handing it out costs, and that nothing is overlooked for it."""

from __future__ import annotations

import asyncio
import time

import pytest

from linkauth import AuthEngine
from linkauth.errors import ReauthorizationRequired
from linkauth.oauth.token import Token
from tests.counts import bytecodes_of, calls_of, sent
from tests.engine.fakes import CLIENT, LIFETIME, Store, Vendor, Worker, answer, logged_in, remember, remembered
from tests.engine.virtual import monotonic, virtual

MOST = 30
"""Bytecodes of a hit; a bare check of expiry has 16."""


def test_a_hit_is_one_call_of_one_clock():
    """``token()`` is one coroutine that reads one clock, and ``peek()`` reads it without one: nothing else is called."""
    credential = AuthEngine("memory:").credential(CLIENT)
    now = time.time()
    token = Token(access_token="t", issued_at=now, expires_at=now + LIFETIME)
    remember(credential, token, 1)
    assert sent(credential.token()) is credential.peek() is token
    assert calls_of(lambda: sent(credential.token())) == ["Credential.token", "time"]
    assert calls_of(credential.peek) == ["time"]
    assert bytecodes_of(lambda: sent(credential.token())) <= MOST
    assert bytecodes_of(credential.peek) <= MOST


@pytest.mark.parametrize("down", [False, True], ids=["a slow vendor", "a vendor that is down"])
@virtual
async def test_a_hit_costs_the_same_while_it_is_renewed_behind(down):
    """From ``soft`` on, with a renewal in the air or one that failed a moment ago, a hit is what it is before that."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(CLIENT)
    token = await credential.token()
    await asyncio.sleep(remembered(credential).windows.soft - monotonic())
    gate = asyncio.Event()
    if down:
        vendor.fails(answer(400, {"error": "temporarily_unavailable"}))
    else:
        gate = vendor.holds()
    assert await credential.token() is token
    await asyncio.sleep(0.1)  # the renewal has begun, or failed
    assert vendor.counts["requests"] == 2
    assert (remembered(credential).failure is not None) == down
    assert await credential.token() is token
    assert bytecodes_of(lambda: sent(credential.token())) <= MOST
    assert bytecodes_of(credential.peek) <= MOST
    gate.set()


@virtual
async def test_a_token_is_renewed_behind_at_its_moment_though_it_was_just_handed_out():
    """The clocks were compared a moment before ``soft``: the first call after it begins the renewal all the same."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(CLIENT)
    await credential.token()
    await asyncio.sleep(remembered(credential).windows.soft - monotonic() - 0.1)
    await credential.token()
    await asyncio.sleep(0.101)
    await credential.token()
    await asyncio.sleep(0.1)
    assert vendor.counts["requests"] == 2


@virtual
async def test_what_failed_is_tried_again_at_its_moment_though_the_token_was_just_handed_out():
    """Between a failure and the next attempt a token is handed out; the first call after ``retry_at`` tries again."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    await asyncio.sleep(remembered(credential).windows.soft - monotonic())
    vendor.fails(answer(400, {"error": "temporarily_unavailable"}))
    await credential.token()
    await asyncio.sleep(0.1)
    await asyncio.sleep(remembered(credential).retry_at - monotonic() - 0.1)
    await credential.token()
    assert store.counts["claim"] == 2
    await asyncio.sleep(0.101)
    await credential.token()
    await asyncio.sleep(0.1)
    assert store.counts["claim"] == 3


@virtual
async def test_a_wall_clock_set_back_hides_nothing():
    """The wall clock is set back an hour right after a hit: the token is renewed when it would have been, and not an hour later."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    await credential.token()
    worker.wall_ahead = -3600
    await asyncio.sleep(LIFETIME)
    assert await credential.token() != token


@virtual
async def test_a_wall_clock_that_is_set_back_again_and_again_hides_half_a_second():
    """Each time by as much as may go unnoticed: no caller gets the token later than half a second after ``hard``."""
    worker = Worker(Store(), Vendor())
    credential = worker.credential(CLIENT)
    token = await credential.token()
    hard = remembered(credential).windows.hard
    await asyncio.sleep(hard - monotonic() - 5)
    worker.offline = True  # so that nothing is renewed before
    last = monotonic()
    while monotonic() < hard + 2:
        last = monotonic() if credential.peek() is token else last
        await asyncio.sleep(0.125)
        worker.wall_ahead -= 0.12
    assert last < hard + 0.5


@virtual
async def test_a_token_is_not_handed_out_after_its_logout():
    """It was handed out a moment before: the next call sends for the user, and nothing of it is left to hand out."""
    credential = await logged_in(Worker(Store(), Vendor()))
    await credential.token()
    await credential.logout()
    assert credential.valid.token is None
    assert credential.peek() is None
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


@virtual
async def test_what_another_thread_learns_while_the_clocks_are_compared_counts():
    """The user logs out in another thread's loop between a look at what is known and the hand-out: nothing is handed out."""
    credential = await logged_in(Worker(Store(), Vendor()))
    before = remembered(credential)
    await credential.logout()
    credential.replica.hand_out(before, before.soft)
    assert credential.peek() is None


@virtual
async def test_a_closed_engine_hands_out_what_is_good_and_renews_nothing_behind():
    """It was closed before the token's moment to be renewed: until its end callers get it, and the vendor is not asked."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    await worker.aclose()
    await asyncio.sleep(remembered(credential).windows.soft - monotonic() + 0.1)
    assert await credential.token() is await credential.token() is token
    await asyncio.sleep(0.1)
    assert vendor.counts["requests"] == 1
