"""What the user is told where nobody is connected, and whether trying again helps."""

from __future__ import annotations

import json
import logging
from urllib.parse import urlencode

import pytest

from linkauth.errors import LinkAuthError, StoreUnavailable
from linkauth.web.landing import Landing
from tests.web.conftest import Page, Site, Visitor
from tests.web.pages import is_plain_and_accessible, state_of


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
