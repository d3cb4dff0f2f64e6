"""A web app as users write one: sessions by cookie, ``connect_app`` mounted in it, the sandbox in the vendors' place."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest

from linkauth import AuthEngine
from linkauth.sandbox import Sandbox
from linkauth.vendors import Linkkit, SageX3, Vendor
from tests.web.frameworks import EVERY, FRAMEWORKS, Aiohttp


def whose(request: Any) -> str | None:
    """The app's own session: a cookie."""
    return request.cookies.get("who")


class Site:
    """The app, at ``http://localhost:PORT``: another site than the sandbox at 127.0.0.1, as a vendor is."""

    def __init__(self, sandbox: Sandbox, engine: AuthEngine, framework: Any = None) -> None:
        self.sandbox, self.engine, self.framework = sandbox, engine, framework or Aiohttp()
        linkkit, sage = sandbox.linkkit, sandbox.sagex3
        self.linkkit = Linkkit(
            client_id=linkkit.client_id, client_secret=linkkit.client_secret, base_url=linkkit.base_url
        )
        self.sagex3 = SageX3(
            client_id=sage.client_id, client_secret=sage.client_secret, base_url=sage.base_url, customer=sage.customer
        )
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://localhost:{self._socket.getsockname()[1]}"
        self.public_url = f"{self.url}/connect"
        self.callbacks: list[tuple[str, set[str]]] = []
        """Method and names of the app's cookies of each callback."""
        self.signed_in: list[str] = []
        """Who was signed in already, at each sign-in; empty: nobody."""
        self.served = False

    async def serve(
        self,
        *vendors: Vendor,
        words: Mapping[str, Any] | None = None,
        account: Callable[..., Any] = whose,
        **more: Any,
    ) -> None:
        """Run the app with ``vendors`` (both, unless named), or a mapping of ``words``; ``more`` is for ``connect_app``."""
        connect = self.framework.connect_app(
            self.engine,
            words or vendors or [self.linkkit, self.sagex3],
            public_url=self.public_url,
            account=account,
            **{"titles": {"linkkit": "Linkkit", "sagex3": "Sage X3"}, **more},
        )
        await self.framework.serve(self, connect, self._socket)
        self.served = True

    async def aclose(self) -> None:
        if self.served:
            await self.framework.aclose()
        self._socket.close()

    def saw(self, path: str, method: str, cookies: Mapping[str, str]) -> None:
        """A request has come."""
        if path.endswith("/callback"):
            self.callbacks.append((method, {name.split("-")[0] for name in cookies}))


class Page(HTMLParser):
    """What a page says and links to."""

    def __init__(self, response: aiohttp.ClientResponse, text: str) -> None:
        super().__init__()
        self.status, self.headers, self.source = response.status, response.headers, text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str | None]:
        return [attributes.get("href") for tag, attributes in self.tags if tag == "a"]


class Visitor:
    """A browser without a screen: keeps cookies, follows nothing by itself."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def sign_in(self, who: str) -> None:
        async with self.session.get(f"{self.site.url}/sign-in/{who}") as response:
            assert response.status == 200

    async def get(self, url: str, **how: Any) -> Page:
        """A page; ``url`` may be a path below the mounted app."""
        return await self.ask("GET", url, **how)

    async def ask(self, method: str, url: str, **how: Any) -> Page:
        if url.startswith("/"):
            url = self.site.public_url + url
        async with self.session.request(method, url, allow_redirects=False, **how) as response:
            return Page(response, await response.text())

    async def begin(self, vendor: str) -> str:
        """Start connecting; the URL that the browser is sent to."""
        page = await self.get(f"/{vendor}")
        assert page.status == 303, page.text
        return page.headers["Location"]


@pytest.fixture(params=EVERY)
def framework(request: pytest.FixtureRequest) -> Any:
    """Each web framework that serves ``connect_app``."""
    return FRAMEWORKS[request.param]()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    anywhere = {"loopback_redirects": True}
    async with Sandbox(linkkit=anywhere, sagex3=anywhere) as running:
        yield running


@pytest.fixture
async def engine() -> AsyncIterator[AuthEngine]:
    async with AuthEngine("memory:", timeout=6) as running:  # seconds: a busy machine takes some for one answer
        yield running


@pytest.fixture
async def site(sandbox: Sandbox, engine: AuthEngine, framework: Any) -> AsyncIterator[Site]:
    made = Site(sandbox, engine, framework)
    try:
        yield made
    finally:
        await made.aclose()


@pytest.fixture
async def new_visitor(site: Site) -> AsyncIterator[Callable[[], Visitor]]:
    """Makes visitors, each with cookies of its own."""
    made: list[Visitor] = []

    def make() -> Visitor:
        made.append(Visitor(site))
        return made[-1]

    yield make
    for visitor in made:
        await visitor.session.close()


@pytest.fixture
async def ada(new_visitor: Callable[[], Visitor], site: Site) -> Visitor:
    """A visitor; signs in as "ada" once the site is served."""
    return new_visitor()
