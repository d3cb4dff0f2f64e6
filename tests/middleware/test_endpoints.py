"""A vendor whose token names another endpoint: where requests go, and who gets nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from linkauth import AuthEngine, LinkXG, SageX3
from linkauth.errors import LinkAuthError, UntrustedEndpoint
from linkauth_stores.memory import MemoryStore
from tests.middleware.site import Site, another_process_stored, get


async def paired(engine: AuthEngine, site: Site, endpoint: str | None, root: str = "") -> Any:
    """A Sage X3 credential that another process paired: only the store knows of it."""
    root = root or f"{site.url}/v1"
    vendor = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=root)
    granted = {"access_token": "token-7", "refresh_token": "r", "endpoint": endpoint, "scope": "s"}
    return await another_process_stored(engine, vendor, 300, **granted)


async def test_relative_urls_go_to_the_endpoint_that_the_token_names(client, engine, site, other):
    """A cold process: the first relative call goes to the region, signed, with the region's Host; the root sees nothing."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1")
    async with client.session(credential) as session:
        assert await get(session, "folders?a=%26%20b&c=d") == 200
        assert await get(session, f"{site.url}/v1/folders") == 200
        assert await get(session, f"{other.url}/eu/v1/folders") == 200
    assert [path for _, path, _, _ in other.seen] == ["/eu/v1/folders?a=%26%20b&c=d"] + ["/eu/v1/folders"] * 2
    assert other.signed() == ["Bearer token-7"] * 3
    assert set(other.hosts) == {other.url.removeprefix("http://")}
    assert site.counts["api"] == 0


async def test_the_root_gets_no_token_when_the_endpoint_is_elsewhere(client, engine, site, other):
    """Beside the configured path, the root's origin is not where the token belongs."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1")
    async with client.session(credential) as session:
        assert await get(session, f"{site.url}/elsewhere") == 401
    assert site.signed() == [None]


async def test_a_request_beside_the_root_says_nothing_of_those_below_it(client, engine, site):
    """Root and endpoint lie at one origin: one that went there as it was is followed by one that goes on to the endpoint."""
    site.issued = 7
    credential = await paired(engine, site, f"{site.url}/v1/tenant", root=f"{site.url}/root")
    async with client.session(credential) as session:
        assert await get(session, f"{site.url}/v1/beside") == 200
        assert await get(session, f"{site.url}/root/a") == 200
        assert await get(session, f"{site.url}/v1/beside") == 200
    assert [path for _, path, _, _ in site.seen] == ["/v1/beside", "/v1/tenant/a", "/v1/beside"]
    assert site.signed() == ["Bearer token-7"] * 3


async def test_without_an_endpoint_the_root_is_the_vendor(client, engine, site):
    """No endpoint was named: calls go to the configured root, signed."""
    site.issued = 7
    credential = await paired(engine, site, None)
    async with client.session(credential) as session:
        assert await get(session, "folders") == 200
    assert site.signed() == ["Bearer token-7"]


async def test_a_stored_endpoint_that_is_not_believed_gets_nothing(client, engine, site, other):
    """Somebody has written another host into the store: calls say so, calls elsewhere go on, and nobody sees the token."""
    other.issued = 7
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    credential = await paired(engine, site, f"{elsewhere}/v1")
    async with client.session(credential) as session:
        for url in ("folders", f"{site.url}/v1/folders", f"{site.url}/elsewhere"):
            with pytest.raises(UntrustedEndpoint):
                await get(session, url)
        for url in (f"{elsewhere}/v1/folders", f"{other.url}/v1/folders"):
            assert await get(session, url) == 401
    assert (site.signed(), other.signed()) == ([], [None, None])


async def test_a_root_spelt_in_another_way_is_the_same_origin(client, engine, site, other):
    """Upper case in the configured root: calls below it are signed, and go where the pairing moved."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1", root=f"{site.url.replace('http', 'HTTP')}/v1/")
    async with client.session(credential) as session:
        assert await get(session, "folders") == 200
        assert await get(session, f"{site.url}/v1/folders") == 200
    assert other.signed() == ["Bearer token-7"] * 2


async def test_a_redirect_at_the_endpoint_stays_there(client, engine, site, other):
    """A relative redirect from the region is followed at the region, signed."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/v1")
    async with client.session(credential) as session:
        assert await get(session, "a?status=302&to=/v1/b") == 200
    assert other.signed() == ["Bearer token-7"] * 2
    assert site.counts["api"] == 0


async def test_a_credential_that_is_not_paired_does_not_stop_other_origins(client, engine, site, other):
    """Nobody has paired yet: calls to the vendor say so, calls elsewhere in the same session go out unsigned."""
    vendor = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=f"{site.url}/v1")
    async with client.session(engine.credential(vendor)) as session:
        assert await get(session, f"{other.url}/x") == 401
        with pytest.raises(LinkAuthError):
            await get(session, "folders")
    assert other.signed() == [None]


async def test_websockets_go_to_the_endpoint_that_the_token_names(engine, site, other):
    """``ws://`` below the root goes to the region by ``ws://``, signed."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1")
    async with credential.session() as session:
        async with session.ws_connect(f"{site.url}/v1/socket?ws=1".replace("http", "ws", 1)) as socket:
            assert await socket.receive_str() == "hello"
    assert other.signed() == ["Bearer token-7"]
    assert site.counts["api"] == 0


@pytest.mark.parametrize("regions", [(), ("us-prod",)])
async def test_an_unpaired_credential_holds_up_nobody_elses_request(site, regions):
    """With the store hung, a request to an origin that cannot be Sage's passes without a look at the store."""

    class Hung(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.hung: list[str] = []
            self.hangs = False

        async def read(self, key: str) -> Any:
            if self.hangs:
                self.hung.append(key)
                await asyncio.Event().wait()
            return await super().read(key)

    store = Hung()
    root = "https://api.eu-prod-sagex3.com/v1"
    sage = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=root, regions=regions)
    linkxg = LinkXG(client_id="shop", client_secret="s", base_url=f"{site.url}/v1")
    async with AuthEngine(store, timeout=4) as engine:
        credentials = engine.credential(sage), engine.credential(linkxg)
        await credentials[1].token()
        store.hangs = True
        async with aiohttp.ClientSession(middlewares=credentials) as session:
            assert await asyncio.gather(*(get(session, f"{site.url}/v1/a") for _ in range(5))) == [200] * 5
    assert store.hung == []
