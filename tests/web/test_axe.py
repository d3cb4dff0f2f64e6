"""Every page in a real browser, as wide as a phone, in light and in dark: axe finds nothing, and nobody has to scroll sideways."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from linkauth.web import Look
from linkauth.web.landing import CONNECTED
from tests.web import axe
from tests.web.browser import Browser
from tests.web.every_page import LOGO as LOGO_URL
from tests.web.every_page import SORTS, Shown

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(axe.missing()), reason=f"not on this machine: {axe.missing()}"),
    pytest.mark.blocking,  # the driver's log is read from disk
]

PHONE = 360
"""Pixels."""
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="60"><rect width="300" height="60" fill="#222"/></svg>'
)


class Screen:
    """A browser, and the page that is served to it."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._axe = axe.source()
        self._page = Shown("none yet", "", "")
        self.url = ""

    async def serve(self, _: web.Request) -> web.Response:
        """The page, under the policy that it was answered with."""
        headers = {"Content-Security-Policy": self._page.policy} if self._page.policy else {}
        return web.Response(text=self._page.text, content_type="text/html", headers=headers)

    async def wrong(self, page: Shown, scheme: str) -> list[str]:
        """What is wrong with ``page`` in that ``scheme``, each with the page's name."""
        self._page = page
        await self.browser.look_like(width=PHONE, scheme=scheme)
        await self.browser.open(self.url)
        if folder := os.environ.get("LINKAUTH_PICTURES"):  # for people to look at
            await self.browser.picture(Path(folder) / f"{re.sub('[^A-Za-z0-9]+', '-', page.name)}-{scheme}.png")
        return [f"{page.name} ({scheme}): {each}" for each in await axe.wrong(self.browser, self._axe)]


async def logo(_: web.Request) -> web.Response:
    return web.Response(text=LOGO, content_type="image/svg+xml")


@pytest.fixture
async def screen(tmp_path: Path) -> AsyncIterator[Screen]:
    async with Browser(tmp_path) as browser:
        made = Screen(browser)
        app = web.Application()
        app.router.add_get("/", made.serve)
        app.router.add_get("/static/logo.svg", logo)
        async with TestServer(app) as server:
            made.url = str(server.make_url("/"))
            yield made


@pytest.mark.parametrize("sort", SORTS)
async def test_axe_finds_nothing(screen: Screen, sort: str) -> None:
    """Each page of that sort, light and dark, at 360 px."""
    looked_at = 0
    found = []
    async for page in SORTS[sort]():
        for scheme in ("light", "dark"):
            found += await screen.wrong(attrs.evolve(page, name=f"{sort}: {page.name}"), scheme)
        looked_at += 1
    assert found == []
    assert looked_at > 5


@pytest.mark.parametrize(
    ("planted", "says"),
    [
        ('<img src="/static/logo.svg">', "image-alt"),
        ('<p style="color:#888;background:#999">faint</p>', "color-contrast"),
        ('<input name="account">', "label"),
        ('<a href="/">a</a><a href="/">b</a>', "target-size"),
        ('<p style="width:400px">wide</p>', "on a screen of 360 px"),
    ],
)
async def test_what_is_wrong_is_found(screen: Screen, planted: str, says: str) -> None:
    """A fault that is planted in a page is told, by its kind."""
    page = f'<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A</title><main><h1>A</h1>{planted}</main>'
    assert [each for each in await screen.wrong(Shown("planted", page, ""), "light") if says in each]


async def test_the_dark_is_the_dark(screen: Screen) -> None:
    """What is dark on white alone is found in the dark, too: the scheme that is asked for is the one that is looked at."""
    page = (
        '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A</title>'
        "<style>:root{color-scheme:light dark}html{background:Canvas;color:CanvasText}p{color:#222}</style>"
        "<main><h1>A</h1><p>dark</p></main>"
    )
    assert await screen.wrong(Shown("planted", page, ""), "light") == []
    assert "color-contrast" in str(await screen.wrong(Shown("planted", page, ""), "dark"))


@pytest.mark.parametrize("logo", [LOGO_URL, "/static/logo.svg"])
async def test_a_logo_is_let_through(screen: Screen, logo: str) -> None:
    """The app's own picture is shown under the page's policy; one from elsewhere, put there by whatever trick, is not even asked for."""
    answer = CONNECTED.page("Sage X3", "", Look(logo=logo))
    page = Shown("logo", answer.text, answer.headers["Content-Security-Policy"])
    assert await screen.wrong(page, "light") == []
    assert await screen.browser.run("return document.images[0].naturalWidth") > 100
    elsewhere = screen.url.replace("127.0.0.1", "localhost") + "static/logo.svg"
    assert (
        await screen.wrong(
            attrs.evolve(page, text=page.text.replace(f'src="{escape(logo)}"', f'src="{elsewhere}"')), "light"
        )
        == []
    )
    assert await screen.browser.run("return document.images[0].src") == elsewhere
    assert await screen.browser.run("return document.images[0].naturalWidth") == 0
