"""LinkXG's client credentials and calls: one test per rule of the vendor's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    import aiohttp

    from linkauth.sandbox import Sandbox


def fields(sandbox: Sandbox, **changes: str) -> dict[str, str]:
    vendor = sandbox.linkxg
    plain = {
        "grant_type": "client_credentials",
        "client_id": vendor.client_id,
        "client_secret": vendor.client_secret,
        "scope": "products:read connections:read",
    }
    return {name: value for name, value in {**plain, **changes}.items() if value}


async def ask(sandbox: Sandbox, http: aiohttp.ClientSession, **how: Any) -> tuple[int, dict[str, Any]]:
    async with http.post(f"{sandbox.linkxg.base_url}/oauth/token", **how) as response:
        return response.status, await response.json()


async def token(sandbox: Sandbox, http: aiohttp.ClientSession, **changes: str) -> str:
    status, body = await ask(sandbox, http, data=fields(sandbox, **changes))
    assert status == 200
    return str(body["access_token"])


async def get(sandbox: Sandbox, http: aiohttp.ClientSession, path: str, bearer: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with http.get(f"{sandbox.linkxg.base_url}/{path}", headers=headers) as response:
        return response.status, await response.json()


async def nothing(sandbox: Sandbox, http: aiohttp.ClientSession, path: str, bearer: str = "") -> None:
    """A 404 in the envelope."""
    status, body = await get(sandbox, http, path, bearer)
    assert (status, body["success"], body["error"]["code"]) == (404, False, "NOT_FOUND")
    assert set(body["error"]) == {"code", "message", "details"}


async def test_what_is_not_there_is_told_in_the_envelope(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """A path that nobody documents, with a token or without."""
    await nothing(sandbox, http, "nothing")
    await nothing(sandbox, http, "products/a/b/c", await token(sandbox, http))


async def test_token_answer_is_as_documented(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """Four members, 900 s, and no refresh token."""
    status, body = await ask(sandbox, http, data=fields(sandbox))
    assert status == 200
    assert body.pop("access_token").startswith("eyJ")
    assert body == {"token_type": "Bearer", "expires_in": 900, "scope": "products:read connections:read"}
    assert sandbox.linkxg.counts["tokens"] == sandbox.linkxg.counts["client_credentials"] == 1


async def test_token_request_must_be_a_form(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """JSON is refused, flat, with invalid_request; so is a form that is not said to be one."""
    unsaid = {"data": urlencode(fields(sandbox)), "headers": {"Content-Type": "text/plain"}}
    for how in ({"json": fields(sandbox)}, unsaid):
        status, body = await ask(sandbox, http, **how)
        assert (status, body["error"]) == (400, "invalid_request")
        assert set(body) == {"error", "error_description"}


@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret"])
async def test_missing_field_is_invalid_request(sandbox: Sandbox, http: aiohttp.ClientSession, name: str) -> None:
    """Every field but the scope is needed, and an empty one counts as left out."""
    status, body = await ask(sandbox, http, data=fields(sandbox, **{name: ""}))
    assert (status, body["error"]) == (400, "invalid_request")


async def test_repeated_field_is_invalid_request(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """A parameter that comes twice is refused (RFC 6749 §3.2)."""
    status, body = await ask(sandbox, http, data=[*fields(sandbox).items(), ("scope", "dpp:read")])
    assert (status, body["error"]) == (400, "invalid_request")


async def test_other_grant_is_invalid_request(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """Client credentials are the only grant."""
    status, body = await ask(sandbox, http, data=fields(sandbox, grant_type="refresh_token"))
    assert (status, body["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
async def test_wrong_client_is_invalid_client(sandbox: Sandbox, http: aiohttp.ClientSession, name: str) -> None:
    """The documented example of an error, word for word."""
    status, body = await ask(sandbox, http, data=fields(sandbox, **{name: "wrong"}))
    assert status == 401
    assert body == {"error": "invalid_client", "error_description": "Client authentication failed"}


async def test_scope_the_client_lacks_is_insufficient_scope(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """A client gets the scopes that it was registered for and no others."""
    client = sandbox.linkxg.add_client(scopes=["products:read"])
    mine = {"client_id": client.client_id, "client_secret": client.client_secret}
    status, body = await ask(sandbox, http, data=fields(sandbox, **mine))
    assert (status, body["error"]) == (403, "insufficient_scope")
    status, body = await ask(sandbox, http, data=fields(sandbox, **mine, scope=""))
    assert (status, body["scope"]) == (200, "products:read")


async def test_token_limit_is_sixty_a_minute_and_client(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """The 61st request is a 429 with Retry-After; another client is not concerned; a minute later all is well."""
    async with http.post(f"{sandbox.linkxg.base_url}/oauth/token", data=fields(sandbox)) as response:
        assert response.headers["X-RateLimit-Limit"] == "60"
        assert response.headers["X-RateLimit-Remaining"] == "59"
        assert float(response.headers["X-RateLimit-Reset"]) > sandbox.clock()
    for _ in range(59):
        await token(sandbox, http)
    async with http.post(f"{sandbox.linkxg.base_url}/oauth/token", data=fields(sandbox)) as response:
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 60
        assert (await response.json())["error"] == "rate_limit_exceeded"
    other = sandbox.linkxg.add_client()
    await token(sandbox, http, client_id=other.client_id, client_secret=other.client_secret)
    sandbox.advance(60)
    await token(sandbox, http)
    assert sandbox.linkxg.counts["status_429"] == 1


async def test_token_limit_can_be_switched_off(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """Without a limit there are no headers about one."""
    sandbox.linkxg.settings.token_limit = None
    async with http.post(f"{sandbox.linkxg.base_url}/oauth/token", data=fields(sandbox)) as response:
        assert not [name for name in response.headers if name.startswith("X-RateLimit")]


async def test_products_page_by_page(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """137 products over 7 pages of 20, each once, in the documented envelope."""
    bearer = await token(sandbox, http)
    seen: list[str] = []
    for page in range(1, 9):
        status, body = await get(sandbox, http, f"products?page={page}", bearer)
        assert (status, body["success"]) == (200, True)
        assert body["pagination"] == {"page": page, "pageSize": 20, "totalItems": 137, "totalPages": 7}
        seen += [product["id"] for product in body["data"]]
    assert len(seen) == len(set(seen)) == 137
    wanted = {"id", "sku", "name", "category", "status", "createdAt", "updatedAt"}
    assert set((await get(sandbox, http, "products?pageSize=1", bearer))[1]["data"][0]) == wanted


async def test_products_by_category(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """The filter counts in the pagination too."""
    bearer = await token(sandbox, http)
    _, body = await get(sandbox, http, "products?category=Components&pageSize=50", bearer)
    assert {product["category"] for product in body["data"]} == {"Components"}
    assert len(body["data"]) == body["pagination"]["totalItems"] == 28


async def test_product_in_full(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """The quick start's product under the quick start's id, with all that it shows."""
    bearer = await token(sandbox, http)
    _, body = await get(sandbox, http, "products/550e8400-e29b-41d4-a716-446655440000", bearer)
    assert body["data"]["sku"] == "WIDGET-001"
    assert {"description", "attributes", "certifications", "version"} <= set(body["data"])
    await nothing(sandbox, http, "products/nothing", bearer)


async def test_connections_and_what_they_share(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """A connection's products are listed like one's own."""
    bearer = await token(sandbox, http)
    _, body = await get(sandbox, http, "connections", bearer)
    assert len(body["data"]) == 7
    _, shared = await get(sandbox, http, f"connections/{body['data'][0]['id']}/products", bearer)
    assert shared["pagination"]["totalItems"] == 23
    await nothing(sandbox, http, "connections/nothing/products", bearer)


@pytest.mark.parametrize("query", ["page=0", "page=x", "pageSize=-1", "pageSize=1.5"])
async def test_page_must_be_a_positive_number(sandbox: Sandbox, http: aiohttp.ClientSession, query: str) -> None:
    """Nonsense in the query is a 400 in the envelope."""
    status, body = await get(sandbox, http, f"products?{query}", await token(sandbox, http))
    assert (status, body["success"], body["error"]["code"]) == (400, False, "INVALID_FORMAT")
    assert set(body["error"]["details"]) == {query.partition("=")[0]}


@pytest.mark.parametrize(("path", "scope"), [("products", "connections:read"), ("connections", "products:read")])
async def test_call_needs_its_scope(sandbox: Sandbox, http: aiohttp.ClientSession, path: str, scope: str) -> None:
    """A token without the scope is a 403 INSUFFICIENT_SCOPE in the envelope."""
    status, body = await get(sandbox, http, path, await token(sandbox, http, scope=scope))
    assert (status, body["success"], body["error"]["code"]) == (403, False, "INSUFFICIENT_SCOPE")


async def test_call_needs_a_token(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """None, an unknown one, a doubled header: TOKEN_INVALID."""
    for bearer in ("", "nonsense"):
        status, body = await get(sandbox, http, "products", bearer)
        assert (status, body["error"]["code"]) == (401, "TOKEN_INVALID")
        assert set(body["error"]) == {"code", "message", "details"}


async def test_token_expires_after_900_seconds(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """Good for 899 s, TOKEN_EXPIRED from 900 s on."""
    bearer = await token(sandbox, http)
    sandbox.advance(899)
    assert (await get(sandbox, http, "products", bearer))[0] == 200
    sandbox.advance(1)
    status, body = await get(sandbox, http, "products", bearer)
    assert (status, body["error"]["code"]) == (401, "TOKEN_EXPIRED")


async def test_error_shapes_can_be_swapped(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    """Both shapes can be had at every endpoint, for a client must understand both everywhere."""
    sandbox.linkxg.settings.errors = "enveloped"
    _, body = await ask(sandbox, http, data=fields(sandbox, client_secret="wrong"))
    assert body["error"]["code"] == "INVALID_CLIENT"
    sandbox.linkxg.settings.errors = "flat"
    _, body = await get(sandbox, http, "products")
    assert body["error"] == "token_invalid"
