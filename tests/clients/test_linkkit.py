"""Linkkit's links, as its OpenAPI description has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from linkauth.clients import Link, LinkkitClient
from linkauth.errors import ConfigurationError, MalformedResponse
from tests.clients.conftest import Api

LINK: dict[str, Any] = {
    "id": "7a1d1f6e-0000-4000-8000-000000000001",
    "short_code": "abc123",
    "original_url": "https://example.com/very-long-path",
    "title": None,
    "custom_domain": "go.acme.com",
    "is_active": True,
    "expire_at": None,
    "notes": None,
    "list_id": None,
    "created_at": "2026-01-02T03:04:05+00:00",
    "updated_at": "2026-01-02T03:04:05.678Z",
}


def paged(api: Api, count: int, *, most: int = 100, meta: bool = True) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        page, limit = int(request.query["page"]), min(int(request.query["limit"]), most)
        numbers = range((page - 1) * limit, min(page * limit, count))
        body: dict[str, Any] = {"data": [LINK | {"id": f"{n}"} for n in numbers]}
        if meta:
            body["meta"] = {"page": page, "limit": limit, "total": count}
        return web.json_response(body)

    api.handler = handler


async def ids(links: Any) -> list[int]:
    return [int(link.id) async for link in links]


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (100, 1), (101, 2), (230, 3)])
async def test_links_page_by_page(api: Api, session: aiohttp.ClientSession, count: int, requests: int) -> None:
    """As many requests as ``meta.total`` needs, each link once, in order."""
    paged(api, count)
    assert await ids(LinkkitClient(session).links()) == list(range(count))
    assert api.asked == [f"/api/v1/v1/links?page={page + 1}&limit=100" for page in range(requests)]


async def test_vendor_may_give_fewer_a_page(api: Api, session: aiohttp.ClientSession) -> None:
    """``meta.limit`` counts, not what was asked for."""
    paged(api, 50, most=20)
    assert await ids(LinkkitClient(session).links()) == list(range(50))
    assert len(api.asked) == 3


async def test_without_meta_a_short_page_ends(api: Api, session: aiohttp.ClientSession) -> None:
    """The description requires no ``meta``: then a page that is not full is the last."""
    paged(api, 25, meta=False)
    assert await ids(LinkkitClient(session).links(limit=10)) == list(range(25))
    assert len(api.asked) == 3


async def test_filters(api: Api, session: aiohttp.ClientSession) -> None:
    """Filters go into the query as the description has them; None is left out; others pass through."""
    paged(api, 0)
    links = LinkkitClient(session).links(search="a&b", list_id="L", is_active=False, limit=5, tag="x", other=None)
    assert await ids(links) == []
    assert dict(api.requests[0].query) == {
        "search": "a&b",
        "list_id": "L",
        "is_active": "false",
        "limit": "5",
        "tag": "x",
        "page": "1",
    }


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 101}, {"page": 2}])
async def test_filters_that_cannot_work(session: aiohttp.ClientSession, wrong: dict[str, Any]) -> None:
    """A limit that the vendor does not take, and a page, are refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        LinkkitClient(session).links(**wrong)


async def test_link_as_described(api: Api, session: aiohttp.ClientSession) -> None:
    """All fields of the schema; a field that it does not have is in ``extra``."""
    api.answers({"data": [LINK | {"clicks": 7}], "meta": {"page": 1, "limit": 100, "total": 1}})
    (link,) = [link async for link in LinkkitClient(session).links()]
    assert link == Link(
        id="7a1d1f6e-0000-4000-8000-000000000001",
        short_code="abc123",
        original_url="https://example.com/very-long-path",
        custom_domain="go.acme.com",
        is_active=True,
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        updated_at=datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        extra={"clicks": 7},
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [({"is_active": 1}, "is_active"), ({"expire_at": "soon"}, "expire_at"), ({"short_code": None}, "short_code")],
)
async def test_wrong_type_names_the_field(
    api: Api,
    session: aiohttp.ClientSession,
    change: dict[str, object],
    field: str,
) -> None:
    """A field of the wrong type is ``MalformedResponse`` with its path."""
    api.answers({"data": [LINK | change]})
    with pytest.raises(MalformedResponse, match=rf"\$\.data\[0\]\.{field}"):
        await ids(LinkkitClient(session).links())
