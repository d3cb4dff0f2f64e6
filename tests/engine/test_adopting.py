"""Sessions that were made elsewhere come in: stored first, then renewed; what lives is not overwritten."""

from __future__ import annotations

import asyncio
import json

import attrs
import pytest

from linkauth import OAuth2, RotationProfile
from linkauth.errors import (
    AlreadyConnected,
    CorruptRecord,
    NotSent,
    RateLimited,
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.vendors import Dialect
from tests.engine.fakes import BASE, PAGE, USER, Fault, Store, Vendor, Worker, answer, logged_in, refusal
from tests.engine.virtual import EPOCH, virtual

DAY = 86400.0
ACME = OAuth2(
    name="acme",
    client_id="c",
    client_secret="first-secret",
    token_url=f"{BASE}/oauth/token",
    authorize_url=f"{BASE}/authorize",
    scope="read",
    dialect=Dialect(api_from={"instance_url": ["https://*.acme.example"]}),
)


async def _elsewhere(vendor, count=1):
    """Refresh tokens of sessions that another program made."""
    return [json.loads(vendor._pair(100 + n, f"elsewhere-{n}").body)["data"]["refreshToken"] for n in range(count)]


async def _statuses(worker):
    return [status async for status in worker.statuses()]


@virtual
async def test_an_access_token_is_stored_as_it_is():
    """With the refresh token beside it, for every worker; nobody is asked, before it is over."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    more = {"expires_at": EPOCH + 600, "refresh_expires_at": EPOCH + DAY, "scope": "a b", "extra": {"user": {"id": 7}}}
    token = await Worker(store, vendor).credential(USER).adopt(access_token="at", refresh_token=refresh, **more)
    again = await Worker(store, vendor).credential(USER).token()
    assert again == token
    assert (token.access_token, token.refresh_token, token.scope) == ("at", refresh, "a b")
    assert (token.expires_at, token.refresh_expires_at) == (EPOCH + 600, EPOCH + DAY)
    assert token.extra == {"user": {"id": 7}}
    assert vendor.counts["requests"] == 0
    await asyncio.sleep(700)
    assert (await Worker(store, vendor).credential(USER).token()).access_token != "at"
    assert vendor.counts == {"requests": 1, "/auth/refresh": 1}


@virtual
async def test_a_refresh_token_alone_is_renewed_once():
    """By whoever adopts it; another worker asks nobody."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    token = await Worker(store, vendor).credential(USER).adopt(refresh_token=refresh)
    assert token.refresh_token not in {None, refresh}
    assert await Worker(store, vendor).credential(USER).token() == token
    assert vendor.counts == {"requests": 1, "/auth/refresh": 1}


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (NotSent("away"), NotSent),
        (refusal(429, "RATE_LIMITED"), RateLimited),
        (answer(503, {}), VendorUnavailable),
    ],
    ids=["away", "rate limited", "failing"],
)
@virtual
async def test_a_vendor_that_is_away_costs_nothing_but_the_wait(trouble, told):
    """The session is here: whoever uses it next renews it, in any worker."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    vendor.fails(trouble, times=99)
    worker = Worker(store, vendor)
    with pytest.raises(told):
        await worker.credential(USER).adopt(refresh_token=refresh)
    (status,) = await _statuses(worker)
    assert (status.expires_at, status.needs_user) == (None, False)
    vendor.faults.clear()
    await asyncio.sleep(600)
    other = Worker(store, vendor).credential(USER)
    assert (await other.token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_worker_that_dies_after_storing():
    """kill -9 before the vendor was asked: what was stored is renewed at its next use, here by two workers, once."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    worker = Worker(store, vendor)

    def _hang(name):
        return asyncio.Event().wait() if name == "claim" and store.counts["commit"] else None

    store.before = _hang
    caller = asyncio.create_task(worker.credential(USER).adopt(refresh_token=refresh))
    await asyncio.sleep(0.5)
    assert (store.counts["commit"], vendor.counts["requests"]) == (1, 0)
    await worker.killed()
    await asyncio.gather(caller, return_exceptions=True)
    store.before = lambda name: None
    tokens = await asyncio.gather(*(Worker(store, vendor).credential(USER).token() for _ in range(2)))
    assert tokens[0] == tokens[1]
    assert vendor.counts == {"requests": 1, "/auth/refresh": 1}


@virtual
async def test_a_caller_that_goes_changes_nothing():
    """Cancelled in the middle, the session comes in all the same."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    gate = vendor.holds()
    caller = asyncio.create_task(Worker(store, vendor).credential(USER).adopt(refresh_token=refresh))
    await asyncio.sleep(0.5)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    gate.set()
    await asyncio.sleep(1)
    assert (await Worker(store, vendor).credential(USER).token()).access_token
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_refused_one_leaves_nothing():
    """No record, no mark: the next one comes in without a word, and who asked meanwhile was told."""
    vendor, store = Vendor(), Store()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    gate = vendor.holds()
    adopting = asyncio.create_task(worker.credential(USER).adopt(refresh_token="unknown"))
    await asyncio.sleep(0.5)
    waiting = asyncio.create_task(other.credential(USER).token())
    await asyncio.sleep(0.5)
    gate.set()
    for call in (adopting, waiting):
        with pytest.raises(ReauthorizationRequired, match="refused the refresh token"):
            await call
    assert vendor.counts["requests"] == 1
    assert await _statuses(worker) == []
    (refresh,) = await _elsewhere(vendor)
    assert (await other.credential(USER).adopt(refresh_token=refresh)).access_token


@virtual
async def test_a_dead_session_gives_way():
    """A mark is no live session: the way back from a vendor's passing no, by the very token that was refused."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    refresh = (await credential.token()).refresh_token
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    (status,) = await _statuses(worker)
    assert status.needs_user
    token = await Worker(store, vendor).credential(USER).adopt(refresh_token=refresh, replace=True)
    await asyncio.sleep(2)
    assert (await credential.token()).access_token == token.access_token
    (status,) = await _statuses(worker)
    assert not status.needs_user


@virtual
async def test_a_refused_one_in_a_dead_ones_place():
    """The user who was needed before is needed still."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    await credential.logout()
    with pytest.raises(ReauthorizationRequired):
        await credential.adopt(refresh_token="unknown")
    (status,) = await _statuses(worker)
    assert status.needs_user


@virtual
async def test_a_live_session_stays():
    """Unless it is to be replaced; in another worker, too, and nothing is asked of the vendor."""
    vendor, store = Vendor(), Store()
    credential = await logged_in(Worker(store, vendor))
    token, (refresh,) = await credential.token(), await _elsewhere(vendor)
    requests = vendor.counts["requests"]
    other = Worker(store, vendor).credential(USER)
    for given in ({"refresh_token": refresh}, {"access_token": "at", "expires_at": EPOCH + 600}):
        for each in (credential, other):
            with pytest.raises(AlreadyConnected, match="replace=True"):
                await each.adopt(**given)
    assert await other.token() == token
    await asyncio.sleep(2000)  # the access token is over, the session is not
    with pytest.raises(AlreadyConnected):
        await other.adopt(refresh_token=refresh)
    assert vendor.counts["requests"] == requests
    fresh = await other.adopt(refresh_token=refresh, replace=True)
    assert fresh.access_token != token.access_token
    assert (await credential.token()).access_token == fresh.access_token


@virtual
async def test_a_session_that_cannot_be_renewed_any_more_gives_way():
    """Its access token is over and it has no refresh token, or that has lapsed."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    (refresh,) = await _elsewhere(vendor)
    await worker.credential(USER, "a").adopt(access_token="at", expires_at=EPOCH + 60)
    await worker.credential(USER, "b").adopt(
        access_token="at", refresh_token="rt", expires_at=EPOCH + 60, refresh_expires_at=EPOCH + 90
    )
    await asyncio.sleep(100)
    for account in "ab":
        (refresh,) = await _elsewhere(vendor)
        assert (await worker.credential(USER, account).adopt(refresh_token=refresh)).access_token != "at"


@virtual
async def test_of_two_at_once_one_comes_in():
    """Whoever is second is told so, and spends nothing."""
    vendor, store = Vendor(), Store()
    refresh = await _elsewhere(vendor, 2)
    calls = [Worker(store, vendor).credential(USER).adopt(refresh_token=one) for one in refresh]
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["AlreadyConnected", "Token"]
    assert vendor.counts == {"requests": 1, "/auth/refresh": 1}


@virtual
async def test_beside_a_renewal():
    """A live session that is renewed meanwhile stays; one that is replaced loses its late answer, and the new one holds."""
    vendor, store = Vendor(), Store()
    credential = await logged_in(Worker(store, vendor))
    (refresh,) = await _elsewhere(vendor)
    gate = vendor.holds()
    renewing = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.5)
    other = Worker(store, vendor).credential(USER)
    with pytest.raises(AlreadyConnected):
        await other.adopt(refresh_token=refresh)
    adopting = asyncio.create_task(other.adopt(refresh_token=refresh, replace=True))
    await asyncio.sleep(5)
    assert not adopting.done()  # one exchange at a time
    gate.set()
    token = await adopting
    assert await renewing == token
    assert (await credential.token()).access_token == token.access_token
    assert (await Worker(store, vendor).credential(USER).token()).access_token == token.access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_what_is_said_of_the_session_before_is_not_said_of_this_one():
    """The renewal of a session that is being replaced is refused: whoever brings the new one in is told of that alone."""
    vendor, store = Vendor(), Store()
    credential = await logged_in(Worker(store, vendor))
    (refresh,) = await _elsewhere(vendor)
    gate, stored = asyncio.Event(), asyncio.Event()
    vendor.faults.append(Fault(refusal(401, "INVALID_CREDENTIALS"), gate=gate))
    await asyncio.sleep(2000)  # its access token is over
    renewing = asyncio.create_task(credential.token())
    await asyncio.sleep(0.5)
    adopting = asyncio.create_task(credential.adopt(refresh_token=refresh, replace=True))

    async def answered(before):
        """The mark of the session before is answered only when the new one is stored."""
        if store.counts["commit"] == before + 1:
            await stored.wait()
            await asyncio.sleep(0.1)
        stored.set()

    before = store.counts["commit"]
    store.after = lambda name: answered(before) if name == "commit" else None
    await asyncio.sleep(1.9)
    gate.set()
    token = await adopting
    assert token.refresh_token not in {None, refresh}
    assert (await Worker(store, vendor).credential(USER).token()) == token
    await asyncio.gather(renewing, return_exceptions=True)
    assert (await credential.token()) == token


@virtual
async def test_a_record_that_cannot_be_read_is_not_overwritten():
    """It may be a live session of an environment with other keys; ``replace`` says that it is not."""
    vendor, store = Vendor(), Store()
    credential = Worker(store, vendor).credential(PAGE)
    await store.commit(credential.replica.key, 3, b"garbage")
    with pytest.raises(AlreadyConnected, match="cannot be read"):
        await credential.adopt(access_token="at", expires_at=EPOCH + 600)
    with pytest.raises(CorruptRecord):
        await credential.token()
    await credential.adopt(access_token="at", expires_at=EPOCH + 600, replace=True)
    assert (await credential.token()).access_token == "at"


@virtual
async def test_without_a_store_nothing_is_spent():
    """StoreUnavailable: the refresh token is still its owner's."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    store.down.add("*")
    with pytest.raises(StoreUnavailable):
        await Worker(store, vendor).credential(USER).adopt(refresh_token=refresh)
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_refusal_that_cannot_be_cleared_away():
    """The store fails just then: the mark stays, and the vendor's no is what is told."""
    vendor, store = Vendor(), Store()
    store.down.add("delete")
    worker = Worker(store, vendor)
    with pytest.raises(ReauthorizationRequired):
        await worker.credential(USER).adopt(refresh_token="unknown")
    (status,) = await _statuses(worker)
    assert status.needs_user


@virtual
async def test_who_logs_in_meanwhile_is_not_withdrawn():
    """A login between the refusal and its clearing away stays."""
    vendor, store = Vendor(), Store()
    adopting = asyncio.create_task(Worker(store, vendor).credential(USER).adopt(refresh_token="unknown"))
    await asyncio.sleep(0.5)
    assert vendor.counts["requests"] == 1
    await logged_in(Worker(store, vendor))
    with pytest.raises(ReauthorizationRequired):
        await adopting
    assert (await Worker(store, vendor).credential(USER).token()).access_token


@virtual
async def test_who_logs_out_meanwhile_is_told_so():
    """Somebody else's mark is not cleared away."""
    vendor, store = Vendor(), Store()
    adopting = asyncio.create_task(Worker(store, vendor).credential(USER).adopt(refresh_token="unknown"))
    await asyncio.sleep(0.5)
    await (await logged_in(Worker(store, vendor))).logout()
    with pytest.raises(ReauthorizationRequired):
        await adopting
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_vendor_that_keeps_its_refresh_tokens():
    """Nothing is spent, and yet the refresh token is stored before it is used."""
    vendor, store = Vendor(), Store()
    keeping = attrs.evolve(ACME, rotation=RotationProfile())
    vendor.fails(answer(200, {"access_token": "new", "expires_in": 900}))
    token = await Worker(store, vendor).credential(keeping).adopt(refresh_token="rt")
    assert (token.access_token, token.refresh_token) == ("new", "rt")
    with pytest.raises(AlreadyConnected):
        await Worker(store, vendor).credential(keeping).adopt(refresh_token="rt")


@virtual
async def test_keep_alive_renews_what_came_in():
    """The vendor was away when it did, and nobody has used it since: the next round renews it, and then leaves it alone."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    vendor.fails(NotSent("away"), times=99)
    worker = Worker(store, vendor)
    with pytest.raises(VendorUnavailable):
        await worker.credential(USER).adopt(refresh_token=refresh)
    vendor.faults.clear()
    await asyncio.sleep(3600)
    assert await Worker(store, vendor).keep_alive(USER, every=3600.0, rounds=2) == 1
    assert (await Worker(store, vendor).credential(USER).token()).refresh_token != refresh


@virtual
async def test_whoever_brings_in_thousands_may_leave_the_renewal_to_the_first_use():
    """``renew=False``: stored, and nothing is asked of the vendor; whoever uses it next renews it once."""
    vendor, store = Vendor(), Store()
    (refresh,) = await _elsewhere(vendor)
    token = await Worker(store, vendor).credential(USER).adopt(refresh_token=refresh, renew=False)
    assert (token.access_token, token.refresh_token) == ("", refresh)
    assert vendor.counts["requests"] == 0
    with pytest.raises(AlreadyConnected):
        await Worker(store, vendor).credential(USER).adopt(refresh_token=refresh, renew=False)
    assert (await Worker(store, vendor).credential(USER).token()).access_token
    assert vendor.counts == {"requests": 1, "/auth/refresh": 1}
