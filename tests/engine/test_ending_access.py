"""A vendor whose renewals end the access token before them at once: nobody sends one that somebody else may be renewing."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth import LinkXGUser, RotationProfile
from linkauth.protocol import timing
from tests.engine.fakes import LIFETIME, USER, Store, Vendor, Worker
from tests.engine.virtual import monotonic, virtual


@attrs.frozen(kw_only=True)
class Ending(LinkXGUser):
    """LinkXG, were it such a vendor."""

    rotation = RotationProfile(rotates=True, ends_access=True)


async def _dead_ones_sent(kind, seconds=5000.0):
    """How many of the tokens that four workers would send in that time are ended already, and all that they would send."""
    store, vendor, dead, sent = Store(), Vendor(), 0, 0
    workers = [Worker(store, vendor) for _ in range(4)]
    credentials = [worker.credential(kind) for worker in workers]
    await credentials[0].login(email="ada@example.com", password="correct horse")
    end = monotonic() + seconds

    async def call(credential):
        nonlocal dead, sent
        while monotonic() < end:
            token = await credential.token()
            newest = max((one._state.token for one in credentials if one._state.token), key=lambda held: held.issued_at)
            dead += token.access_token != newest.access_token
            sent += 1
            await asyncio.sleep(5)

    await asyncio.gather(*map(call, credentials))
    assert vendor.counts["reuse"] == 0
    return dead, sent


@pytest.mark.parametrize(
    ("kind", "none"), [(Ending(base_url=USER.base_url), True), (USER, False)], ids=["stated", "not"]
)
@virtual
async def test_no_worker_sends_what_another_has_ended(kind, none):
    """Over several renewals; and the test is one that can fail: where the fact is not stated, some are sent."""
    dead, sent = await _dead_ones_sent(kind)
    assert sent > 3000
    assert (dead == 0) is none


@virtual
async def test_it_is_renewed_late():
    """Not before the margin at its end: a renewal is of no use to anybody before."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(Ending(base_url=USER.base_url))
    await credential.login(email="ada@example.com", password="correct horse")
    await asyncio.sleep(LIFETIME - timing.MOST_MARGIN - 1)
    await credential.token()
    assert vendor.counts["/auth/refresh"] == 0
    await asyncio.sleep(2)
    await credential.token()
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_what_was_renewed_sooner_is_mended_by_one_repeat():
    """Another worker called for a new one: the token that was refused is replaced by that, without a renewal."""
    store, vendor = Store(), Vendor()
    kind = Ending(base_url=USER.base_url)
    one, other = (Worker(store, vendor).credential(kind) for _ in range(2))
    await one.login(email="ada@example.com", password="correct horse")
    refused = await other.token()
    fresh = await one.refresh()
    assert (await other.replacement(refused)).access_token == fresh.access_token
    assert vendor.counts["/auth/refresh"] == 1
