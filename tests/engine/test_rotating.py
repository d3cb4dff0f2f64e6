"""A vendor whose refresh tokens are good for one use: what is sent again, what is not, and who may speak for the session."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import (
    LinkAuthError,
    MalformedResponse,
    NoAnswer,
    ReauthorizationRequired,
    VendorUnavailable,
)
from linkauth.protocol.intent import Note
from linkauth.vendors.linkxg_user import LinkXGUser
from linkauth.vendors.vendor import RotationProfile
from tests.engine.fakes import (
    BASE,
    USER,
    Store,
    Vendor,
    Worker,
    answer,
    logged_in,
    refusal,
    remembered,
)
from tests.engine.test_doubt import note
from tests.engine.virtual import virtual


class Replayable(LinkXGUser):
    """LinkXG as it might be: a spent token may be sent again for 30 s."""

    rotation = RotationProfile(rotates=True, replay_window=30.0)


@virtual
async def test_no_claim_no_spending():
    """With the store away at the claim nothing is sent, before the token's end and after it."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    token = await credential.token()
    store.down.add("claim")
    await asyncio.sleep(800)
    assert await credential.token() == token
    await asyncio.sleep(101)
    with pytest.raises(LinkAuthError, match="store"):
        await credential.token()
    assert vendor.counts["/auth/refresh"] == 0
    store.down.clear()
    await asyncio.sleep(1)
    assert (await credential.token()).access_token != token.access_token


@virtual
async def test_a_lost_answer_within_the_replay_window_is_asked_for_again():
    """The answer is cut off; the vendor takes the spent token again for 30 s: one more request, no doubt left."""
    vendor, store = Vendor(replay_window=30), Store()
    worker = Worker(store, vendor)
    credential = worker.credential(Replayable(base_url=BASE))
    await credential.login(email="ada@example.com", password="correct horse")
    vendor.fails(NoAnswer("cut off"), acts=True)
    assert (await credential.refresh()).access_token
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 0
    assert await note(store, worker) == Note()


@virtual
async def test_a_lost_answer_without_a_window_is_not_asked_for_again():
    """The answer is cut off and nothing is known of a window: the note stays, the token serves, nobody spends it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.fails(NoAnswer("cut off"), acts=True)
    with pytest.raises(VendorUnavailable):
        await credential.refresh()
    assert (await note(store, worker)).doubt
    assert (await credential.token()).access_token
    await asyncio.sleep(800)
    assert (await credential.token()).access_token
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_login_elsewhere_is_noticed():
    """The session is over for everybody; somebody logs in on another host: within a second all have a token."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor) for _ in range(3)]
    credential = await logged_in(workers[0])
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    await asyncio.sleep(901)
    for worker in workers:
        with pytest.raises(ReauthorizationRequired):
            await worker.credential(USER).token()
    fresh = await (await logged_in(Worker(store, vendor))).token()
    await asyncio.sleep(0.6)
    for worker in workers:
        assert await worker.credential(USER).token() == fresh
    assert remembered(credential).dead == ""


@virtual
async def test_a_login_elsewhere_is_noticed_though_the_store_was_emptied():
    """The store lost its data and begins to count anew: a login that has a lower number than the dead is taken."""
    store, vendor = Store(), Vendor()
    dead = Worker(store, vendor)
    credential = await logged_in(dead)
    for _ in range(5):
        await credential.refresh()
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    store.inner = Store().inner
    await asyncio.sleep(1)
    fresh = await (await logged_in(Worker(store, vendor))).token()
    await asyncio.sleep(1)
    assert await credential.token() == fresh


@virtual
async def test_a_refresh_token_that_has_lapsed_is_not_sent():
    """Past its own end the refresh token is hopeless: the vendor is not asked."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await asyncio.sleep(7 * 86400 + 1)
    with pytest.raises(ReauthorizationRequired, match="lapsed"):
        await credential.token()
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_nobody_has_logged_in_yet():
    """Without any login there is nothing to renew, nothing is claimed and nothing is sent."""
    store, vendor = Store(), Vendor()
    with pytest.raises(ReauthorizationRequired, match="nobody has logged in"):
        await Worker(store, vendor).credential(USER).token()
    assert (store.counts["claim"], vendor.counts["requests"]) == (0, 0)


@virtual
async def test_a_malformed_answer_saves_the_new_refresh_token_and_the_old_access_token():
    """An answer that brings a new refresh token and no access token: nobody is interrupted, nothing is spent twice."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    token = await credential.token()
    spent = token.refresh_token
    true = vendor._pair(77, "session-1")
    vendor.fails(answer(200, true.body.replace(b'"accessToken"', b'"AccessToken"')), acts=True)
    with pytest.raises(MalformedResponse):
        await credential.refresh()
    assert (await credential.token()).access_token == token.access_token
    assert (await Worker(store, vendor).credential(USER).token()).access_token == token.access_token
    await asyncio.sleep(2)
    fresh = await credential.refresh()
    assert [tried for _, path, tried in vendor.sent if path == "/auth/refresh"] == [spent, "refresh-77"]
    assert fresh.access_token != token.access_token


@virtual
async def test_a_renewal_that_waited_for_a_login_takes_what_it_brought():
    """``token()`` during a login of the same process waits for it, and does not renew its fresh token at once."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(USER)
    vendor.delay = 1
    login = asyncio.create_task(credential.login(email="ada@example.com", password="correct horse"))
    await asyncio.sleep(0.5)
    with pytest.raises(ReauthorizationRequired):
        await credential.token()
    token = await login
    vendor.delay = 0
    await asyncio.sleep(901)
    vendor.delay = 1
    login = asyncio.create_task(credential.login(email="ada@example.com", password="correct horse"))
    await asyncio.sleep(0.5)
    fresh = await credential.token()
    assert token != fresh == await login
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_two_workers_refresh_at_once_share_one_exchange():
    """``refresh()`` in two workers at the same moment: one exchange, one token."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor), Worker(store, vendor)]
    await logged_in(workers[0])
    await workers[1].credential(USER).token()
    vendor.delay = 0.3
    one, two = await asyncio.gather(*(worker.credential(USER).refresh() for worker in workers))
    assert one.access_token == two.access_token
    assert vendor.counts["/auth/refresh"] == 1
