"""What a LinkXG subscription allows: calls a minute and a day, products, and where it is all told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.test_linkxg_client import get, token

if TYPE_CHECKING:
    import aiohttp

    from linkauth.sandbox import Sandbox

SCOPE = "products:read products:write"


async def call(sandbox: Sandbox, http: aiohttp.ClientSession, bearer: str, path: str = "products") -> tuple[int, Any]:
    """The status and the headers of a call."""
    headers = {"Authorization": f"Bearer {bearer}"}
    async with http.get(f"{sandbox.linkxg.base_url}/{path}", headers=headers) as response:
        return response.status, response.headers


async def create(sandbox: Sandbox, http: aiohttp.ClientSession, bearer: str, body: object) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {bearer}"}
    async with http.post(f"{sandbox.linkxg.base_url}/products", json=body, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(("tier", "limit"), [("SUPPLIER_PLUS", 100), ("CORE", 500), ("ENTERPRISE", 2000)])
async def test_every_answer_of_the_api_says_what_is_left(
    sandbox: Sandbox, http: aiohttp.ClientSession, tier: Any, limit: int
) -> None:
    """The tier's calls a minute, one fewer each time, refusals too; the window's end is Unix seconds."""
    sandbox.linkxg.settings.tier = tier
    bearer = await token(sandbox, http)
    for left, path in ((1, "products"), (2, "products/nothing"), (3, "products?page=0")):
        _, headers = await call(sandbox, http, bearer, path)
        assert headers["X-RateLimit-Limit"] == str(limit)
        assert headers["X-RateLimit-Remaining"] == str(limit - left)
        assert 0 < float(headers["X-RateLimit-Reset"]) - sandbox.clock() <= 61
    _, headers = await call(sandbox, http, "nonsense")
    assert "X-RateLimit-Limit" not in headers


async def test_more_calls_than_a_minute_allows(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """The 101st of a Supplier Plus is a 429 with Retry-After; a minute later all is well."""
    sandbox.linkxg.settings.tier = "SUPPLIER_PLUS"
    bearer = await token(sandbox, http)
    for _ in range(100):
        assert (await call(sandbox, http, bearer))[0] == 200
    status, headers = await call(sandbox, http, bearer)
    assert (status, headers["X-RateLimit-Remaining"]) == (429, "0")
    assert 0 < int(headers["Retry-After"]) <= 60
    sandbox.advance(60)
    assert (await call(sandbox, http, bearer))[0] == 200


async def test_more_calls_than_a_day_allows(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """The day's limit is told until midnight UTC, and then begins anew."""
    sandbox.linkxg.settings.tier = "SUPPLIER_PLUS"
    bearer = await token(sandbox, http)
    for _ in range(10_000):
        sandbox.linkxg.rates.hit("day", 10_000, sandbox.clock() + 1000)
    status, headers = await call(sandbox, http, bearer)
    assert (status, headers["X-RateLimit-Limit"]) == (429, "10000")
    assert 60 < int(headers["Retry-After"]) <= 1000
    sandbox.advance(1000)
    assert (await call(sandbox, http, await token(sandbox, http)))[0] == 200


async def test_the_free_tier_has_no_api(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """A token can be had, and every call is MISSING_CAPABILITY."""
    sandbox.linkxg.settings.tier = "SUPPLIER_FREE"
    status, body = await get(sandbox, http, "products", await token(sandbox, http))
    assert (status, body["error"]["code"]) == (403, "MISSING_CAPABILITY")


async def test_usage_is_as_documented(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """Tier, limits (null where there is none), the day's calls and when they begin anew, and warnings."""
    bearer = await token(sandbox, http)
    sandbox.linkxg.settings.tier = "SUPPLIER_PLUS"
    await call(sandbox, http, bearer)
    _, body = await get(sandbox, http, "entitlements/usage", bearer)
    data = body["data"]
    assert data.keys() == {"tier", "limits", "rateLimits", "warnings"}
    assert data["tier"] == {"code": "SUPPLIER_PLUS", "name": "LinkXG Supplier Plus"}
    assert data["limits"]["MAX_ACTIVE_PRODUCTS"] == {"current": 137, "limit": 5000, "unlimited": False}
    assert data["rateLimits"]["API_REQUESTS_DAY"].items() >= {"current": 2, "limit": 10_000}.items()
    assert data["rateLimits"]["API_REQUESTS_DAY"]["resetsAt"].endswith("T00:00:00.000Z")
    sandbox.linkxg.settings.tier = "CORE"
    _, body = await get(sandbox, http, "entitlements/usage", bearer)
    assert body["data"]["limits"]["MAX_CONNECTIONS"] == {"current": 7, "limit": None, "unlimited": True}


async def test_a_product_is_made_once(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """With the scope for it; it is listed then; its SKU is taken, and the details say which."""
    bearer = await token(sandbox, http, scope=SCOPE)
    fields = {"sku": "NEW-1", "name": "New", "category": "Textiles"}
    status, body = await create(sandbox, http, bearer, fields)
    assert (status, body["data"]["sku"]) == (201, "NEW-1")
    assert (await get(sandbox, http, f"products/{body['data']['id']}", bearer))[1] == body
    status, body = await create(sandbox, http, bearer, fields)
    assert (status, body["error"]["code"], body["error"]["details"]) == (409, "DUPLICATE_SKU", {"sku": "NEW-1"})
    status, body = await create(sandbox, http, await token(sandbox, http, scope="products:read"), fields)
    assert (status, body["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")


@pytest.mark.parametrize(
    ("body", "status", "code", "fields"),
    [
        ([], 400, "INVALID_FORMAT", set()),
        ({"sku": "A", "name": "B"}, 400, "REQUIRED_FIELD_MISSING", {"category"}),
        ({"sku": 1, "name": [], "category": "C"}, 422, "VALIDATION_ERROR", {"sku", "name"}),
    ],
)
async def test_a_product_that_cannot_be_made(
    sandbox: Sandbox, http: aiohttp.ClientSession, body: object, status: int, code: str, fields: set[str]
) -> None:
    """Each fault has its status and code, and the details name the fields."""
    found, told = await create(sandbox, http, await token(sandbox, http, scope=SCOPE), body)
    assert (found, told["error"]["code"], set(told["error"]["details"])) == (status, code, fields)


async def test_more_products_than_the_plan_allows(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """LIMIT_EXCEEDED is a 403, and says how many there are and how many there may be."""
    sandbox.linkxg.settings.product_limit = 137
    bearer = await token(sandbox, http, scope=SCOPE)
    status, body = await create(sandbox, http, bearer, {"sku": "NEW-1", "name": "New", "category": "Textiles"})
    assert (status, body["error"]["code"]) == (403, "LIMIT_EXCEEDED")
    assert body["error"]["details"] == {"current": 137, "limit": 137}
