"""What an operator can measure of an engine: with real requests, and OpenTelemetry's own SDK to read it."""

from __future__ import annotations

import asyncio

import pytest

from linkauth import AuthEngine
from linkauth.errors import ConfigurationError, VendorUnavailable
from linkauth.telemetry import instrument
from linkauth_stores.memory import MemoryStore


async def logged_in(engine, sandbox, vendor, account):
    user = sandbox.linkxg.add_user(email=f"{account}@example.com")
    credential = engine.credential(vendor, account)
    await credential.login(email=user.email, password=user.password)
    return credential


async def test_renewals_by_vendor_and_outcome(seen, sandbox, linkxg):
    """One that succeeds, one that another engine makes, and one that fails: each is counted as what it was, with the error's class."""
    store = MemoryStore()
    async with AuthEngine(store) as one, AuthEngine(store, timeout=1.0) as other:
        await seen.instrument(one).credential(linkxg).token()
        await seen.instrument(other).credential(linkxg).token()
        sandbox.linkxg.fault("token", status=503, times=None)
        with pytest.raises(VendorUnavailable) as raised:  # NotSent, where there was no time left for one more try
            await other.credential(linkxg).refresh()
    assert seen.counts("linkauth.renewals") == {
        ("linkxg", "renewed"): 1,
        ("linkxg", "adopted"): 1,
        ("linkxg", "failed", raised.type.__name__): 1,
    }
    assert seen.counts("linkauth.renewal.duration") == {("linkxg",): 2, ("linkxg", raised.type.__name__): 1}


async def test_who_waited_and_who_shared(seen, sandbox, linkxg):
    """Twenty callers wait for one renewal, each as long as it took; the next caller waits for nothing and is not counted."""
    async with AuthEngine() as engine:
        credential = seen.instrument(engine).credential(linkxg)
        with sandbox.linkxg.hold("token") as held:
            callers = [asyncio.create_task(credential.token()) for _ in range(20)]
            await held.arrived()
        await asyncio.gather(*callers)
        await credential.token()
    (shared,) = seen.points("linkauth.renewal.callers")
    assert (shared.count, shared.sum) == (1, 20)
    (waits,) = seen.points("linkauth.wait.duration")
    assert waits.count == 20
    (flight,) = seen.points("linkauth.renewal.duration")
    assert 0 < waits.max <= flight.max + 1


async def test_requests_and_what_was_asked_once_more(seen, sandbox, linkxg):
    """A vendor that fails once is asked twice: two requests with their statuses, one of them a retry."""
    sandbox.linkxg.fault("token", status=503, times=1)
    async with AuthEngine() as engine:
        await seen.instrument(engine).credential(linkxg).token()
    assert seen.counts("linkauth.request.duration") == {("linkxg", 503, "503"): 1, ("linkxg", 200): 1}
    assert seen.counts("linkauth.request.retries") == {("linkxg",): 1}


async def test_refused_tokens(seen, sandbox, linkxg):
    """The vendor's API answers 401 once: counted once, though the request was repeated and came through."""
    async with AuthEngine() as engine:
        credential = seen.instrument(engine).credential(linkxg)
        await credential.token()
        sandbox.linkxg.fault("products", status=401, times=1)
        async with credential.session() as session, session.get("products") as response:
            assert response.status == 200
    assert seen.counts("linkauth.token.refusals") == {("linkxg",): 1}


async def test_the_store(seen, sandbox, linkxg):
    """Its calls by name with their time; that it was lost, came back, and what was put back into it."""

    class Away(MemoryStore):
        away = False

        async def claim(self, *args, **kwargs):
            if self.away:
                raise OSError
            return await super().claim(*args, **kwargs)

    store = Away()
    async with AuthEngine(store) as engine:
        credential = seen.instrument(engine).credential(linkxg)
        await credential.token()
        store.away = True
        await credential.refresh()
        store.away = False
        await credential.status()
        store._slots.clear()
        await credential.replica.put_back()
    calls = seen.counts("linkauth.store.operation.duration")
    assert calls[("claim",)] == 1
    assert calls[("claim", "StoreUnavailable")] == 1
    assert seen.counts("linkauth.store.outages") == {(): 1}
    assert seen.counts("linkauth.store.recoveries") == {(): 1}


async def test_sessions_that_begin_and_end(seen, sandbox, user):
    """A login and a logout are one each."""
    async with AuthEngine() as engine:
        credential = await logged_in(seen.instrument(engine), sandbox, user, "ada")
        await credential.logout()
    assert seen.counts("linkauth.connections") == {("linkxg-user",): 1}
    assert seen.counts("linkauth.logouts") == {("linkxg-user",): 1}


async def test_the_whole_store_is_counted_by_who_makes_the_round(seen, sandbox, user, linkxg):
    """One engine makes keep-alive's round and tells how many live and when the first lapses; the engine that made none tells nothing."""
    store = MemoryStore()
    async with AuthEngine(store) as keeper, AuthEngine(store) as idle:
        seen.instrument(idle)
        for account in ("ada", "bob"):
            await logged_in(idle, sandbox, user, account)
        await (await logged_in(idle, sandbox, user, "eve")).logout()
        await idle.keep_alive(user, rounds=0)
        assert seen.points("linkauth.credentials") == []
        await seen.instrument(keeper).keep_alive(user, rounds=1)
        found = seen.counts("linkauth.credentials")
        (lapse,) = seen.points("linkauth.credentials.lapse")
    assert found[("linkxg-user", "well")] == 2
    assert found[("linkxg-user", "needs_user")] == 1
    assert 6 * 86400 < lapse.value <= 7 * 86400


async def test_no_metric_tells_of_an_account_a_url_or_a_scope(seen, sandbox, user, linkxg):
    """Whatever happens, the attributes are vendors, outcomes, classes and statuses."""
    async with AuthEngine() as engine:
        credential = await logged_in(seen.instrument(engine), sandbox, user, "ada-lovelace")
        await credential.refresh()
        await engine.credential(linkxg, "ada-lovelace").token()
        await engine.keep_alive(user, rounds=1)
    told = seen.all_attributes()
    assert {name for name, _ in told} <= {
        "linkauth.vendor",
        "linkauth.outcome",
        "linkauth.state",
        "linkauth.store.operation",
        "error.type",
        "http.response.status_code",
    }
    words = {str(value) for _, value in told}
    assert not [word for word in words if "ada" in word or "127.0.0.1" in word or "products" in word or ":" in word]


async def test_an_engine_is_measured_once(seen):
    """A second ``instrument`` would count everything twice, and is refused."""
    engine = seen.instrument(AuthEngine())
    with pytest.raises(ConfigurationError):
        instrument(engine)
