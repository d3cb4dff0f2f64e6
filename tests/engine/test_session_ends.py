"""Sessions that end by the calendar, whatever is renewed: who is told when, and what is not tried in vain."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from linkauth import OAuth2
from linkauth.engine.events import EventKind
from linkauth.errors import ReauthorizationRequired
from tests.engine.fakes import BASE, Store, Vendor, Worker, answer
from tests.engine.virtual import EPOCH, virtual

DAY = 86400.0
ENDING = OAuth2(
    name="ending",
    client_id="c",
    client_secret="first-secret",
    token_url=f"{BASE}/oauth/token",
    authorize_url=f"{BASE}/authorize",
    session_lifetime=100 * DAY,
)


def _grants(its, times=1, lifetime=900):
    its.fails(answer(200, {"access_token": "a", "expires_in": lifetime, "refresh_token": "rt"}), times=times)


async def _connected(worker, its, vendor=ENDING, **granted):
    credential = worker.credential(vendor)
    url = await credential.authorization_url("http://127.0.0.1/callback")
    _grants(its, **granted)
    await credential.complete({"state": parse_qs(urlsplit(url).query)["state"][0], "code": "one"})
    return credential


async def _status(worker):
    (status,) = [status async for status in worker.statuses()]
    return status


def _told(*workers):
    return [event for worker in workers for event in worker.events if event.kind is EventKind.SESSION_ENDING]


@virtual
async def test_a_status_tells_in_time():
    """When it ends; a week before, that the user should be asked; and then that only the user can help."""
    worker = Worker(Store(), Vendor())
    credential = await _connected(worker, worker._vendor)
    found = []
    for days in (90, 4, 7):
        status = await _status(worker)
        assert status == attrs.evolve(await credential.status(), secret_rotated_at=None)
        found.append((status.session_expires_at, status.session_ends_soon, status.needs_user, status.error[:21]))
        await asyncio.sleep(days * DAY)
    status = await _status(worker)
    found.append((status.session_expires_at, status.session_ends_soon, status.needs_user, status.error[:21]))
    end = EPOCH + 100 * DAY
    assert found == [
        (end, False, False, ""),
        (end, False, False, ""),
        (end, True, False, ""),
        (end, False, True, "the session has ended"),
    ]
    with pytest.raises(ReauthorizationRequired, match="the session has ended"):
        await credential.token()
    assert (await _status(worker)).needs_user


@virtual
async def test_a_short_session_is_not_always_about_to_end():
    """The last fifth of its life, where that is less than a week."""
    worker = Worker(Store(), Vendor())
    await _connected(worker, worker._vendor, attrs.evolve(ENDING, session_lifetime=DAY))
    await asyncio.sleep(0.7 * DAY)
    assert not (await _status(worker)).session_ends_soon
    await asyncio.sleep(0.15 * DAY)
    assert (await _status(worker)).session_ends_soon


@virtual
async def test_an_access_token_that_outlives_its_session():
    """The session is over, and that is told, though what is held is served to its end."""
    worker = Worker(Store(), Vendor())
    credential = await _connected(worker, worker._vendor, lifetime=200 * DAY)
    await asyncio.sleep(101 * DAY)
    assert (await _status(worker)).needs_user
    assert (await credential.token()).access_token == "a"


@virtual
async def test_a_lapsed_refresh_token_needs_the_user_too():
    """Once the access token is over as well, before anybody has tried; a machine's token has none, and needs nobody."""
    worker = Worker(Store(), Vendor())
    await _connected(worker, worker._vendor, attrs.evolve(ENDING, session_lifetime=None, refresh_lifetime=600.0))
    await asyncio.sleep(700)
    assert not (await _status(worker)).needs_user
    await asyncio.sleep(300)
    status = await _status(worker)
    assert (status.needs_user, status.error) == (True, "the refresh token has lapsed")
    assert status.session_expires_at is None


@virtual
async def test_an_event_at_a_renewal():
    """Once for a session in a worker, in its last week; a new consent begins anew, and nobody hears of what is far off."""
    its = Vendor()
    worker = Worker(Store(), its)
    credential = await _connected(worker, its)
    _grants(its, times=9)
    await credential.refresh()
    assert _told(worker) == []
    await asyncio.sleep(95 * DAY)
    for _ in range(3):
        await credential.refresh()
        await asyncio.sleep(DAY)
    (event,) = _told(worker)
    assert (event.vendor, event.account, event.outcome[:10]) == ("ending", "default", "in 120 h, ")
    its.faults.clear()
    await _connected(worker, its)
    await asyncio.sleep(95 * DAY)
    _grants(its)
    await credential.refresh()
    assert len(_told(worker)) == 2


@virtual
async def test_keep_alive_tells_of_it_and_does_not_try_to_save_it():
    """Of a session that nobody uses, once; it is not renewed for an end that no renewal puts off, nor after that."""
    its = Vendor()
    worker = Worker(Store(), its)
    await _connected(worker, its)
    before = its.counts["requests"]
    keeper = asyncio.create_task(worker.keep_alive(ENDING, every=DAY))
    await asyncio.sleep(92 * DAY)
    assert _told(worker) == []
    await asyncio.sleep(20 * DAY)
    assert len(_told(worker)) == 1
    assert its.counts["requests"] == before
    keeper.cancel()


@virtual
async def test_keep_alive_renews_what_lapses_sooner():
    """A refresh token of thirty days within a session of a hundred is renewed, but not once its lapse is the session's end."""
    its = Vendor()
    worker = Worker(Store(), its)
    vendor = attrs.evolve(ENDING, refresh_lifetime=30 * DAY)
    await _connected(worker, its, vendor)
    _grants(its, times=99)
    before = its.counts["requests"]
    keeper = asyncio.create_task(worker.keep_alive(vendor, every=DAY))
    await asyncio.sleep(72 * DAY)
    renewed = its.counts["requests"] - before
    assert 3 <= renewed <= 5
    await asyncio.sleep(40 * DAY)
    assert its.counts["requests"] - before in {renewed, renewed + 1}  # the last one may come a little later
    keeper.cancel()


@virtual
async def test_keep_alive_says_nothing_of_others():
    """A session of a vendor that it was not given is somebody else's to keep."""
    its = Vendor()
    worker = Worker(Store(), its)
    await _connected(worker, its)
    await asyncio.sleep(95 * DAY)
    await worker.keep_alive(attrs.evolve(ENDING, name="another"), every=DAY, rounds=1)
    assert _told(worker) == []
