"""The operator's page over real HTTP: whom it lets in, what it shows of ten or of thousands, and that nothing in it can be run."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from linkauth import AuthEngine
from linkauth.web import status_app
from tests.web.kept import Store, keep


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def engine(store):
    async with AuthEngine(store) as made:
        yield made


class Read(HTMLParser):
    """The text of a page, its items and its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.items: list[str] = []
        self.links: dict[str, str] = {}
        self.tags: set[str] = set()
        self._rel = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "li":
            self.items.append("")
        if tag == "a":
            self.links[dict(attrs).get("rel")] = dict(attrs)["href"]

    def handle_data(self, data: str) -> None:
        if self.items:
            self.items[-1] += data


@pytest.fixture
async def serve(engine):
    clients = []

    async def start(**more: Any) -> TestClient:
        app = web.Application()
        app.add_subapp("/connections", status_app(engine, **{"allowed": lambda _: True, **more}))
        clients.append(client := TestClient(TestServer(app)))
        await client.start_server()
        return client

    yield start
    for client in clients:
        await client.close()


async def test_who_may_see_it(engine, serve, store) -> None:
    """Asked at each request, by a function or a coroutine function; who may not is told nothing, and nothing is read for him."""
    await keep(engine, "ada")

    async def allowed(request: web.Request) -> bool:
        return request.headers.get("who") == "operator"

    for given in (allowed, lambda request: request.headers.get("who") == "operator"):
        client = await serve(allowed=given)
        store.away = True  # which nobody notices whose request reads nothing
        async with client.get("/connections?account=ada") as response:
            assert response.status == 403
            assert "ada" not in await response.text()
        store.away = False
        async with client.get("/connections", headers={"who": "operator"}) as response:
            assert response.status == 200
            assert "ada" in await response.text()


async def test_what_it_says_of_each(engine, serve) -> None:
    """Who is well and until when, who has to consent again and why; and no secret."""
    await keep(engine, "ada")
    await keep(engine, "bob", dead="the refresh token was refused")
    client = await serve()
    async with client.get("/connections/") as response:
        text = await response.text()
        page = Read(text)
    ada, bob = page.items
    assert ada.startswith("linkxg-user / ada")
    assert "Well" in ada
    assert "(in 15 min)" in ada
    assert "(in 7 d)" in ada
    assert "Needs its user: the refresh token was refused" in bob
    assert "2 in the store, 1 need their user, 1 well." in text
    assert "token</" not in text
    assert "an-access-token" not in text
    assert "a-refresh-token" not in text


async def test_a_token_that_never_expires(engine, serve) -> None:
    """It is good without end, and no date and no number of days is made of that."""
    await keep(engine, "ada", lives=math.inf)
    client = await serve()
    async with client.get("/connections") as response:
        (ada,) = Read(await response.text()).items
    assert "Token untilwithout endRenewable" in ada


async def test_nothing_that_is_stored_or_asked_can_be_run(engine, serve) -> None:
    """A name, a reason, a query and a link that are markup are shown as text, and the page's policy lets no script run."""
    await keep(engine, "<script>alert(1)</script>", dead='"><img src=x>')
    client = await serve(connect_url=lambda status: "https://app.example/?a=<b>")
    async with client.get("/connections", params={"account": '"><script>', "vendor": "<i>"}) as response:
        asked = Read(await response.text())
    async with client.get("/connections") as response:
        stored = Read(await response.text())
        policy = response.headers["Content-Security-Policy"]
    assert {"script", "img", "i", "b"}.isdisjoint(asked.tags | stored.tags)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_a_link_to_pass_on(engine, serve) -> None:
    """Whose session is over has the link at which the user starts again: as text, not as something to click on; nobody else has one."""
    await keep(engine, "ada")
    await keep(engine, "bob", dead="over")
    await keep(engine, "eve", dead="over")

    async def connect_url(status):
        return None if status.account == "eve" else f"https://app.example/connect/{status.vendor}?for={status.account}"

    client = await serve(connect_url=connect_url)
    async with client.get("/connections") as response:
        text = await response.text()
    assert re.findall("https://app.example/[^ <]*", text) == ["https://app.example/connect/linkxg-user?for=bob"]
    assert "<a " not in text


async def test_pages_and_filters(engine, serve) -> None:
    """A hundred on a page, in order, each once; the links lead through all of them, with what was asked for; filters narrow it."""
    count = 250
    for number in range(count):
        await keep(engine, f"user{number:05}", dead="over" if number % 50 == 0 else "")
    client = await serve()
    seen: list[str] = []
    where = "?page=1"
    while where:
        async with client.get(f"/connections{where}") as response:
            page = Read(await response.text())
        assert len(page.items) <= 100
        seen += [item.split(" / ")[1][:9] for item in page.items]
        where = page.links.get("next", "")
    assert seen == [f"user{number:05}" for number in range(count)]
    async with client.get("/connections", params={"state": "needs-user", "account": "USER00"}) as response:
        page = Read(await response.text())
    assert len(page.items) == 5
    async with client.get("/connections", params={"vendor": "linkkit"}) as response:
        assert Read(await response.text()).items == []
    for strange in ("0", "-1", "999999999999999999", "x", "\u0661", "999"):
        async with client.get("/connections", params={"page": strange, "state": "strange"}) as response:
            assert response.status == 200
            assert Read(await response.text()).items


@pytest.mark.long
@pytest.mark.leaks
@pytest.mark.blocking
async def test_ten_thousand(engine, serve) -> None:
    """Their page is as long as any: the first hundred, and the last; and the one who is looked for among them."""
    for number in range(10_000):
        await keep(engine, f"user{number:05}", dead="over" if number == 7777 else "")
    client = await serve()
    for query, last in ({"page": "1"}, "00099"), ({"page": "100"}, "09999"), ({"state": "needs-user"}, "07777"):
        async with client.get("/connections", params=query) as response:
            text = await response.text()
        assert f"user{last}" in Read(text).items[-1]
        assert len(text) < 100_000


async def test_a_store_that_is_away(serve, store) -> None:
    """A page that says so, with 503, and no traceback."""
    store.away = True
    client = await serve()
    async with client.get("/connections") as response:
        assert response.status == 503
        assert "The store cannot be read just now" in await response.text()


async def test_a_page_is_one_walk(engine, serve, store) -> None:
    """However many there are and whatever is looked for: each sort of record is gone through once, and nothing is read again."""
    for number in range(130):
        await keep(engine, f"user{number:03}", dead="over")
    client = await serve(connect_url=lambda status: f"https://app.example/{status.account}")
    for query in ("", "?page=2", "?account=user1&state=needs-user", "?vendor=linkxg-user"):
        store.walks.clear()
        async with client.get(f"/connections{query}") as response:
            assert response.status == 200
        assert sorted(store.walks) == ["answer/", "secret/", "token/"]


async def test_other_paths_and_methods(serve, store) -> None:
    """Pages for people, under the same policy, that read nothing."""
    client = await serve()
    store.away = True
    for path in ("/connections", "/connections/"):
        async with client.post(path) as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
            assert "<h1>This page is only read</h1>" in await response.text()
    async with client.get("/connections/other") as response:
        assert response.status == 404
        assert "form-action 'self'" in response.headers["Content-Security-Policy"]
        assert "<h1>There is nothing here</h1>" in await response.text()
    assert store.walks == []


async def test_an_empty_store(serve) -> None:
    """A page as any other."""
    client = await serve()
    async with client.get("/connections") as response:
        assert response.status == 200
        assert "0 in the store." in await response.text()
