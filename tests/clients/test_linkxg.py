"""LinkXG's first calls, as its quick start shows the answers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from linkauth.clients import Attribute, Certification, Limit, LinkXGClient, Product, ProductVersion, Tier, Usage
from linkauth.errors import ConfigurationError, MalformedResponse
from tests.clients.conftest import Api

WIDGET: dict[str, Any] = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "sku": "WIDGET-001",
    "name": "Industrial Widget",
    "category": "Components",
    "status": "ACTIVE",
    "createdAt": "2025-06-15T10:30:00Z",
    "updatedAt": "2025-12-01T14:22:00Z",
}


def listing(numbers: range, page: int, pages: int, **pagination: int) -> dict[str, object]:
    items = [WIDGET | {"id": f"id-{number}", "sku": f"SKU-{number}"} for number in numbers]
    told = {"page": page, "pageSize": len(items), "totalItems": 0, "totalPages": pages, **pagination}
    return {"success": True, "data": items, "pagination": told}


def paged(api: Api, count: int) -> None:
    """Answer as a vendor with ``count`` products does."""

    async def handler(request: web.Request) -> web.StreamResponse:
        page, size = int(request.query["page"]), int(request.query["pageSize"])
        numbers = range((page - 1) * size, min(page * size, count))
        return web.json_response(listing(numbers, page, -(-count // size)))

    api.handler = handler


async def test_products_page_by_page(api: Api, session: aiohttp.ClientSession) -> None:
    """137 products in pages of 50 are three requests, no page twice, each product once."""
    paged(api, 137)
    skus = [product.sku async for product in LinkXGClient(session).products()]
    assert skus == [f"SKU-{number}" for number in range(137)]
    assert api.asked == [f"/api/v1/products?page={page}&pageSize=50" for page in (1, 2, 3)]


async def test_product_as_listed(api: Api, session: aiohttp.ClientSession) -> None:
    """A listed product's fields have Python's names and types; what the page does not name is in ``extra``."""
    api.answers({"success": True, "data": [WIDGET | {"colour": "red"}], "trace": 1})
    (product,) = [product async for product in LinkXGClient(session).products()]
    assert product == Product(
        id="550e8400-e29b-41d4-a716-446655440000",
        sku="WIDGET-001",
        name="Industrial Widget",
        category="Components",
        status="ACTIVE",
        created_at=datetime(2025, 6, 15, 10, 30, tzinfo=UTC),
        updated_at=datetime(2025, 12, 1, 14, 22, tzinfo=UTC),
        extra={"colour": "red"},
    )
    assert hash(product) is not None
    assert "colour" not in repr(product)


async def test_category_is_passed_on_quoted(api: Api, session: aiohttp.ClientSession) -> None:
    """A category may hold what a query string may not."""
    paged(api, 1)
    assert [product async for product in LinkXGClient(session).products("Nuts & bolts", page_size=7)]
    assert dict(api.requests[0].query) == {"category": "Nuts & bolts", "page": "1", "pageSize": "7"}


async def test_product_in_full(api: Api, session: aiohttp.ClientSession) -> None:
    """One product has attributes (a number or words), certifications and a version."""
    api.answers(
        {
            "success": True,
            "data": WIDGET
            | {
                "description": "High-precision",
                "attributes": [
                    {"family": "Specifications", "name": "Weight", "value": 2.5, "unit": "kg"},
                    {"family": "Specifications", "name": "Material", "value": "Stainless Steel"},
                ],
                "certifications": [{"name": "ISO 9001", "validUntil": "2027-03-15"}],
                "version": {"number": 3, "publishedAt": "2025-12-01T14:22:00Z"},
            },
        },
    )
    product = await LinkXGClient(session).product("550e8400-e29b-41d4-a716-446655440000")
    assert api.asked == ["/api/v1/products/550e8400-e29b-41d4-a716-446655440000"]
    assert product.description == "High-precision"
    assert product.attributes == (
        Attribute(family="Specifications", name="Weight", value=2.5, unit="kg"),
        Attribute(family="Specifications", name="Material", value="Stainless Steel"),
    )
    assert product.certifications == (Certification(name="ISO 9001", valid_until=date(2027, 3, 15)),)
    assert product.version == ProductVersion(number=3, published_at=datetime(2025, 12, 1, 14, 22, tzinfo=UTC))


async def test_connections_keep_their_undocumented_fields(api: Api, session: aiohttp.ClientSession) -> None:
    """LinkXG shows no connection: its id is read, all else is in ``extra``. No pagination means one page."""
    api.answers({"success": True, "data": [{"id": "c-1", "supplier": "Acme"}]})
    (connection,) = [connection async for connection in LinkXGClient(session).connections()]
    assert (connection.id, connection.extra) == ("c-1", {"supplier": "Acme"})
    assert len(api.asked) == 1


async def test_connection_products_quote_the_id(api: Api, session: aiohttp.ClientSession) -> None:
    """An id is one segment of the path, whatever is in it."""
    paged(api, 1)
    (product,) = [product async for product in LinkXGClient(session).connection_products("a/b?c#d%2e é")]
    assert product.sku == "SKU-0"
    assert api.asked[0].startswith("/api/v1/connections/a%2Fb%3Fc%23d%252e%20%C3%A9/products?")


@pytest.mark.parametrize("bad", ["", ".", ".."])
async def test_id_that_is_no_segment_is_refused(session: aiohttp.ClientSession, api: Api, bad: str) -> None:
    """A dot segment would be resolved away and ask for something else: nothing is sent."""
    with pytest.raises(ConfigurationError):
        await LinkXGClient(session).product(bad)
    with pytest.raises(ConfigurationError):
        LinkXGClient(session).connection_products(bad)
    assert api.asked == []


async def test_list_that_grows_is_read_to_its_new_end(api: Api, session: aiohttp.ClientSession) -> None:
    """A page added meanwhile is read too."""

    async def handler(request: web.Request) -> web.StreamResponse:
        page = int(request.query["page"])
        return web.json_response(listing(range(page * 2, page * 2 + 2), page, {1: 2, 2: 3, 3: 3}[page]))

    api.handler = handler
    assert len([product async for product in LinkXGClient(session).products()]) == 6


async def test_list_that_shrinks_ends(api: Api, session: aiohttp.ClientSession) -> None:
    """A vendor that gives its last page for a number past the end ends the list, without repeats."""

    async def handler(request: web.Request) -> web.StreamResponse:
        page = int(request.query["page"])
        return web.json_response(listing(range(2), 1, 3 if page == 1 else 1))

    api.handler = handler
    assert len([product async for product in LinkXGClient(session).products()]) == 2


async def test_another_page_than_asked_for_is_malformed(api: Api, session: aiohttp.ClientSession) -> None:
    """A vendor that answers page 1 for page 2 of 3 would lose products in silence."""
    api.answers(listing(range(2), 1, 3))
    with pytest.raises(MalformedResponse, match="page 1 came where page 2 was asked for"):
        _ = [product async for product in LinkXGClient(session).products()]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sku": 7}, r"\$\.data\[0\]\.sku"),
        ({"name": None}, r"\$\.data\[0\]\.name"),
        ({"createdAt": "yesterday"}, r"\$\.data\[0\]\.created_at"),
        ({"updatedAt": 1733062920}, r"\$\.data\[0\]\.updated_at"),
        ({"category": ["a"]}, r"\$\.data\[0\]\.category"),
    ],
)
async def test_wrong_type_names_the_field(
    api: Api,
    session: aiohttp.ClientSession,
    change: dict[str, object],
    field: str,
) -> None:
    """A field of the wrong type is ``MalformedResponse`` with its path and without its value."""
    api.answers({"success": True, "data": [WIDGET | change]})
    with pytest.raises(MalformedResponse, match=field) as caught:
        _ = [product async for product in LinkXGClient(session).products()]
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize(
    ("detail", "field"),
    [
        ({"attributes": [{"name": "Weight", "value": True}]}, r"attributes\[0\]\.value"),
        ({"attributes": [{"name": "Weight"}]}, r"attributes\[0\]\.value"),
        ({"certifications": [{"name": "x", "validUntil": "2027-13-40"}]}, r"certifications\[0\]\.valid_until"),
        ({"certifications": [{"name": "x", "validUntil": 2027}]}, r"certifications\[0\]\.valid_until"),
        ({"version": {"number": "3"}}, r"version\.number"),
        ({"version": "3"}, r"version"),
    ],
)
async def test_wrong_type_in_the_depth_names_the_field(
    api: Api,
    session: aiohttp.ClientSession,
    detail: dict[str, object],
    field: str,
) -> None:
    """Nested fields are named by their whole path."""
    api.answers({"success": True, "data": WIDGET | detail})
    with pytest.raises(MalformedResponse, match=field):
        await LinkXGClient(session).product("x")


USAGE: dict[str, Any] = {
    "tier": {"code": "CORE", "name": "LinkXG Core", "since": 2025},
    "limits": {
        "MAX_ACTIVE_PRODUCTS": {"current": 847, "limit": None, "unlimited": True},
        "MAX_CONNECTIONS": {"current": 12, "limit": 15},
    },
    "rateLimits": {"API_REQUESTS_DAY": {"current": 4521, "limit": 50000, "resetsAt": "2026-01-22T00:00:00.000Z"}},
    "warnings": ["almost", {"code": "X"}],
    "seats": 3,
}


async def test_usage_as_documented(api: Api, session: aiohttp.ClientSession) -> None:
    """Every documented member, ``limit: null`` and all; others are kept out of the way; what is missing is empty."""
    api.answers({"success": True, "data": USAGE})
    usage = await LinkXGClient(session).usage()
    assert api.asked == ["/api/v1/entitlements/usage"]
    assert (usage.tier, usage.tier.extra) == (
        Tier(code="CORE", name="LinkXG Core", extra={"since": 2025}),
        {"since": 2025},
    )
    assert usage.limits["MAX_ACTIVE_PRODUCTS"] == Limit(current=847, limit=None, unlimited=True)
    assert usage.limits["MAX_CONNECTIONS"] == Limit(current=12, limit=15, unlimited=None)
    day = Limit(current=4521, limit=50000, resets_at=datetime(2026, 1, 22, tzinfo=UTC))
    assert usage.rate_limits == {"API_REQUESTS_DAY": day}
    assert usage.warnings == ("almost", {"code": "X"})
    assert usage.extra == {"seats": 3}
    assert "seats" not in repr(usage)
    api.answers({"success": True, "data": {"tier": {"code": "CORE"}}})
    assert await LinkXGClient(session).usage() == Usage(tier=Tier(code="CORE"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tier": "CORE"}, r"\$\.data\.tier"),
        ({"tier": {"code": 1}}, r"\$\.data\.tier\.code"),
        ({"limits": []}, r"\$\.data\.limits"),
        ({"limits": {"A": {"limit": 1}}}, r"\$\.data\.limits\['A'\]\.current"),
        ({"limits": {"A": {"current": "1"}}}, r"\$\.data\.limits\['A'\]\.current"),
        ({"limits": {"A": {"current": 1, "limit": True}}}, r"\$\.data\.limits\['A'\]\.limit"),
        ({"rateLimits": {"A": {"current": 1, "resetsAt": 5}}}, r"\$\.data\.rate_limits\['A'\]\.resets_at"),
        ({"warnings": "none"}, r"\$\.data\.warnings"),
    ],
)
async def test_usage_of_another_shape_names_the_field(
    api: Api, session: aiohttp.ClientSession, change: dict[str, object], field: str
) -> None:
    """Whatever is not as documented is ``MalformedResponse`` with the path of what is wrong."""
    api.answers({"success": True, "data": USAGE | change})
    with pytest.raises(MalformedResponse, match=field):
        await LinkXGClient(session).usage()


@pytest.mark.parametrize(
    "body", [[], "text", {"success": True}, {"data": {}}, {"data": "abc"}, {"data": [3]}, {"data": None}]
)
async def test_another_shape_is_malformed(api: Api, session: aiohttp.ClientSession, body: object) -> None:
    """Anything but the documented envelope is ``MalformedResponse``."""
    api.answers(body)
    with pytest.raises(MalformedResponse):
        _ = [product async for product in LinkXGClient(session).products()]
