"""A token in memory: who gets it at once, when it is renewed behind, and who shares what with whom."""

from __future__ import annotations

import asyncio
import contextvars

import attrs
import pytest

from linkauth.errors import (
    ConfigurationError,
)
from tests.engine.fakes import CLIENT, LIFETIME, USER, Store, Vendor, Worker, answer, logged_in, remembered
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_a_hit_takes_no_store_no_task_and_no_time():
    """Steady state: ten thousand calls, and neither the store nor the vendor is asked, and no task begun."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    token = await credential.token()
    store.counts.clear()
    tasks = asyncio.all_tasks()
    for _ in range(10_000):
        call = credential.token()
        with pytest.raises(StopIteration) as done:
            call.send(None)
        assert done.value.value is token
    assert asyncio.all_tasks() == tasks
    assert (store.counts.total(), vendor.counts["requests"]) == (0, 1)


@pytest.mark.slow
@virtual
async def test_one_token_request_for_ten_thousand_tasks():
    """Ten thousand tasks ask at once with no token: one request, one claim, one commit."""
    store, vendor = Store(), Vendor()
    vendor.delay = 0.2
    credential = Worker(store, vendor).credential(CLIENT)
    tokens = await asyncio.gather(*(credential.token() for _ in range(10_000)))
    assert len({id(token) for token in tokens}) == 1
    assert vendor.counts["requests"] == 1
    assert store.counts == {"read": 1, "claim": 1, "commit": 1}  # the read: for a newer client secret


@virtual
async def test_a_renewal_is_two_round_trips():
    """A renewal costs the worker that renews two calls to the store; with the token read once before."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.counts.clear()
    await credential.refresh()
    assert store.counts == {"claim": 1, "commit": 1}


@virtual
async def test_everybody_is_served_while_one_renews_behind():
    """Over ten lifetimes nobody waits once, and each lifetime costs one request."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(CLIENT)
    await credential.token()
    for _ in range(9000):
        before = monotonic()
        token = await credential.token()
        assert monotonic() == before
        assert token.expires_at > credential._context.world.wall()
        await asyncio.sleep(1)
    assert 10 <= vendor.counts["requests"] <= 13


@virtual
async def test_workers_do_not_all_begin_at_once():
    """Soft is spread: of ten workers one renews, the others find it done when their turn comes."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor) for _ in range(10)]
    for worker in workers:
        await worker.credential(CLIENT).token()
    softs = {remembered(worker.credential(CLIENT)).soft for worker in workers}
    assert len(softs) == 10
    store.counts.clear()
    for _ in range(840):
        for worker in workers:
            await worker.credential(CLIENT).token()
        await asyncio.sleep(1)
    assert vendor.counts["requests"] == 2
    assert 10 <= store.counts["claim"] <= 14  # now and then two turns come in the same second


@virtual
async def test_a_store_that_hangs_delays_nobody_who_holds_a_token():
    """The store accepts and never answers: who has a valid token gets it at once, before ``soft`` and after."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    token = await credential.token()
    store.hung.add("*")
    for second in (0, 500, 790):
        await asyncio.sleep(1000 + second - monotonic())
        before = monotonic()
        assert await credential.token() == token
        assert monotonic() == before


@virtual
async def test_expiry_counts_from_sending():
    """The answer took 9 s: the token lives 900 s from when it was asked for, not from when it came."""
    vendor = Vendor()
    vendor.delay = 9
    credential = Worker(Store(), vendor).credential(CLIENT)
    started = credential._context.world.wall()
    token = await credential.token()
    assert token.issued_at == pytest.approx(started, abs=0.01)
    assert token.expires_at == pytest.approx(started + 900, abs=0.01)


@virtual
async def test_the_callers_context_does_not_leak_into_a_flight():
    """What the first caller has in its context variables is not everybody's."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody")
    vendor, seen = Vendor(), []
    true_send = vendor.send

    async def send(request, seconds):
        seen.append(variable.get())
        return await true_send(request, seconds)

    vendor.send = send
    variable.set("the first caller's")
    credential = await logged_in(Worker(Store(), vendor))
    await credential.refresh()
    assert seen == ["nobody", "nobody"]


@virtual
async def test_a_storm_of_401_renews_once():
    """A hundred requests fail with one token, early and late: one renewal, and all get its token."""
    vendor = Vendor()
    vendor.delay = 0.1
    credential = Worker(Store(), vendor).credential(CLIENT)
    failed = await credential.token()
    tokens = await asyncio.gather(*(late(credential, failed, number * 0.01) for number in range(100)))
    assert len({token.access_token for token in tokens}) == 1
    assert vendor.counts["requests"] == 2


async def late(credential, failed, after):
    await asyncio.sleep(after)
    return await credential.replacement(failed)


@virtual
async def test_a_store_that_loses_only_its_wake_ups_costs_a_moment():
    """``wait_for_change`` fails and everything else works: the others claim again soon, and ask nobody in a loop."""
    store, vendor = Store(), Vendor()
    store.down.add("wait_for_change")
    gate = vendor.holds()
    tasks = [asyncio.create_task(Worker(store, vendor).credential(CLIENT).token()) for _ in range(2)]
    await asyncio.sleep(3)
    assert store.counts["claim"] < 12
    gate.set()
    one, two = await asyncio.gather(*tasks)
    assert one.access_token == two.access_token
    assert vendor.counts["requests"] == 1


def test_two_credentials_never_share_anything():
    """Another vendor, client, host, scope or account is another key; equal arguments are the same object."""
    worker = Worker(Store(), Vendor())
    vendors = [
        CLIENT,
        attrs.evolve(CLIENT, client_id="other"),
        attrs.evolve(CLIENT, scope="connections:read"),
        attrs.evolve(CLIENT, base_url="https://other.example/api/v1"),
        USER,
    ]
    made = [worker.credential(vendor, account) for vendor in vendors for account in ("default", "other")]
    assert len({credential.replica.key for credential in made}) == 10
    assert worker.credential(attrs.evolve(CLIENT)) is worker.credential(CLIENT)


@pytest.mark.parametrize("account", ["", "a\nb", "\ud800", "a\x00"])
def test_an_account_is_a_printable_name(account):
    """What could not be shown in a log, or written at all, is refused when the credential is made."""
    with pytest.raises(ConfigurationError):
        Worker(Store(), Vendor()).credential(CLIENT, account)


@virtual
async def test_callers_at_one_moment_share_a_flight():
    """Five without a token, five with one that is to be renewed: one claim and one request each time."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    vendor.delay = 1.0
    tokens = await asyncio.gather(*(credential.token() for _ in range(5)))
    assert len({token.access_token for token in tokens}) == 1
    assert (store.counts["claim"], vendor.counts["requests"]) == (1, 1)
    late = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.5)
    await asyncio.gather(late, *(credential.refresh() for _ in range(5)))
    assert (store.counts["claim"], vendor.counts["requests"]) == (2, 2)
    await credential.refresh()  # which is another moment
    assert vendor.counts["requests"] == 3


@pytest.mark.parametrize("ahead", [0, 0.5])
@virtual
async def test_renewal_begins_when_the_engine_was_told(ahead):
    """``refresh_ahead`` of a moment, or none: by default every caller would be waiting at that time."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor, refresh_ahead=ahead).credential(CLIENT)
    token = await credential.token()
    await asyncio.sleep(LIFETIME - 1)
    assert await credential.token() == token
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_renewal_behind_is_begun_once_and_not_again_before_its_time():
    """Between ``soft`` and ``hard``, with a vendor that fails: however many ask, one flight, and the gap is kept."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    await asyncio.sleep(remembered(credential).soft - monotonic() + 0.001)
    gate = vendor.holds()
    vendor.faults[0].outcome, vendor.faults[0].acts = answer(400, {"error": "invalid_scope"}), False
    for _ in range(5):
        assert await credential.token() == token
        await asyncio.sleep(0.1)
    assert (store.counts["claim"], vendor.counts["requests"]) == (2, 2)
    gate.set()
    await asyncio.sleep(0.01)
    assert remembered(credential).failures == 1
    for _ in range(5):
        assert await credential.token() == token
        await asyncio.sleep(0)
    assert (store.counts["claim"], vendor.counts["requests"]) == (2, 2)
    await asyncio.sleep(1.1)
    await credential.token()
    await asyncio.sleep(0.1)
    assert vendor.counts["requests"] == 3
