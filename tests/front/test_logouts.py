"""How sessions end through the front door: at the vendor, in the store, and for other workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import AuthEngine, ReauthorizationRequired, StoreUnavailable
from linkauth_stores.memory import MemoryStore
from tests.front.vendors import ALL, Vendors

if TYPE_CHECKING:
    from linkauth import Credential, Token


@pytest.mark.parametrize("name", ALL)
async def test_logout(url: str, vendors: Vendors, name: str) -> None:
    """Revoked at the vendor where it can be, forgotten in the store, and gone for the other workers too."""
    vendor, part = vendors.make(name), vendors.part(name)
    async with AuthEngine(url) as engine, AuthEngine(url) as other:
        mine, theirs = engine.credential(vendor), other.credential(vendor)
        await vendors.connect(mine)
        before = await theirs.token()
        await mine.logout()
        expected = {"LinkXGUser": ("logouts", 1), "OAuth2": ("revocations", 2)}.get(name)
        if expected is not None:
            assert part.counts[expected[0]] == expected[1]
        if name == "LinkXG":
            assert (await mine.token()).access_token != before.access_token
            return
        for credential in (mine, theirs):
            with pytest.raises(ReauthorizationRequired, match="logged out"):
                await credential.refresh()
            with pytest.raises(ReauthorizationRequired):
                await credential.token()
        assert part.counts["refresh_token"] == 0
        again = await vendors.connect(mine)
        assert await _in_a_moment(theirs) == again


async def test_logout_of_a_machine(engine: AuthEngine, vendors: Vendors) -> None:
    """Client credentials have an access token alone: it is revoked, and the next call fetches another."""
    credential = engine.credential(vendors.make("OAuth2", authorize_url=None))
    before = await credential.token()
    await credential.logout()
    assert vendors.sandbox.oauth2.counts["revocations"] == 1
    assert (await credential.token()).access_token != before.access_token


async def _in_a_moment(credential: Credential) -> Token:
    """Its token, once it looks at the store again, half a second after it last looked in vain."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await credential.token()
            except ReauthorizationRequired:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["LinkXGUser", "OAuth2"])
async def test_another_worker_notices_a_logout_at_its_next_call(url: str, vendors: Vendors, name: str) -> None:
    """Its token was revoked: the 401 leads to the store, not to the vendor, and the store says so."""
    vendor, part = vendors.make(name), vendors.part(name)
    path = "products" if name == "LinkXGUser" else "me"
    async with AuthEngine(url) as engine, AuthEngine(url) as other:
        await vendors.connect(engine.credential(vendor))
        async with other.credential(vendor).session() as session:
            async with session.get(path) as response:
                assert response.status == 200
            await engine.credential(vendor).logout()
            with pytest.raises(ReauthorizationRequired):
                await session.get(path)
    assert part.counts["refresh_requests"] == 0
    assert part.counts["refresh_token"] == 0


async def test_a_logout_after_the_access_token_has_expired(vendors: Vendors) -> None:
    """LinkXG takes only a live token at its logout: the session is renewed once, so that it can be ended for good."""
    xg = vendors.sandbox.linkxg
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("LinkXGUser"))
        token = await vendors.connect(credential)
        vendors.sandbox.advance(1000)
        await credential.logout()
    assert xg.counts["logouts"] == 1
    session = xg.tokens.find(token.refresh_token or "")
    assert session is not None
    assert session.revoked


async def test_a_session_that_is_dead_already_is_forgotten(vendors: Vendors) -> None:
    """The vendor knows neither token any more: a logout has reached its end, and raises nothing."""
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("LinkXGUser"))
        await vendors.connect(credential)
        vendors.sandbox.advance(8 * 86_400)
        await credential.logout()
        with pytest.raises(ReauthorizationRequired):
            await credential.token()


async def test_a_logout_without_a_store(vendors: Vendors) -> None:
    """With the store away nothing can be forgotten for the others: StoreUnavailable, and the session stays whole."""

    class Away(MemoryStore):
        down = False

        async def read(self, *args: Any, **kwargs: Any) -> Any:
            if self.down:
                raise StoreUnavailable("away")
            return await super().read(*args, **kwargs)

    store = Away()
    async with AuthEngine(store) as engine:
        credential = engine.credential(vendors.make("LinkXGUser"))
        await vendors.connect(credential)
        store.down = True
        with pytest.raises(StoreUnavailable):
            await credential.logout()
        store.down = False
        assert vendors.sandbox.linkxg.counts["logout_requests"] == 0
        await credential.logout()


# -- Any RFC 6749 vendor.
