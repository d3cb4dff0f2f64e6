"""A vendor for each tenant: which one is meant is kept with the state, and a callback decides nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.errors import ConfigurationError
from linkauth.protocol.keys import TENANTS, token_key
from linkauth.vendors import Dialect, Linkkit, LinkXG, OAuth2, SageX3, Vendor
from linkauth.web import connect_app
from tests.web.conftest import whose
from tests.web.pages import is_plain_and_accessible, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth import AuthEngine, Credential
    from tests.web.conftest import Site, Visitor

CUSTOMERS = {"acme": "https://x3.acme.example", "beta": "https://x3.beta.example"}


class Companies:
    """The app's own list of companies, each with a Sage X3 of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.asked: list[str] = []

    def of(self, tenant: str) -> SageX3:
        sage = self.site.sandbox.sagex3
        return SageX3(
            client_id=sage.client_id,
            client_secret=sage.client_secret,
            base_url=sage.base_url,
            customer=CUSTOMERS[tenant],
        )

    async def __call__(self, tenant: str) -> Vendor | None:
        self.asked.append(tenant)
        await asyncio.sleep(0)  # a database
        return self.of(tenant) if tenant in CUSTOMERS else None

    def pair(self, url: str) -> Any:
        """The X3 user's yes."""
        return self.site.sandbox.sagex3.consent(url)

    async def connected(self) -> list[str]:
        """The tenants whose session is in the store."""
        keys = {token_key(self.of(tenant), "ada"): tenant for tenant in CUSTOMERS}
        return [keys[status.key] async for status in self.site.engine.statuses()]


@pytest.fixture
def companies(site: Site) -> Companies:
    return Companies(site)


async def test_two_tenants_of_one_account(site: Site, new_visitor: Callable[[], Visitor], companies: Companies) -> None:
    """Sage X3, both begun before either is answered: each answer, posted without a cookie, goes to the tenant it was asked for."""
    await site.serve(words={"sagex3": companies})
    ada, stranger = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    urls = {tenant: await ada.begin(f"sagex3?tenant={tenant}") for tenant in CUSTOMERS}
    for tenant, url in urls.items():
        assert f"customer={CUSTOMERS[tenant]}".replace("://", "%3A%2F%2F") in url
    for tenant in reversed(CUSTOMERS):
        callback = companies.pair(urls[tenant])
        assert callback.redirect_uri == f"{site.public_url}/sagex3/callback"
        page = await stranger.ask("POST", callback.redirect_uri, data=callback.params)
        assert (page.status, "Connected to Sage X3" in page.text) == (200, True)
        is_plain_and_accessible(page)
        assert (await site.engine.credential(companies.of(tenant), "ada").token()).access_token
    assert sorted(await companies.connected()) == ["acme", "beta"]
    assert companies.asked == ["acme", "beta", "beta", "acme"]


async def test_a_callback_decides_nothing(site: Site, ada: Visitor, companies: Companies) -> None:
    """A tenant in a callback's query or form is not read: the one that was asked for is connected, and no other."""
    await site.serve(words={"sagex3": companies})
    await ada.sign_in("ada")
    callback = companies.pair(await ada.begin("sagex3?tenant=acme"))
    page = await ada.ask("POST", f"{callback.redirect_uri}?tenant=beta", data={**callback.params, "tenant": "beta"})
    assert page.status == 200
    assert companies.asked == ["acme", "acme"]
    assert await companies.connected() == ["acme"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?tenant=",
        "?tenant=nobody",
        "?tenant=acme&tenant=beta",
        "?tenant=acme/../beta",
        "?tenant=evil.example%23",
        "?tenant=a@b",
        "?tenant=..",
        "?tenant=%00",
        "?tenant=" + "a" * 129,
    ],
)
async def test_a_tenant_that_is_none(site: Site, ada: Visitor, companies: Companies, query: str) -> None:
    """A 404 or 400 page, nothing begun; what could bend a URL that the app makes of it never reaches the app."""
    await site.serve(words={"sagex3": companies})
    await ada.sign_in("ada")
    page = await ada.get(f"/sagex3{query}")
    assert page.status == (400 if query.count("tenant") > 1 else 404)
    assert page.links == []
    assert companies.asked == (["nobody"] if "nobody" in query else [])
    is_plain_and_accessible(page)


async def test_nobody_learns_who_the_tenants_are(site: Site, ada: Visitor, companies: Companies) -> None:
    """Who is not signed in sees the same page for a tenant that there is and one that there is not."""
    await site.serve(words={"sagex3": companies})
    pages = [await ada.get(f"/sagex3?tenant={tenant}") for tenant in ("acme", "nobody")]
    assert [page.status for page in pages] == [403, 403]
    assert pages[0].text == pages[1].text
    assert companies.asked == []


async def test_a_tenant_that_left_meanwhile(site: Site, ada: Visitor) -> None:
    """The app knows it no more when the answer comes: a page says so, and nothing was sent to the vendor."""
    known = dict.fromkeys(["acme"], site.sagex3)
    await site.serve(words={"sagex3": known.get})
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3?tenant=acme"))
    known.clear()
    page = await ada.ask("POST", callback.redirect_uri, data=callback.params)
    assert page.status == 404
    assert site.sandbox.sagex3.counts["token_requests"] == 0
    known["acme"] = site.sagex3
    assert (await ada.ask("POST", callback.redirect_uri, data=callback.params)).status == 200


def shop(site: Site, tenant: str, **more: Any) -> OAuth2:
    linkkit = site.linkkit
    return OAuth2(
        name="shopify",
        client_id=linkkit.client_id,
        client_secret=linkkit.client_secret,
        token_url=f"{linkkit.base_url}/oauth/token",
        authorize_url=f"{linkkit.base_url}/oauth/authorize",
        scope=linkkit.scope,
        authorize_extra={"shop": tenant},
        **more,
    )


async def test_the_word_in_the_path_is_the_apps_own(site: Site, ada: Visitor) -> None:
    """A mapping's words: redirect URI, title and cookie go by them, whatever the vendor's name; GET callbacks as ever."""
    other = Linkkit(client_id=site.linkkit.client_id, client_secret="x", base_url=site.linkkit.base_url, pkce=True)
    await site.serve(
        words={"links": site.linkkit, "more-links": other, "shop": lambda tenant: shop(site, tenant)},
        titles={"links": "My links"},
    )
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("links"))
    assert callback.redirect_uri == f"{site.public_url}/links/callback"
    assert "My links" in (await ada.get(callback.url)).text
    callback = site.sandbox.linkkit.consent(await ada.begin("shop?tenant=acme"))
    assert (await ada.get(callback.url)).status == 200
    assert (await site.engine.credential(shop(site, "acme"), "ada").token()).access_token
    assert (await ada.get("/linkkit")).status == 404


async def test_a_tenants_state_is_good_for_its_vendor_alone(site: Site, ada: Visitor, companies: Companies) -> None:
    """Delivered under another word, or a plain vendor's state at a tenant's word: refused, and good still where it belongs."""
    await site.serve(words={"sagex3": companies, "linkkit": site.linkkit, "shop": lambda tenant: shop(site, tenant)})
    await ada.sign_in("ada")
    tenants, plain = await ada.begin("shop?tenant=acme"), await ada.begin("linkkit")
    assert state_of(tenants).startswith(TENANTS)
    assert not state_of(plain).startswith(TENANTS)
    callback = site.sandbox.linkkit.consent(tenants)
    for word in ("linkkit", "sagex3"):
        page = await ada.get(callback.url.replace("/shop/", f"/{word}/"))
        assert (page.status, "used already" in page.text) == (400, True), word
    other = site.sandbox.linkkit.consent(plain)
    page = await ada.get(other.url.replace("/linkkit/", "/shop/"))
    assert (page.status, page.links) == (400, [])
    assert [(await ada.get(url)).status for url in (callback.url, other.url)] == [200, 200]


@pytest.mark.parametrize("posts", [True, False])
async def test_a_post_is_for_tenants_whose_vendor_posts(site: Site, ada: Visitor, posts: bool) -> None:
    """As with any vendor: one that answers by GET cannot be talked into a POST, past the look at the browser."""
    await site.serve(words={"shop": lambda tenant: shop(site, tenant, dialect=Dialect(posts_callback=posts))})
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("shop?tenant=acme"))
    page = await ada.ask("POST", callback.redirect_uri, data=callback.params)
    assert page.status == (200 if posts else 405)
    assert site.sandbox.linkkit.counts["token_requests"] == posts


async def test_delivered_twice(site: Site, ada: Visitor, companies: Companies) -> None:
    """A double click: ``on_connected`` has the tenant's credential both times, though the state was used up by the first."""
    seen: list[Credential] = []

    def after(request: Any, credential: Credential) -> Any:
        seen.append(credential)
        return site.framework.response(text="done")

    await site.serve(words={"sagex3": companies}, on_connected=after)
    await ada.sign_in("ada")
    callback = companies.pair(await ada.begin("sagex3?tenant=beta"))
    for _ in range(2):
        assert (await ada.ask("POST", callback.redirect_uri, data=callback.params)).text == "done"
    assert seen == [site.engine.credential(companies.of("beta"), "ada")] * 2


async def test_try_again_is_for_the_same_tenant(site: Site, ada: Visitor, companies: Companies) -> None:
    """The user said no by mistake: the page's link begins with the tenant and the place that were asked for."""
    await site.serve(words={"sagex3": companies})
    await ada.sign_in("ada")
    url = await ada.begin("sagex3?tenant=acme&next=/settings?tab%3D2")
    rejected = {"error": "access_denied", "state": state_of(url)}
    page = await ada.ask("POST", "/sagex3/callback", data=rejected)
    assert page.status == 403
    assert page.links == [f"{site.public_url}/sagex3?tenant=acme&next=%2Fsettings%3Ftab%3D2"]


async def test_a_function_that_gives_something_else(site: Site, ada: Visitor) -> None:
    """Those who run the app have to look into it, and the user sees a page; so it is where no vendor can be made."""

    def broken(tenant: str) -> Vendor:
        return OAuth2(name="x", client_id="c", token_url=f"ftp://{tenant}.example")

    await site.serve(
        words={"one": lambda _: 42, "other": broken, "third": lambda _: LinkXG(client_id="c", client_secret="s")}
    )
    await ada.sign_in("ada")
    for word in ("one", "other", "third"):
        page = await ada.get(f"/{word}?tenant=acme")
        assert (page.status, "look into it" in page.text) == (500, True), word


def test_a_mapping_that_cannot_work(engine: AuthEngine) -> None:
    """Words that are no segment of a path, and what is neither a vendor nor a function, are refused at once."""
    linkkit = Linkkit(client_id="c", client_secret="s")
    for words in ({"": linkkit}, {"a/b": linkkit}, {"..": linkkit}, {3: linkkit}, {"a": "linkkit"}, {"a": None}):
        with pytest.raises(ConfigurationError, match="connect_app: "):
            connect_app(engine, words, public_url="https://app.example.com/connect", account=whose)
