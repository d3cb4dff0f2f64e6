"""aioresponses with answers that every aiohttp takes, and what it passes by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import aiohttp
import aioresponses as theirs
import pytest

from linkauth import AuthEngine, InvalidClient, LinkXG, NotSent
from linkauth.aioresponses import ASKED_FOR, CallbackResult, aioresponses
from linkauth.clients import LinkXGClient

if TYPE_CHECKING:
    from yarl import URL

BASE = "https://api.linkxg.com/api/v1"
LINKXG = LinkXG(client_id="the-client", client_secret="canary-secret", scope="products:read")
GOOD = {"access_token": "canary-access", "token_type": "Bearer", "expires_in": 900, "scope": "products:read"}


async def get(url: str, **how: Any) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, **how) as response:
        return response.status, await response.text(), response.headers.get("X-Said", "")


async def test_whatever_aioresponses_can_answer() -> None:
    """Bodies, payloads, statuses, headers, patterns, callbacks of both kinds, redirects, and one answer for many."""

    def told(url: URL, **_: Any) -> CallbackResult:
        return CallbackResult(status=201, body=url.path, headers={"X-Said": "told"})

    async def later(_: URL, **__: Any) -> CallbackResult:
        return CallbackResult(body="later")

    with aioresponses() as mocked:
        mocked.get("http://a.example/", body="text", status=418, headers={"X-Said": "so"})
        mocked.get(re.compile(r"http://b\.example/.*"), payload={"a": 1}, repeat=True)
        mocked.get("http://c.example/told", callback=told)
        mocked.get("http://c.example/later", callback=later)
        mocked.get("http://d.example/", status=307, headers={"Location": "http://b.example/after"})
        assert await get("http://a.example/") == (418, "text", "so")
        for path in ("x", "y?z=1"):
            assert await get(f"http://b.example/{path}") == (200, '{"a": 1}', "")
        assert await get("http://c.example/told") == (201, "/told", "told")
        assert await get("http://c.example/later") == (200, "later", "")
        assert (await get("http://d.example/"))[1] == '{"a": 1}'


async def test_errors_in_place_of_answers() -> None:
    """An exception, a time-out, and what nobody has answered for."""
    with aioresponses() as mocked:
        mocked.get("http://a.example/", exception=aiohttp.ClientConnectionError("gone"))
        mocked.get("http://a.example/", timeout=True)
        mocked.get("http://a.example/", status=500)
        with pytest.raises(aiohttp.ClientConnectionError, match="gone"):
            await get("http://a.example/")
        with pytest.raises(TimeoutError):
            await get("http://a.example/")
        with pytest.raises(aiohttp.ClientResponseError):
            await get("http://a.example/", raise_for_status=True)
        with pytest.raises(aiohttp.ClientConnectionError):
            await get("http://a.example/")


async def test_as_a_decorator() -> None:
    """As theirs is used, too."""

    @aioresponses()
    async def mocking(mocked: aioresponses) -> None:
        mocked.get("http://a.example/", body="a")
        assert (await get("http://a.example/"))[1] == "a"

    await mocking()


async def test_theirs_is_left_as_it_was() -> None:
    """What is mended is mended for as long as it answers, and again the next time."""
    before = theirs.core.ClientResponse
    mine = aioresponses()
    for _ in range(2):
        with mine as mocked:
            mocked.get("http://a.example/", body="a")
            assert (await get("http://a.example/"))[1] == "a"
        assert theirs.core.ClientResponse is before is aiohttp.ClientResponse


async def test_no_more_is_mended_than_this_aiohttp_asks_for() -> None:
    """An answer is told who writes its request where aiohttp 3.14 wants to know, and not on an older one."""
    newer = tuple(int(part) for part in aiohttp.__version__.split(".")[:2]) >= (3, 14)
    assert newer == ASKED_FOR


async def test_an_apps_token_and_calls() -> None:
    """The token comes through the engine, a call is answered too, and a refusal is the vendor's typed error."""
    with aioresponses() as mocked:
        mocked.post(f"{BASE}/oauth/token", payload=GOOD)
        data = {"success": True, "data": [], "pagination": {"page": 1, "totalPages": 1}}
        mocked.get(f"{BASE}/products?page=1&pageSize=50", payload=data)
        async with AuthEngine() as engine, engine.credential(LINKXG).session() as session:
            assert (await engine.credential(LINKXG).token()).access_token == "canary-access"
            assert [product async for product in LinkXGClient(session).products()] == []
        (call,) = mocked.requests[("GET", next(url for method, url in mocked.requests if method == "GET"))]
        assert "Authorization" not in call.kwargs["headers"]  # middlewares are passed by, so nothing is signed
    with aioresponses() as mocked:
        mocked.post(f"{BASE}/oauth/token", status=401, payload={"error": "invalid_client"})
        async with AuthEngine() as engine:
            with pytest.raises(InvalidClient):
                await engine.credential(LINKXG).token()


async def test_a_vendor_that_nobody_answers_for() -> None:
    """No request leaves the machine: without an answer the vendor saw nothing."""
    with aioresponses():
        async with AuthEngine(timeout=0.2) as engine:
            with pytest.raises(NotSent):
                await engine.credential(LINKXG).token()
