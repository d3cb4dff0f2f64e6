"""The first calls with a real credential, against the vendors on loopback: what a newcomer does first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from linkauth import AuthEngine
from linkauth.clients import LinkkitClient, LinkXGClient, SageX3Client
from linkauth.errors import Forbidden, GraphQLError, InsufficientScope, NotFound, RateLimited
from linkauth.sandbox import Sandbox
from linkauth.vendors import Linkkit, LinkXG, SageX3


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    anywhere = {"loopback_redirects": True}
    async with Sandbox(linkkit=anywhere, sagex3={**anywhere, "customer_region": True}) as running:
        yield running


@pytest.fixture
async def engine() -> AsyncIterator[AuthEngine]:
    async with AuthEngine("memory:") as running:
        yield running


def linkxg(sandbox: Sandbox, scope: str) -> LinkXG:
    part = sandbox.linkxg
    return LinkXG(
        client_id=part.settings.client_id,
        client_secret=part.settings.client_secret,
        scope=scope,
        base_url=part.base_url,
    )


async def test_linkxg(sandbox: Sandbox, engine: AuthEngine) -> None:
    """All 137 products, those of one category, one in full, and the connections with theirs."""
    vendor = linkxg(sandbox, "products:read connections:read")
    async with engine.credential(vendor).session() as session:
        client = LinkXGClient(session)
        products = [product async for product in client.products()]
        assert len({product.id for product in products}) == len(products) == 137
        some = [product async for product in client.products(products[0].category, page_size=3)]
        assert some == [product for product in products if product.category == products[0].category]
        detail = await client.product(products[5].id)
        assert (detail.id, detail.sku) == (products[5].id, products[5].sku)
        assert detail.version is not None
        connections = [connection async for connection in client.connections()]
        assert connections
        shared = [product.sku async for product in client.connection_products(connections[0].id)]
        assert shared
        with pytest.raises(NotFound) as caught:
            await client.product("no-such-product")
        assert (caught.value.status, caught.value.error) == (404, "NOT_FOUND")
        usage = await client.usage()
        assert (usage.tier.code, usage.limits["MAX_ACTIVE_PRODUCTS"].current) == ("ENTERPRISE", 137)
        assert usage.rate_limits["API_REQUESTS_DAY"].current > 1
    assert sandbox.linkxg.counts["tokens"] == 1


async def test_linkxg_renewed_in_the_middle(sandbox: Sandbox, engine: AuthEngine) -> None:
    """A token that dies between two pages is renewed and the page asked for again: the reader notices nothing."""
    async with engine.credential(linkxg(sandbox, "products:read")).session() as session:
        seen = 0
        async for _ in LinkXGClient(session).products(page_size=20):
            seen += 1
            if seen == 50:
                sandbox.linkxg.tokens.revoke_access()
        assert seen == 137
    assert sandbox.linkxg.counts["tokens"] == 2


async def test_linkxg_beyond_what_is_paid_for(sandbox: Sandbox, engine: AuthEngine) -> None:
    """A limit that is reached says what it is and when it ends; a tier without the API is nothing that a user can lift."""
    async with engine.credential(linkxg(sandbox, "products:read")).session() as session:
        client = LinkXGClient(session)
        sandbox.linkxg.settings.tier = "SUPPLIER_PLUS"
        for _ in range(100):
            sandbox.linkxg.rates.hit("minute", 100)
        with pytest.raises(RateLimited) as caught:
            await client.usage()
        error = caught.value
        assert (error.limit, error.remaining) == (100, 0)
        assert error.retry_after is not None
        assert error.reset_at is not None
        assert 0 < error.reset_at - sandbox.clock() <= 61
        sandbox.linkxg.settings.tier = "SUPPLIER_FREE"
        with pytest.raises(Forbidden):
            await client.usage()


async def test_linkxg_without_the_scope(sandbox: Sandbox, engine: AuthEngine) -> None:
    """What the token's scope does not cover is ``InsufficientScope``."""
    async with engine.credential(linkxg(sandbox, "products:read")).session() as session:
        with pytest.raises(InsufficientScope):
            _ = [connection async for connection in LinkXGClient(session).connections()]


async def test_linkkit(sandbox: Sandbox, engine: AuthEngine) -> None:
    """All links, and those that a filter lets through."""
    part = sandbox.linkkit
    vendor = Linkkit(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
    credential = engine.credential(vendor)
    callback = part.consent(await credential.authorization_url("http://127.0.0.1/callback"))
    await credential.complete(callback.params)
    async with credential.session() as session:
        client = LinkkitClient(session)
        links = [link async for link in client.links()]
        assert len({link.id for link in links}) == len(links) > 1
        assert [link async for link in client.links(limit=7)] == links
        assert [link async for link in client.links(is_active=False)] == [link for link in links if not link.is_active]


async def test_sagex3_in_the_customers_region(sandbox: Sandbox, engine: AuthEngine) -> None:
    """Folders and GraphQL go to the endpoint that the pairing named, and are taken to be at home there."""
    part = sandbox.sagex3
    vendor = SageX3(
        client_id=part.client_id,
        client_secret=part.client_secret,
        base_url=part.base_url,
        customer=part.customer,
    )
    credential = engine.credential(vendor)
    callback = part.consent(await credential.authorization_url("http://127.0.0.1/callback"), folders=["SEED"])
    await credential.complete(callback.params)
    async with credential.session() as session:
        client = SageX3Client(session)
        (folder,) = await client.folders()
        assert folder.data_service.startswith(part.region_url)
        query = "{ sage { x3BusinessPartners { customer(first: 2) { edges { node { code companyName } } } } } }"
        data = await client.graphql("SEED", query)
        assert len(data["sage"]["x3BusinessPartners"]["customer"]["edges"]) == 2
        with pytest.raises(GraphQLError):
            await client.graphql(folder, "{ nonsense")
