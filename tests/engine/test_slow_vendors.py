"""Two patiences: a caller waits ``timeout`` seconds, an answer that is the session is waited for two minutes."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import VendorUnavailable
from linkauth.protocol import timing
from linkauth.store import Granted
from tests.engine import virtual as clock
from tests.engine.fakes import CLIENT, LIFETIME, USER, Fault, Store, Vendor, Worker, answer, logged_in, remembered
from tests.engine.virtual import virtual

TIMEOUT = 10.0


@virtual
async def test_a_vendor_that_answers_after_the_callers_have_gone_logs_nobody_out():
    """Every refresh is answered after one and a half time-outs, 20 users: callers are told, the answers are stored."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, timeout=TIMEOUT)
    credentials = [await logged_in(worker, f"user-{number}") for number in range(20)]
    await asyncio.sleep(LIFETIME)
    vendor.delay = 1.5 * TIMEOUT
    began = clock.monotonic()
    told = await asyncio.gather(*(each.token() for each in credentials), return_exceptions=True)
    assert [type(error) for error in told] == [VendorUnavailable] * 20
    assert clock.monotonic() - began == pytest.approx(TIMEOUT + timing.CALLER_MORE)
    await asyncio.sleep(TIMEOUT)
    fresh = [await each.token() for each in credentials]
    assert vendor.counts["/auth/refresh"] == 20
    assert vendor.counts["reuse"] == 0
    other = Worker(store, vendor, timeout=TIMEOUT)
    assert [await other.credential(USER, f"user-{number}").token() for number in range(20)] == fresh


@virtual
async def test_another_worker_does_not_spend_what_a_slow_vendor_is_working_on():
    """Whoever waits for the lease is told after its own time-out, and has what the holder brought as soon as it is stored."""
    store, vendor = Store(), Vendor()
    holder, other = (Worker(store, vendor, timeout=TIMEOUT) for _ in range(2))
    credential = await logged_in(holder)
    await asyncio.sleep(LIFETIME)
    vendor.delay = 60.0
    asking = asyncio.create_task(credential.token())
    await asyncio.sleep(1.0)
    vendor.delay = 0.0
    with pytest.raises(VendorUnavailable):
        await other.credential(USER).token()
    with pytest.raises(VendorUnavailable):
        await asking
    await asyncio.sleep(50.0)
    assert await other.credential(USER).token() == await credential.token()
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_an_answer_that_never_comes_is_given_up_after_two_minutes():
    """Then the lease is given back, and the note stands: the refresh token is in doubt."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, timeout=TIMEOUT)
    credential = await logged_in(worker)
    await asyncio.sleep(LIFETIME)
    worker.events.clear()
    vendor.delay = 1e6
    with pytest.raises(VendorUnavailable):
        await credential.token()
    await asyncio.sleep(timing.ANSWER - TIMEOUT - timing.CALLER_MORE - 1.0)
    assert worker.heard() == []
    await asyncio.sleep(2.0)
    assert worker.heard() == ["failed"]
    key = credential.replica.key
    assert b"doubt" in (await store.read(key)).note
    claim = await store.claim(key, "somebody", 1.0, remembered(credential).version, b"")
    assert isinstance(claim, Granted)


@virtual
async def test_a_good_token_is_not_waited_for_while_a_slow_vendor_is_asked():
    """Between ``hard`` and ``end`` the first caller waits his time; who comes later has the token that is good at once."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, timeout=TIMEOUT)
    credential = await logged_in(worker)
    old = await credential.token()
    await asyncio.sleep(LIFETIME - 50.0)
    vendor.delay = 40.0
    assert await credential.token() == old
    began = clock.monotonic()
    assert await credential.token() == old
    assert clock.monotonic() == began


@virtual
async def test_where_nothing_rotates_a_slow_vendor_is_not_waited_for_longer():
    """A second request is only waste: the first is given up in time, and repeated."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, timeout=TIMEOUT)
    vendor.faults.append(Fault(answer(200, {}), delay=100.0))
    began = clock.monotonic()
    with pytest.raises(VendorUnavailable):
        await worker.credential(CLIENT).token()
    assert clock.monotonic() - began < TIMEOUT + timing.CALLER_MORE + 1.0
    await asyncio.sleep(1.0)
    assert worker.heard() == ["failed"]
