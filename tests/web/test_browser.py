"""Through the vendors' consent pages and back, in a real browser: what only a browser does is proved here.

The app is at ``localhost``, the vendors at ``127.0.0.1``: two sites, so ``SameSite`` cookies behave as in earnest.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from linkauth.errors import ReauthorizationRequired
from tests.web.browser import Browser, missing
from tests.web.conftest import Site

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(missing()), reason=f"the browser tests need a browser: {missing()}"),
    pytest.mark.blocking,  # the driver's log is read from disk
]


@pytest.fixture
async def browser(tmp_path: Path, site: Site) -> AsyncIterator[Browser]:
    tenants = {"acme": site.sagex3}
    await site.serve(words={"linkkit": site.linkkit, "sagex3": site.sagex3, "tenants": tenants.get})
    async with Browser(tmp_path) as running:
        yield running


async def picture(browser: Browser, name: str) -> None:
    """For people to look at: ``LINKAUTH_PICTURES=/tmp pytest tests/web/test_browser.py``."""
    if folder := os.environ.get("LINKAUTH_PICTURES"):
        await browser.picture(Path(folder) / f"{name}.png")


async def test_linkkit_by_get(site: Site, browser: Browser) -> None:
    """Refuse, try again, accept, reload: each lands on its page, and one code is exchanged."""
    await browser.open(f"{site.url}/sign-in/ada")
    await browser.open(f"{site.public_url}/linkkit")
    assert urlsplit(await browser.url()).hostname == "127.0.0.1"
    await browser.click("button[value=refuse]")
    await browser.wait_for("Not connected")
    assert "The user refused" in await browser.text("blockquote")
    await picture(browser, "refused")
    with pytest.raises(ReauthorizationRequired):
        await site.engine.credential(site.linkkit, "ada").token()

    await browser.click("main a")  # "Try again"
    await browser.click("button[value=accept]")
    await browser.wait_for("Connected to Linkkit")
    assert (await browser.url()).startswith(f"{site.public_url}/linkkit/callback?")
    assert "You can close this page" in await browser.text("main")
    await picture(browser, "connected")
    assert await site.engine.credential(site.linkkit, "ada").token()
    # The stylesheet is let through by its hash; the referrer stays at the vendor; our cookie is gone again.
    assert await browser.run("return getComputedStyle(document.body).maxWidth") == "576px"
    assert await browser.run("return document.referrer") == ""
    assert list(await browser.cookies()) == ["who"]

    await browser.reload()
    await browser.wait_for("Connected to Linkkit")
    assert site.sandbox.linkkit.counts["token_requests"] == 1

    # A SameSite=Strict session cookie stays away from the callback; the browser is known all the same.
    await browser.open(f"{site.url}/sign-in/bea?samesite=Strict")
    await browser.open(f"{site.public_url}/linkkit")
    await browser.click("button[value=accept]")
    await browser.wait_for("Connected to Linkkit")
    assert site.callbacks[-1] == ("GET", {"linkauth"})
    assert await site.engine.credential(site.linkkit, "bea").token()


async def test_sage_by_form_post(site: Site, browser: Browser) -> None:
    """Sage's form POST from another site carries no cookie of the app's, and connects the right account."""
    await browser.open(f"{site.url}/sign-in/ada")
    await browser.open(f"{site.public_url}/sagex3")
    await browser.click("input[value=SEED]")
    await browser.click("button[value=accept]")  # whose answer is a form that sends itself to the app
    await browser.wait_for("Connected to Sage X3")
    assert await browser.url() == f"{site.public_url}/sagex3/callback"
    assert site.callbacks == [("POST", set())]
    token = await site.engine.credential(site.sagex3, "ada").token()
    assert "folder.SEED" in token.scope

    await browser.reload()  # the form is sent again
    await browser.wait_for("Connected to Sage X3")
    assert len(site.callbacks) == 2
    assert site.sandbox.sagex3.counts["token_requests"] == 1


async def test_a_tenant_and_where_to_go_on(site: Site, browser: Browser) -> None:
    """Sage for one customer, from ``next`` to ``next``: the form POST comes without cookies, the page after it with the app's own."""
    await browser.open(f"{site.url}/sign-in/ada")
    await browser.open(f"{site.public_url}/tenants?tenant=acme&next=/sign-in/ada%3Fwas%3Dhere")
    await browser.click("input[value=SEED]")
    await browser.click("button[value=accept]")
    await browser.wait_for("signed in")
    assert await browser.url() == f"{site.url}/sign-in/ada?was=here"
    assert site.callbacks == [("POST", set())]
    assert site.signed_in == ["", "ada"]
    assert await site.engine.credential(site.sagex3, "ada").token()

    await browser.open(f"{site.public_url}/tenants?tenant=nobody")
    await browser.wait_for("There is nothing here")
    await picture(browser, "no tenant")
    await browser.open(f"{site.public_url}/tenants?tenant=acme&next=//evil.example")
    await browser.wait_for("This link cannot be right")
    await picture(browser, "no path")
