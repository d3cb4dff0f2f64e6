"""A vendor that has one key for ever: served as a hit is, and neither the store nor the vendor hears of it."""

from __future__ import annotations

import asyncio
import functools

import pytest

from linkauth import ApiKey
from linkauth.errors import UnsupportedGrant
from tests.engine.fakes import Store, Vendor, Worker
from tests.engine.virtual import virtual

KEY = ApiKey(name="acme", key="canary-key", api_url="https://vendor.example/api/v1")


@virtual
async def test_it_is_there_at_once_and_for_ever():
    """The first call and one half a day later: the same token, no store, no request, no task; and after a suspend, too."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(KEY)
    token = await credential.token()
    assert (token.access_token, credential.peek()) == ("canary-key", token)
    await asyncio.sleep(40_000.0)
    assert await credential.token() is token
    assert await credential.replacement(token) is token
    credential.accepted(token, yes=False)
    assert credential.peek() is token
    assert (store.counts.total(), vendor.counts.total()) == (0, 0)


@virtual
async def test_what_it_has_no_flow_for_touches_nothing():
    """Refused in words before the store is asked, and also once the engine is closed."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(KEY)
    adopting = functools.partial(credential.adopt, refresh_token="canary-refresh")
    for flow in (credential.refresh, credential.logout, credential.unread_answer, adopting):
        with pytest.raises(UnsupportedGrant, match="acme "):
            await flow()
    assert (store.counts.total(), vendor.counts.total()) == (0, 0)


@virtual
async def test_keep_alive_passes_it_by():
    """Named or found among those that were used, it is nothing to renew; and the account has no session in the store."""
    worker = Worker(Store(), Vendor())
    credential = worker.credential(KEY)
    assert await worker.keep_alive(KEY, rounds=1) == 0
    assert await worker.keep_alive(rounds=1) == 0
    assert (await credential.status()).version == 0
