"""Connecting a user: who is sent where, whose answer counts, and what each page says."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from aiohttp import web

from linkauth import AuthEngine, Credential
from linkauth.errors import ConfigurationError, LinkAuthError, ReauthorizationRequired, StoreUnavailable
from linkauth.sandbox import Sandbox
from linkauth.vendors import Linkkit, LinkXG, OAuth2
from linkauth.web import connect_app
from linkauth.web.deliveries import Deliveries
from linkauth.web.landing import CONNECTED, USED, Landing
from linkauth.web.outcome import Outcome
from tests.web.conftest import Page, Site, Visitor, whose


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def is_plain_and_accessible(page: Page) -> None:
    """The promise that every page keeps: usable by anyone, nothing from elsewhere, stored nowhere."""
    tags = [tag for tag, _ in page.tags]
    assert page.source.startswith("<!doctype html>")
    assert page.tags[0] == ("html", {"lang": "en"})
    assert [tags.count(tag) for tag in ("title", "main", "h1")] == [1, 1, 1]
    assert not {"script", "img", "iframe", "link", "form", "object"} & set(tags)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


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

    async def account(request: web.Request) -> str:
        await asyncio.sleep(0)
        if "who" not in request.cookies:
            raise web.HTTPFound("/login")
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
    assert page.status == 405
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


@pytest.mark.parametrize("vendor", ["linkkit", "sagex3"])
async def test_refused(site: Site, ada: Visitor, vendor: str) -> None:
    """A user who refuses is told so, in the vendor's words, and can try again."""
    await site.serve()
    await ada.sign_in("ada")
    part = getattr(site.sandbox, vendor)
    callback = part.consent(await ada.begin(vendor), accept=False)
    if callback.method == "POST":
        page = await ada.ask("POST", callback.redirect_uri, data=callback.params)
    else:
        page = await ada.get(callback.url)
    assert (page.status, page.links) == (403, [f"{site.public_url}/{vendor}"])
    assert callback.params["error_description"] in page.text
    is_plain_and_accessible(page)
    assert part.counts["token_requests"] == 0


async def test_expired(site: Site, ada: Visitor) -> None:
    """A code that the vendor no longer takes: said so, with a way to try again."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit"))
    site.sandbox.advance(601)
    page = await ada.get(callback.url)
    assert (page.status, page.links) == (400, [f"{site.public_url}/linkkit"])
    assert "has expired" in page.text
    assert "code_invalid_or_expired" in page.text


@pytest.mark.parametrize("state", [None, "", "made-up", "x" * 4000, "\x00", "a\nb", "é"])
async def test_state_that_is_none_of_ours(site: Site, ada: Visitor, state: str | None) -> None:
    """A callback without a state of ours is a plain page, and nothing is sent."""
    await site.serve()
    await ada.sign_in("ada")
    params = {"code": "c"} if state is None else {"code": "c", "state": state}
    for page in (
        await ada.get(f"/linkkit/callback?{urlencode(params)}"),
        await ada.ask("POST", "/sagex3/callback", data=params),
    ):
        assert (page.status, len(page.links)) == (400, 1)
        is_plain_and_accessible(page)
    assert site.sandbox.linkkit.counts["token_requests"] == 0


async def test_delivered_again(site: Site, ada: Visitor) -> None:
    """A reload of the landing page says that all is well; nothing is exchanged twice."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    pages = [await ada.get(callback) for _ in range(3)]
    assert [(page.status, "Connected to Linkkit" in page.text) for page in pages] == [(200, True)] * 3
    assert site.sandbox.linkkit.counts["token_requests"] == 1


async def test_another_persons_answer_is_not_shown(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """The page that Ada's callback had is not for Eve, should she get hold of the URL."""
    await site.serve()
    ada, eve = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    await eve.sign_in("eve")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    assert (await ada.get(callback)).status == 200
    assert (await eve.get(callback)).status == 400


async def test_answers_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last answers are remembered, however many come."""
    monkeypatch.setattr("linkauth.web.deliveries.REMEMBERED", 2)
    deliveries, connected = Deliveries(), Outcome(landing=CONNECTED)
    for which in (b"1", b"2", b"3"):
        with deliveries.first(which) as answer:
            answer.set_result(connected)
    assert [await deliveries.earlier(which) for which in (b"1", b"2", b"3")] == [None, connected, connected]


async def test_first_delivery_that_is_cut_off() -> None:
    """Whoever waits for a delivery that was cancelled hears that the state was used; nobody hangs."""
    deliveries = Deliveries()
    entered = asyncio.Event()

    async def act() -> None:
        with deliveries.first(b"1"):
            entered.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(act())
    await entered.wait()
    second = asyncio.create_task(deliveries.earlier(b"1"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == Outcome(landing=USED)
    assert await deliveries.earlier(b"1") is None


async def test_delivered_again_while_the_first_runs(site: Site, ada: Visitor) -> None:
    """A double click: both get the page of the one that was acted on."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    with site.sandbox.linkkit.hold("token") as held:
        first = asyncio.create_task(ada.get(callback))
        await held.arrived()
        second = asyncio.create_task(ada.get(callback))
        await asyncio.wait({second}, timeout=0.05)
        assert not second.done()
    pages = await asyncio.gather(first, second)
    assert [(page.status, "Connected" in page.text) for page in pages] == [(200, True)] * 2
    assert site.sandbox.linkkit.counts["token_requests"] == 1


async def test_delivered_again_to_another_process(site: Site, ada: Visitor, sandbox: Sandbox) -> None:
    """Who does not know of the first delivery says that it was used or has expired, and what to do."""
    await site.serve()
    await ada.sign_in("ada")
    callback = sandbox.linkkit.consent(await ada.begin("linkkit")).url
    other = Site(sandbox, site.engine)
    try:
        await other.serve()
        assert (await ada.get(callback)).status == 200
        page = await ada.get(callback.replace(site.url, other.url))
    finally:
        await other.aclose()
    assert (page.status, "used already" in page.text) == (400, True)
    assert "If Linkkit is connected by now, all is well" in page.text
    assert sandbox.linkkit.counts["token_requests"] == 1


async def test_double_delivery_of_a_post(site: Site, ada: Visitor) -> None:
    """Sage's POST twice at once: one exchange, and two pages that say the same."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3"))
    pages = await asyncio.gather(
        *(ada.ask("POST", callback.redirect_uri, data=callback.params) for _ in range(2)),
    )
    assert [page.status for page in pages] == [200, 200]
    assert site.sandbox.sagex3.counts["token_requests"] == 1


@pytest.mark.parametrize("status", [503, 502, None])
@pytest.mark.parametrize("vendor", ["linkkit", "sagex3"])
async def test_vendor_away_then_back(site: Site, ada: Visitor, vendor: str, status: int | None) -> None:
    """The vendor fails at the code's exchange, in whatever way: 503 and when to reload; then the reload goes on."""
    await site.serve()
    await ada.sign_in("ada")
    part = site.sandbox.parts[vendor]
    callback = part.consent(await ada.begin(vendor))

    async def deliver() -> Page:
        if callback.method == "POST":
            return await ada.ask("POST", callback.redirect_uri, data=callback.params)
        return await ada.get(callback.url)

    part.fault("token", **({"drop": True} if status is None else {"status": status}), times=None)
    for _ in range(2):
        page = await deliver()
        assert (page.status, page.headers["Retry-After"], page.links) == (503, "10", [])
        assert "Reload this page" in page.text
        is_plain_and_accessible(page)
    part.faults.clear()
    assert (await deliver()).status == 200
    assert await site.engine.credential(getattr(site, vendor), "ada").token()


async def test_vendor_away_for_a_browser_without_a_session(site: Site, ada: Visitor) -> None:
    """The browser that began is known until it has ended: by its cookie, at the reload too."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    ada.session.cookie_jar.clear(lambda cookie: cookie.key == "who")  # as a SameSite=Strict cookie stays away
    site.sandbox.linkkit.fault("token", status=503, times=None)
    assert (await ada.get(callback)).status == 503
    site.sandbox.linkkit.faults.clear()
    assert (await ada.get(callback)).status == 200


async def test_answer_lost_after_the_code_was_spent(site: Site, ada: Visitor) -> None:
    """The reload sends the code again, the vendor refuses it, and the page says to start again."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    site.sandbox.linkkit.fault("token", drop=True, act=True)
    assert (await ada.get(callback)).status == 503
    for _ in range(2):
        page = await ada.get(callback)
        assert (page.status, page.links) == (400, [f"{site.public_url}/linkkit"])
        assert "has expired" in page.text
    assert site.sandbox.linkkit.counts["token_requests"] == 2


async def test_store_away(site: Site, ada: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its store an app can begin nothing; the page says so, and when to come again."""

    async def away(*_: object, **__: object) -> str:
        raise StoreUnavailable("no route to 10.0.0.7")

    await site.serve()
    await ada.sign_in("ada")
    monkeypatch.setattr(site.engine.credential(site.linkkit, "ada"), "authorization_url", away)
    page = await ada.get("/linkkit")
    assert (page.status, page.headers["Retry-After"]) == (503, "10")
    assert "10.0.0.7" not in page.source
    is_plain_and_accessible(page)


async def test_retry_after_is_passed_on(site: Site, ada: Visitor) -> None:
    """What the vendor says of when to come again, the page says too, in whole seconds."""
    await site.serve()
    await ada.sign_in("ada")
    site.sandbox.linkkit.fault("token", status=429, retry_after=40, times=None)
    page = await ada.get(site.sandbox.linkkit.consent(await ada.begin("linkkit")).url)
    assert (page.status, page.headers["Retry-After"]) == (503, "40")


async def test_pending_can_be_delivered_again(site: Site, ada: Visitor) -> None:
    """A pairing that nobody has accepted yet: told to come again, and the same callback works later."""
    await site.serve()
    await ada.sign_in("ada")
    sage = site.sandbox.sagex3
    pairing = sage.visit(await ada.begin("sagex3"))
    params = {"authorizationCode": pairing.code, "state": pairing.state}
    page = await ada.ask("POST", "/sagex3/callback", data=params)
    assert (page.status, page.headers["Retry-After"]) == (503, "60")
    assert "has not been accepted" in page.text
    await sage.accept(pairing.state)
    assert (await ada.ask("POST", "/sagex3/callback", data=params)).status == 200


async def test_untrusted_endpoint(site: Site, ada: Visitor) -> None:
    """A callback that points elsewhere is refused, and the true one still completes the pairing."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3"))
    forged = {**callback.params, "endpoint": "https://api.evil.example/v1"}
    page = await ada.ask("POST", callback.redirect_uri, data=forged)
    assert (page.status, "evil" in page.source) == (400, False)
    assert (await ada.ask("POST", callback.redirect_uri, data=callback.params)).status == 200


async def test_vendors_words_are_escaped(site: Site, ada: Visitor) -> None:
    """HTML in a vendor's words, or in a forged callback's, is shown as text."""
    await site.serve()
    await ada.sign_in("ada")
    words = "<script>alert(1)</script>\"'&amp;"
    params = {"error": "access_denied", "error_description": words, "state": state_of(await ada.begin("linkkit"))}
    page = await ada.get(f"/linkkit/callback?{urlencode(params)}")
    assert page.status == 403
    assert words in page.text
    is_plain_and_accessible(page)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"a=1&a=2", 400),
        ("application/x-www-form-urlencoded", b"a=%FF&b=\xff", 400),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(65)), 400),
        ("application/x-www-form-urlencoded", b"state=" + b"x" * 65536, 413),
        ("application/json", b'{"state": "a", "state": "a"}', 400),
        ("application/json", b'{"state": "a", "x": {"y": 1, "y": 2}}', 400),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"state": 3, "authorizationCode": []}', 400),
        ("application/json", b'{"state": null}', 400),
        ("application/json", b"[" * 60000, 400),
        ("application/json", b'"' + b"x" * 70000 + b'"', 413),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("text/plain", b"state=x", 415),
        ("", b"", 415),
    ],
)
async def test_body_that_is_no_callback(site: Site, ada: Visitor, kind: str, body: bytes, status: int) -> None:
    """Whatever is posted, the answer is a page with the fitting status."""
    await site.serve()
    headers = {"Content-Type": kind} if kind else {}
    skip = [] if kind else ["Content-Type"]
    page = await ada.ask("POST", "/sagex3/callback", data=body, headers=headers, skip_auto_headers=skip)
    assert page.status == status
    is_plain_and_accessible(page)


async def test_json_that_says_something_twice(site: Site, ada: Visitor) -> None:
    """RFC 6749 §3.1 holds for JSON too: which of two codes is meant nobody can say. The state stays good."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3"))
    body = json.dumps(callback.params)
    headers = {"Content-Type": "application/json"}
    twice = body.replace("{", '{"authorizationCode": "injected", ', 1)
    page = await ada.ask("POST", callback.redirect_uri, data=twice, headers=headers)
    assert (page.status, "twice" in page.text) == (400, True)
    assert (await ada.ask("POST", callback.redirect_uri, data=body, headers=headers)).status == 200


async def test_query_that_says_something_twice(site: Site, ada: Visitor) -> None:
    """RFC 6749 §3.1: parameters come once. The state of such a callback stays good."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    assert (await ada.get(f"{callback}&code=other")).status == 400
    assert (await ada.get(callback)).status == 200


async def test_packed_bomb(site: Site, ada: Visitor) -> None:
    """What is small on the wire and large when unpacked is cut off like any other."""
    await site.serve()
    packed = gzip.compress(b"state=" + b"x" * 5_000_000)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    page = await ada.ask("POST", "/sagex3/callback", data=packed, headers=headers)
    assert page.status == 413


async def test_body_that_is_not_packed_as_said(site: Site, ada: Visitor) -> None:
    """A body that cannot be unpacked is a bad request."""
    await site.serve()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    page = await ada.ask("POST", "/sagex3/callback", data=b"not gzip at all", headers=headers)
    assert page.status == 400


async def test_body_that_never_comes(site: Site, ada: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body is waited for, but not for ever."""
    monkeypatch.setattr("linkauth.web.callback.PATIENCE", 0.05)
    await site.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(site.url).port)
    head = "POST /connect/sagex3/callback HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
    assert (await reader.readline()).split()[1] == b"408"
    writer.close()
    await writer.wait_closed()


async def test_on_connected(site: Site, ada: Visitor) -> None:
    """The app answers itself, with the credential in hand; the answer is not stored either."""
    seen: list[Credential] = []

    async def after(request: web.Request, credential: Credential) -> web.Response:
        seen.append(credential)
        return web.Response(status=303, headers={"Location": "/home"})

    await site.serve(on_connected=after)
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    page = await ada.get(callback)
    assert (page.status, page.headers["Location"]) == (303, "/home")
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert seen == [site.engine.credential(site.linkkit, "ada")]


async def test_on_connected_at_a_double_click(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """Each delivery has the app's own answer, by GET and by POST; a stranger with the URL has the plain page."""

    def after(request: web.Request, credential: Credential) -> web.Response:
        return web.Response(status=303, headers={"Location": f"/home/{credential.account}"})

    await site.serve(on_connected=after)
    ada, stranger = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    linkkit, sage = site.sandbox.linkkit, site.sandbox.sagex3
    url, posted = linkkit.consent(await ada.begin("linkkit")).url, sage.consent(await ada.begin("sagex3"))
    for part, deliver in (
        (linkkit, lambda: ada.get(url)),
        (sage, lambda: ada.ask("POST", posted.redirect_uri, data=posted.params)),
    ):
        with part.hold("token") as held:
            first = asyncio.create_task(deliver())
            await held.arrived()
            second = asyncio.create_task(deliver())
        pages = [*await asyncio.gather(first, second), await deliver()]
        assert [(page.status, page.headers.get("Location")) for page in pages] == [(303, "/home/ada")] * 3
        assert part.counts["token_requests"] == 1
    strict = linkkit.consent(await ada.begin("linkkit")).url
    ada.session.cookie_jar.clear(lambda cookie: cookie.key == "who")
    assert (await ada.get(strict)).status == 303
    assert (await stranger.get(strict)).status == 200


@pytest.mark.parametrize("account", [42, b"ada", ""])
async def test_account_that_is_no_name(
    site: Site, ada: Visitor, caplog: pytest.LogCaptureFixture, account: object
) -> None:
    """What the app's own function must not give is told to those who run it, at both URLs, and the user sees a page."""
    asked = ["ada"]

    def whose_it_is(_: web.Request) -> object:
        return asked.pop() if asked else account

    await site.serve(account=whose_it_is)
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    for page in (await ada.get("/linkkit"), await ada.get(callback)):
        assert page.status == 500
        assert "Those who run this app have to look into it." in page.text
        is_plain_and_accessible(page)
    assert caplog.text.count("ConfigurationError: ") == 2
    assert site.sandbox.linkkit.counts["token_requests"] == 0


async def test_no_secret_in_pages_and_logs(site: Site, ada: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    """Neither code nor state nor a secret of the app's is repeated, whatever goes wrong."""
    caplog.set_level(logging.DEBUG, "linkauth")
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit"))
    site.sandbox.linkkit.fault("token", body=json.dumps({"access_token": 3}), content_type="application/json")
    page = await ada.get(callback.url)
    assert page.status == 502
    assert "not connected: MalformedResponse" in caplog.text
    for secret in (*callback.params.values(), site.linkkit.client_secret.reveal()):
        assert secret not in page.source
        assert secret not in caplog.text


def test_what_cannot_work_is_refused_at_once(engine: AuthEngine) -> None:
    """Two vendors of one name, a vendor without a page, and an address that is no safe one."""
    app = {"client_id": "c", "client_secret": "s"}
    linkkit = Linkkit(**app)

    def made(*vendors: Linkkit | LinkXG | OAuth2, public_url: str = "https://app.example.com/connect") -> None:
        connect_app(engine, vendors, public_url=public_url, account=whose)

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


def every_kind(kind: type[LinkAuthError]) -> list[type[LinkAuthError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in every_kind(child))]


@pytest.mark.parametrize("kind", every_kind(LinkAuthError), ids=lambda kind: kind.__name__)
def test_every_error_has_a_page(kind: type[LinkAuthError]) -> None:
    """Whatever linkauth raises, there is a page with an error status, and a title that says it went wrong."""
    from linkauth.web.landing import failure

    error = kind([]) if kind.__name__ == "GraphQLError" else kind()
    landing = failure(error)
    assert isinstance(landing, Landing)
    assert 400 <= landing.status <= 503
    response = landing.page("Acme", "https://app.example.com/connect/acme")
    assert "Connected" not in (response.text or "")
