"""Connecting a user: who is sent where, whose answer counts, and what each page says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from linkauth import AuthEngine, Credential
from linkauth.errors import ConfigurationError, ReauthorizationRequired
from linkauth.sandbox import Sandbox
from linkauth.vendors import Linkkit, LinkXG, OAuth2
from tests.web.conftest import Site, Visitor, whose
from tests.web.pages import is_plain_and_accessible, state_of


async def test_linkkit_from_start_to_token(site: Site, ada: Visitor, sandbox: Sandbox) -> None:
    """GET /linkkit, consent, GET callback: a page that says so, and the account's credential has its token."""
    await site.serve()
    await ada.sign_in("ada")
    url = await ada.begin("linkkit")
    assert url.startswith(f"{sandbox.linkkit.base_url}/oauth/authorize?")
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{site.public_url}/linkkit/callback"]
    page = await ada.get(sandbox.linkkit.consent(url).url)
    assert (page.status, "Connected to Linkkit" in page.text) == (200, True)
    is_plain_and_accessible(page)
    token = await site.engine.credential(site.linkkit, "ada").token()
    assert token.access_token not in page.source


async def test_start_leaves_no_trace(site: Site, ada: Visitor) -> None:
    """The redirect is not stored, sends no referrer, and shows no secret of the app's."""
    await site.serve()
    await ada.sign_in("ada")
    page = await ada.get("/linkkit")
    assert page.status == 303
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert site.linkkit.client_secret.reveal() not in page.headers["Location"]
    cookie = page.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"))
    assert state_of(page.headers["Location"]) not in cookie


async def test_starting_again_and_again_fills_no_jar(site: Site, ada: Visitor) -> None:
    """Of authorizations that were begun and not ended a browser keeps ten cookies: the app's own is not pushed out."""
    await site.serve()
    await ada.sign_in("ada")
    for _ in range(13):
        last = await ada.begin("sagex3")
    cookies = {cookie.key for cookie in ada.session.cookie_jar}
    assert len(cookies) == 11
    assert "who" in cookies
    assert state_of(last)


async def test_nobody_is_signed_in(site: Site, ada: Visitor) -> None:
    """Without an account nothing begins."""
    await site.serve()
    page = await ada.get("/linkkit")
    assert (page.status, page.links) == (403, [])
    assert "sign in first" in page.text
    is_plain_and_accessible(page)


async def test_account_may_be_a_coroutine_and_may_redirect(site: Site, ada: Visitor) -> None:
    """``account`` may wait for a database, and may send to the app's own login."""

    async def account(request: Any) -> str:
        await asyncio.sleep(0)
        if "who" not in request.cookies:
            raise site.framework.to_login()
        return request.cookies["who"]

    await site.serve(account=account)
    page = await ada.get("/linkkit")
    assert (page.status, page.headers["Location"], page.headers["Cache-Control"]) == (302, "/login", "no-store")
    await ada.sign_in("ada")
    assert await ada.begin("linkkit")


async def test_unknown_vendor(site: Site, ada: Visitor) -> None:
    """A vendor that is not connected here is 404, at both of its URLs."""
    await site.serve(site.linkkit)
    for url in ("/sagex3", "/sagex3/callback", "/%3Cscript%3E"):
        page = await ada.get(url)
        assert page.status == 404
        is_plain_and_accessible(page)


async def test_head_begins_nothing(site: Site, ada: Visitor, sandbox: Sandbox) -> None:
    """A link scanner's HEAD neither begins a connection nor spends a code."""
    await site.serve()
    await ada.sign_in("ada")
    url = await ada.begin("linkkit")
    callback = sandbox.linkkit.consent(url).url
    assert (await ada.ask("HEAD", "/linkkit")).status == 405
    assert (await ada.ask("HEAD", callback)).status == 405
    assert (await ada.get(callback)).status == 200


async def test_a_page_for_every_path_and_method(site: Site, ada: Visitor) -> None:
    """Whatever a browser asks below the app's path, the answer is a page for people, with the methods that there are (RFC 9110 §15.5.6)."""
    await site.serve()
    for path in ("/", "/linkkit/", "/linkkit/other", "/linkkit/callback/", "/a/b/c"):
        page = await ada.get(path)
        assert (page.status, page.links) == (404, []), path
        is_plain_and_accessible(page)
    for method, path, allowed in (
        ("POST", "/linkkit", "GET"),
        ("DELETE", "/linkkit", "GET"),
        ("PUT", "/linkkit/callback", "GET, POST"),
    ):
        page = await ada.ask(method, path)
        assert (page.status, page.headers["Allow"]) == (405, allowed), path
        is_plain_and_accessible(page)


@pytest.mark.parametrize("body", ["form", "json"])
async def test_sage_posts_its_callback(site: Site, new_visitor: Callable[[], Visitor], body: str) -> None:
    """Sage's POST, as a form or as JSON and without any cookie, connects the account that its state names."""
    await site.serve()
    sandbox = site.sandbox
    ada, vendor = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    callback = sandbox.sagex3.consent(await ada.begin("sagex3"), folders=["SEED"])
    assert callback.method == "POST"
    how = {"data" if body == "form" else "json": callback.params}
    page = await vendor.ask("POST", callback.redirect_uri, **how)
    assert (page.status, "Connected to Sage X3" in page.text) == (200, True)
    is_plain_and_accessible(page)
    token = await site.engine.credential(site.sagex3, "ada").token()
    assert "folder.SEED" in token.scope


async def test_sage_by_get(site: Site, ada: Visitor) -> None:
    """The same names in a GET's query are taken too."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3"))
    page = await ada.get(f"{callback.redirect_uri}?{urlencode(callback.params)}")
    assert page.status == 200


async def test_post_is_for_those_who_post(site: Site, ada: Visitor) -> None:
    """A vendor that calls back by GET cannot be talked into a POST, past the look at the browser's session."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit"))
    page = await ada.ask("POST", callback.redirect_uri, data=callback.params)
    assert (page.status, page.headers["Allow"]) == (405, "GET")
    is_plain_and_accessible(page)
    assert site.sandbox.linkkit.counts["token_requests"] == 0


async def test_answer_in_another_persons_browser(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """Eve begins, Ada is made to accept: nothing is exchanged, neither for Eve nor for Ada."""
    await site.serve()
    eve, ada = new_visitor(), new_visitor()
    await eve.sign_in("eve")
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await eve.begin("linkkit")).url
    page = await ada.get(callback)
    assert page.status == 400
    is_plain_and_accessible(page)
    assert site.sandbox.linkkit.counts["token_requests"] == 0
    for who in ("eve", "ada"):
        with pytest.raises(ReauthorizationRequired):
            await site.engine.credential(site.linkkit, who).token()


async def test_answer_in_a_browser_where_nobody_is_signed_in(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """Without a session the browser that began is the only one that may end it."""
    await site.serve()
    eve, stranger = new_visitor(), new_visitor()
    await eve.sign_in("eve")
    callback = site.sandbox.linkkit.consent(await eve.begin("linkkit")).url
    assert (await stranger.get(callback)).status == 400
    assert site.sandbox.linkkit.counts["token_requests"] == 0
    eve.session.cookie_jar.clear(lambda cookie: cookie.key == "who")  # as a SameSite=Strict cookie stays away
    assert (await eve.get(callback)).status == 200
    assert await site.engine.credential(site.linkkit, "eve").token()
    assert not list(eve.session.cookie_jar)


async def test_on_connected(site: Site, ada: Visitor) -> None:
    """The app answers itself, with the credential in hand; the answer is not stored either."""
    seen: list[Credential] = []

    async def after(request: Any, credential: Credential) -> Any:
        seen.append(credential)
        return site.framework.response(status=303, location="/home")

    await site.serve(on_connected=after)
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    page = await ada.get(callback)
    assert (page.status, page.headers["Location"]) == (303, "/home")
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert seen == [site.engine.credential(site.linkkit, "ada")]


@pytest.mark.parametrize("account", [42, b"ada", ""])
async def test_account_that_is_no_name(
    site: Site, ada: Visitor, caplog: pytest.LogCaptureFixture, account: object
) -> None:
    """What the app's own function must not give is told to those who run it, at both URLs, and the user sees a page."""
    asked = ["ada"]

    def whose_it_is(_: Any) -> object:
        return asked.pop() if asked else account

    await site.serve(account=whose_it_is)
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    for page in (await ada.get("/linkkit"), await ada.get(callback)):
        assert page.status == 500
        assert "Those who run this app have to look into it." in page.text
        is_plain_and_accessible(page)
    assert caplog.text.count("ConfigurationError: ") == 2
    assert site.sandbox.linkkit.counts["token_requests"] == 0


def test_what_cannot_work_is_refused_at_once(engine: AuthEngine, framework: Any) -> None:
    """Two vendors of one name, a vendor without a page, and an address that is no safe one."""
    app = {"client_id": "c", "client_secret": "s"}
    linkkit = Linkkit(**app)

    def made(*vendors: Linkkit | LinkXG | OAuth2, public_url: str = "https://app.example.com/connect") -> None:
        framework.connect_app(engine, vendors, public_url=public_url, account=whose)

    made(linkkit)
    with pytest.raises(ConfigurationError, match="two vendors are called linkkit"):
        made(linkkit, Linkkit(client_id="d", client_secret="s"))
    with pytest.raises(ConfigurationError, match="linkxg has no authorization page"):
        made(LinkXG(**app))
    with pytest.raises(ConfigurationError, match="acme has no authorization page"):
        made(OAuth2(name="acme", **app, token_url="https://acme.example/token"))
    for url in ("http://app.example.com/connect", "/connect", "https://app.example.com/connect?x=1"):
        with pytest.raises(ConfigurationError):
            made(linkkit, public_url=url)


async def test_cookie_of_a_public_site_is_bound_to_its_host(engine: AuthEngine, site: Site, ada: Visitor) -> None:
    """Over https the cookie is Secure and has the __Host- prefix, which no neighbour can set."""
    site.public_url = "https://app.example.com/connect"
    await site.serve()
    site.public_url = f"{site.url}/connect"
    await ada.sign_in("ada")
    page = await ada.get("/linkkit")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-linkauth-")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"))
    assert "Domain" not in cookie
