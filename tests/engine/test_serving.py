"""A token in memory: who gets it at once, when it is renewed behind, and what clocks and stores may do meanwhile."""

from __future__ import annotations

import asyncio
import contextvars

import attrs
import pytest

from linkauth.errors import ConfigurationError, ReauthorizationRequired
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer, logged_in
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
        assert token.expires_at > credential._world.wall()
        await asyncio.sleep(1)
    assert 10 <= vendor.counts["requests"] <= 13


@virtual
async def test_workers_do_not_all_begin_at_once():
    """Soft is spread: of ten workers one renews, the others find it done when their turn comes."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor) for _ in range(10)]
    for worker in workers:
        await worker.credential(CLIENT).token()
    softs = {worker.credential(CLIENT).replica.state.soft for worker in workers}
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
async def test_after_a_suspend_one_look_at_the_store_serves_all():
    """The machine slept an hour: a thousand tasks wake, the store is read once, and nobody gets the dead token."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    old = await credential.token()
    await asyncio.sleep(3600)
    worker.slept = 3600  # which the monotonic clock did not see
    reads = store.counts["read"]
    tokens = await asyncio.gather(*(credential.token() for _ in range(1000)))
    assert {token.access_token for token in tokens} == {(await credential.token()).access_token}
    assert tokens[0] != old
    assert store.counts["read"] - reads == 2  # and once for the newest client secret, before the exchange
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_wall_clock_set_an_hour_ahead_costs_one_look():
    """Somebody sets the host's clock: the store's clock says that nothing has passed, and the token goes on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    reads = store.counts["read"]
    worker.wall_ahead = 3600
    for _ in range(2):
        assert await asyncio.gather(*(credential.token() for _ in range(5))) == [token] * 5
    assert store.counts["read"] - reads == 1
    assert vendor.counts["requests"] == 1


@virtual
async def test_after_a_suspend_with_no_store_the_wall_is_believed():
    """With the store away the wall clock is all there is: a token that it says is over is not served."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    old = await credential.token()
    await asyncio.sleep(3600)
    worker.slept = 3600
    store.down.add("*")
    assert await credential.token() != old


@virtual
async def test_a_broken_record_after_a_jump_keeps_the_token_in_memory():
    """The record is broken when the clocks make us look: the token that is still good is served on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    key = credential.replica.key
    claim = await store.claim(key, "x", 1, 99, b"")
    await store.commit(key, claim.number, b"broken")
    worker.wall_ahead = 100
    credential._state.wall_limit = 0  # as after a jump that matters
    assert await credential.token() == token


@pytest.mark.parametrize("hours", [-1, 1])
@virtual
async def test_a_host_whose_clock_is_wrong_is_like_any_other(hours):
    """A worker's wall clock is an hour off from the start, either way: it neither renews early nor serves late."""
    store, vendor = Store(), Vendor()
    right, wrong = Worker(store, vendor), Worker(store, vendor)
    wrong.wall_ahead = hours * 3600
    token = await right.credential(CLIENT).token()
    await asyncio.sleep(600)
    assert await wrong.credential(CLIENT).token() == token
    assert vendor.counts["requests"] == 1
    await asyncio.sleep(299)
    assert (await wrong.credential(CLIENT).token()) != token
    assert vendor.counts["requests"] == 2


@virtual
async def test_expiry_counts_from_sending():
    """The answer took 9 s: the token lives 900 s from when it was asked for, not from when it came."""
    vendor = Vendor()
    vendor.delay = 9
    credential = Worker(Store(), vendor).credential(CLIENT)
    started = credential._world.wall()
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
async def test_with_the_store_away_a_client_fetches_for_itself_and_says_so(caplog):
    """A vendor that does not rotate is not held up by the store: fetched for this process alone, and logged."""
    store, vendor = Store(), Vendor()
    store.down.add("*")
    worker = Worker(store, vendor)
    assert (await worker.credential(CLIENT).token()).access_token
    assert "for this process alone" in caplog.text
    assert worker.heard() == ["store lost", "renewed"]
    assert vendor.counts["requests"] == 1


@virtual
async def test_with_a_store_that_hangs_a_client_has_its_token_in_time():
    """Claim and secret both time out, and the token is there within the engine's time-out and a second."""
    store, vendor = Store(), Vendor()
    store.hung.add("*")
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token
    assert monotonic() - 1000 <= 11


@virtual
async def test_a_client_that_waits_for_another_when_the_store_goes_fetches_for_itself():
    """Busy, then the store goes away while it waits: open for a vendor that does not rotate."""
    store, vendor = Store(), Vendor()
    gate = vendor.holds()
    first = asyncio.create_task(Worker(store, vendor).credential(CLIENT).token())
    await asyncio.sleep(1)
    store.before = lambda name: store.down.add("*") if name == "wait_for_change" else None
    before = monotonic()
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token
    assert monotonic() - before < 2
    gate.set()
    assert (await first).access_token


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


@virtual
async def test_a_late_answer_does_not_undo_a_logout():
    """The user logs out while a stalled worker's renewal is in the air: its answer brings no session back."""
    store, vendor = Store(), Vendor()
    stalled, other = Worker(store, vendor, timeout=60), Worker(store, vendor)
    credential = await logged_in(stalled)
    store.down.add("extend")
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    store.down.clear()
    await store.inner.release(credential.replica.key, credential.replica.state.version + 1)  # as if its lease had ended
    await other.credential(USER).logout()
    gate.set()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await renewal
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_logout_forgets_though_the_vendor_fails():
    """The vendor cannot revoke just now: that is said, and the session is forgotten all the same."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(answer(500, b""), times=100)
    with pytest.raises(Exception, match="500"):
        await credential.logout()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await credential.token()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_logout_of_a_client_leaves_nothing_and_the_next_call_fetches_anew():
    """A client's record is deleted, here and for all; asking again is a new token."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    old = await credential.token()
    await credential.logout()
    assert (await store.read(credential.replica.key)).record is None
    assert await credential.token() != old


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
