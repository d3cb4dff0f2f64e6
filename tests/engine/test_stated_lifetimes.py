"""Keep-alive goes by what is stated of a vendor whose answers do not say when an unused refresh token lapses."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from linkauth import OAuth2
from tests.engine.fakes import BASE, Store, Vendor, Worker, answer
from tests.engine.virtual import virtual

DAY = 86400.0
SILENT = OAuth2(
    name="silent",
    client_id="c",
    client_secret="first-secret",
    token_url=f"{BASE}/oauth/token",
    authorize_url=f"{BASE}/authorize",
)


async def _connected(worker, vendor, its):
    """A session, and the number of requests that it took."""
    credential = worker.credential(vendor)
    url = await credential.authorization_url("http://127.0.0.1/callback")
    its.fails(answer(200, {"access_token": "a", "expires_in": 900, "refresh_token": "rt"}))
    await credential.complete({"state": parse_qs(urlsplit(url).query)["state"][0], "code": "one"})
    return its.counts["requests"]


@pytest.mark.parametrize("stated", [None, 60 * DAY])
@virtual
async def test_an_unused_session_is_renewed_in_time(stated):
    """Of sixty days, before three quarters are over; where nothing is stated it is left alone."""
    its = Vendor()
    vendor = attrs.evolve(SILENT, refresh_lifetime=stated)
    worker = Worker(Store(), its)
    before = await _connected(worker, vendor, its)
    keeper = asyncio.create_task(worker.keep_alive(vendor, every=DAY))
    await asyncio.sleep(29 * DAY)
    assert its.counts["requests"] == before
    await asyncio.sleep(20 * DAY)
    assert its.counts["requests"] == before + (0 if stated is None else 1)
    keeper.cancel()


@virtual
async def test_a_session_that_was_stored_before_it_was_stated():
    """It is kept alive as well, for the statement is about the vendor, and there may be no other renewal in time."""
    its, store = Vendor(), Store()
    before = await _connected(Worker(store, its), SILENT, its)
    worker = Worker(store, its)
    keeper = asyncio.create_task(worker.keep_alive(attrs.evolve(SILENT, refresh_lifetime=60 * DAY), every=DAY))
    await asyncio.sleep(49 * DAY)
    assert its.counts["requests"] == before + 1
    keeper.cancel()
