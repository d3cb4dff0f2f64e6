"""Where a user goes on: ``next`` is kept with the state and never leaves the app's origin; the app may answer itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

import pytest

from linkauth.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidRequest,
    LinkAuthError,
    StateMismatch,
    StoreUnavailable,
    VendorUnavailable,
)
from tests.web.pages import is_plain_and_accessible, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth import Credential
    from tests.web.conftest import Site, Visitor

PATHS = [
    "/",
    "/settings",
    "/a?b=c&d=%2F#e",
    "/caf\u00e9/\u4e2d",
    "/a b",
    "/%5C",
    "/.//other.example",
    "/@other.example",
]
NO_PATHS = [
    "settings",
    "//other.example",
    "///other.example",
    "https://other.example",
    "javascript:alert(1)",
    "/\\other.example",
    "\\/other.example",
    "/\t/other.example",
    "/\r\nSet-Cookie: a=b",
    " /settings",
    "/" + "a" * 2048,
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_connected_user_goes_on(site: Site, ada: Visitor, path: str) -> None:
    """To the path that the start named, by GET; on the app's own origin, whoever resolves it, and with no secret in it."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin(f"linkkit?next={quote(path, safe='')}"))
    page = await ada.get(callback.url)
    assert page.status == 303
    location = page.headers["Location"]
    assert location == quote(path, safe="/?&=#%@")
    assert urljoin(callback.url, location).startswith(f"{site.url}/")
    assert state_of(callback.url) not in location
    assert page.headers["Referrer-Policy"] == "no-referrer"
    again = await ada.get(callback.url)
    assert (again.status, again.headers["Location"]) == (303, location)


@pytest.mark.parametrize("path", NO_PATHS, ids=ascii)
async def test_what_is_no_path_of_the_apps(site: Site, ada: Visitor, path: str) -> None:
    """Nothing is begun for it, and the page does not repeat it."""
    await site.serve()
    await ada.sign_in("ada")
    page = await ada.get(f"/linkkit?next={quote(path, safe='')}")
    assert (page.status, page.links) == (400, [])
    assert "other.example" not in page.source
    is_plain_and_accessible(page)


async def test_next_twice_is_none(site: Site, ada: Visitor) -> None:
    """Two that differ would be read differently by two readers."""
    await site.serve()
    await ada.sign_in("ada")
    assert (await ada.get("/linkkit?next=/a&next=/b")).status == 400


async def test_a_callback_does_not_say_where(site: Site, ada: Visitor) -> None:
    """Neither instead of what the start named, nor where it named nothing."""
    await site.serve()
    await ada.sign_in("ada")
    for query, where in (("", None), ("?next=/settings", "/settings")):
        callback = site.sandbox.linkkit.consent(await ada.begin(f"linkkit{query}"))
        page = await ada.get(f"{callback.url}&next=%2F%2Fother.example")
        assert page.headers.get("Location") == where


async def test_a_post_without_cookies_goes_on(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """Sage's, whose state is all that it shows."""
    await site.serve()
    ada, browser = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3?next=/books"))
    page = await browser.ask("POST", callback.redirect_uri, data=callback.params)
    assert (page.status, page.headers["Location"]) == (303, "/books")


async def test_a_stranger_sees_the_page(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """Who has the URL of an answer that was given learns nothing of where the user went."""
    await site.serve()
    ada, stranger = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit?next=/books/of/ada"))
    ada.session.cookie_jar.clear(lambda cookie: cookie.key == "who")
    assert (await ada.get(callback.url)).headers["Location"] == "/books/of/ada"
    page = await stranger.get(callback.url)
    assert (page.status, page.headers.get("Location")) == (200, None)


@pytest.mark.parametrize("waits", [True, False])
async def test_on_connected_may_leave_it_to_next(site: Site, ada: Visitor, waits: bool) -> None:
    """It is told, as a function or as a coroutine, gives None, and the user goes on; without ``next`` the page is shown."""
    seen: list[str] = []

    async def later(request: Any, credential: Credential) -> None:
        seen.append(credential.account)

    def at_once(request: Any, credential: Credential) -> None:
        seen.append(credential.account)

    await site.serve(on_connected=later if waits else at_once)
    await ada.sign_in("ada")
    for query, status in (("?next=/settings", 303), ("", 200)):
        callback = site.sandbox.linkkit.consent(await ada.begin(f"linkkit{query}"))
        assert (await ada.get(callback.url)).status == status
    assert seen == ["ada", "ada"]


class Failures:
    """The app's ``on_failed``: what it was told, and whether it answers."""

    def __init__(self, framework: Any) -> None:
        self._framework = framework
        self.told: list[LinkAuthError] = []
        self.answers = True

    async def __call__(self, request: Any, error: LinkAuthError) -> Any:
        self.told.append(error)
        return self._framework.response(status=418, text="the app's own") if self.answers else None


async def test_on_failed(site: Site, ada: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails, at the start and at the callback, comes to the app as the error that it is; its answer is shown."""
    failures = Failures(site.framework)
    asked: list[Any] = ["ada"] * 6 + [7]
    await site.serve(account=lambda _: asked.pop(0), on_failed=failures)
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit"))
    refused = f"/linkkit/callback?error=access_denied&state={state_of(await ada.begin('linkkit'))}"
    site.sandbox.linkkit.fault("token", times=9, status=503)
    for url in (callback.url, "/linkkit/callback?state=forged", refused, "/linkkit/callback?state=a&state=b"):
        assert (await ada.get(url)).text == "the app's own"

    async def away(*_: object, **__: object) -> str:
        raise StoreUnavailable("no store")

    monkeypatch.setattr(type(site.engine.credential(site.linkkit)), "authorization_url", away)
    assert (await ada.get("/linkkit")).status == 418
    assert (await ada.get("/linkkit")).status == 418
    kinds = [VendorUnavailable, StateMismatch, AccessDenied, InvalidRequest, StoreUnavailable, ConfigurationError]
    assert all(isinstance(error, kind) for error, kind in zip(failures.told, kinds, strict=True))


async def test_on_failed_may_leave_it_to_the_page(site: Site, ada: Visitor) -> None:
    """It gives None: whoever was not connected sees the page, and is not sent to ``next``; a double click is told twice."""
    failures = Failures(site.framework)
    failures.answers = False
    await site.serve(on_failed=failures)
    await ada.sign_in("ada")
    state = state_of(await ada.begin("linkkit?next=/settings"))
    pages = [await ada.get(f"/linkkit/callback?error=access_denied&state={state}") for _ in range(2)]
    assert [page.status for page in pages] == [403, 403]
    one, other = failures.told
    assert one is not other
    assert (str(one), one.__traceback__) == (str(other), None)
