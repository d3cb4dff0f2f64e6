"""What fails inside the middleware is an error of linkauth, and nothing is repeated for it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from linkauth import AuthEngine, SageX3
from linkauth.errors import StoreUnavailable, VendorUnavailable
from linkauth_stores.memory import MemoryStore
from tests.middleware.site import get


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_failing_vendor_is_a_linkauth_error_and_asked_no_second_time(client, credential, site, method):
    """No token to be had: the error is linkauth's own, aiohttp repeats nothing, and the call was never made."""
    site.token_status = 503
    async with client.session(credential) as session:
        with pytest.raises(VendorUnavailable):
            async with session.request(method, "a"):
                pass
        asked = site.counts["token"]
        with pytest.raises(VendorUnavailable):
            async with session.request(method, "a"):
                pass
    assert site.counts["token"] == asked
    assert site.counts["api"] == 0


async def test_a_failing_renewal_at_a_401_is_a_linkauth_error(client, credential, site):
    """The 401 cannot be mended because the vendor is down: that is said, and the call is not repeated unsigned."""
    async with client.session(credential) as session:
        await get(session, "a")
        site.revoke()
        site.token_status = 503
        with pytest.raises(VendorUnavailable):
            await get(session, "b")
    assert site.counts["api"] == 2


async def test_a_failing_store_is_a_linkauth_error_and_aiohttp_repeats_nothing(client, site):
    """``OSError`` in a store must not become a ``ClientOSError``: aiohttp would make the whole call again."""

    class Gone(MemoryStore):
        calls = 0

        async def read(self, key):
            Gone.calls += 1
            raise OSError("the disk is gone: password=canary")

    vendor = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=f"{site.url}/v1")
    async with AuthEngine(Gone()) as engine, client.session(engine.credential(vendor)) as session:
        with pytest.raises(StoreUnavailable) as caught:
            await get(session, "a")
    assert not isinstance(caught.value, aiohttp.ClientError | OSError)
    assert "canary" not in str(caught.value)
    assert Gone.calls == 1
    assert site.counts["api"] == 0


async def test_a_total_timeout_of_the_call_leaves_the_renewal_alone(credential, site):
    """The caller's own ``ClientTimeout`` ends its call while the token is being fetched: the token is there for the next."""
    site.gate = asyncio.Event()
    async with credential.session() as session:
        with pytest.raises(TimeoutError):
            await get(session, "a", timeout=aiohttp.ClientTimeout(total=0.1))
        site.gate.set()
        assert await get(session, "b") == 200
    assert site.counts["token"] == 1
