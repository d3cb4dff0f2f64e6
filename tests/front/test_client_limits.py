"""One client, many accounts, several engines on one store: what the vendor says of the client goes for all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from linkauth import AuthEngine, InvalidClient, LinkXG, OAuthError, RateLimited

if TYPE_CHECKING:
    from linkauth import Credential, Token
    from linkauth.sandbox import Sandbox


async def asked(credentials: list[Credential]) -> Counter[str]:
    """What becomes of one call for each of them, all at once."""

    async def ask(credential: Credential) -> Token | OAuthError:
        try:
            return await credential.token()
        except OAuthError as error:
            return error

    return Counter(type(found).__name__ for found in await asyncio.gather(*map(ask, credentials)))


async def test_a_fleet_keeps_to_the_limit_that_a_vendor_states(sandbox: Sandbox, url: str) -> None:
    """300 accounts of one LinkXG client, three engines: never a 429; who gets no token hears when it is worth trying again."""
    part = sandbox.linkxg
    linkxg = LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
    async with (
        AuthEngine(url, timeout=20) as one,
        AuthEngine(url, timeout=20) as two,
        AuthEngine(url, timeout=20) as three,
    ):
        engines = (one, two, three)
        credentials = [engines[number % 3].credential(linkxg, f"account {number}") for number in range(300)]
        found = await asked(credentials)
        assert found["Token"] + found["RateLimited"] == 300
        assert 45 <= found["Token"] <= 60
        assert part.counts["token_requests"] == found["Token"]
        try:
            await one.credential(linkxg, "one more").token()
        except RateLimited as error:
            assert error.retry_after is not None
            assert 0 < error.retry_after <= 66
            assert (error.limit, error.status) == (60, 0)
        else:
            assert part.counts["token_requests"] <= 60


async def test_a_wrong_secret_is_asked_about_a_handful_of_times(sandbox: Sandbox, url: str) -> None:
    """100 accounts with it in two engines cost eight requests each at the most; those with the right one nothing."""
    part = sandbox.linkxg
    wrong = LinkXG(client_id=part.client_id, client_secret="not it", base_url=part.base_url)
    right = LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
    async with AuthEngine(url, timeout=20) as one, AuthEngine(url, timeout=20) as two:
        found = await asked([(one, two)[number % 2].credential(wrong, f"account {number}") for number in range(100)])
        assert set(found) == {InvalidClient.__name__}
        refused = part.counts["token_requests"]
        assert refused <= 2 * 8
        assert (await asked([two.credential(right, f"account {number}") for number in range(20)]))["Token"] == 20
