"""``OAuth2(refresh_ahead=…)``: when renewal begins is one vendor's own."""

from __future__ import annotations

import asyncio

import pytest

from linkauth import OAuth2
from tests.engine.fakes import BASE, Store, Vendor, Worker
from tests.engine.virtual import virtual


@pytest.mark.parametrize(("ahead", "asked"), [(None, 1), (600.0, 2)])
@virtual
async def test_it_goes_before_the_engines(ahead, asked):
    """Of a token of 15 minutes ten are left to renew in, whatever the engine was told; None leaves it to the engine."""
    vendor = Vendor()
    stated = OAuth2(
        name="own", client_id="c", client_secret="first-secret", token_url=f"{BASE}/oauth/token", refresh_ahead=ahead
    )
    credential = Worker(Store(), vendor, refresh_ahead=60.0).credential(stated)
    first = await credential.token()
    await asyncio.sleep(600)
    assert await credential.token() == first
    await asyncio.sleep(1)
    assert vendor.counts["/oauth/token"] == asked
