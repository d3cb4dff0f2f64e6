"""A vendor whose renewals end the access token before them, over real HTTP: nobody's call fails of another's renewal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from linkauth import AuthEngine, RotationProfile

if TYPE_CHECKING:
    from linkauth import Credential
    from tests.front.vendors import Vendors

ENDING = RotationProfile(rotates=True, ends_access=True)


async def status_of_a_call(credential: Credential) -> int:
    async with credential.session() as session, session.get("me") as response:
        return response.status


async def test_a_renewal_elsewhere_costs_one_repeat(url: str, vendors: Vendors) -> None:
    """The token that a worker holds is ended by another's renewal: its call is repeated once, with that one's token."""
    server = vendors.sandbox.oauth2
    server.settings.ends_access = True
    vendor = vendors.make("OAuth2", rotation=ENDING)
    async with AuthEngine(url) as one, AuthEngine(url) as other:
        await vendors.connect(one.credential(vendor))
        assert await status_of_a_call(other.credential(vendor)) == 200
        for renewals in (1, 2):
            await one.credential(vendor).refresh()
            calls = [status_of_a_call(other.credential(vendor)) for _ in range(3)]
            assert await asyncio.gather(*calls) == [200, 200, 200]
            assert server.counts["refresh_token"] == renewals
            assert server.counts["status_401"] >= renewals  # so there was something to mend
            assert await status_of_a_call(one.credential(vendor)) == 200
    assert server.counts["refresh_reuse"] == 0
