"""The operator's page in a real browser: what only a browser tells, on a phone and in the dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from linkauth import AuthEngine, Linkkit
from linkauth.web import status_app
from tests.web.browser import Browser, missing

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(missing()), reason=f"the browser tests need a browser: {missing()}"),
    pytest.mark.blocking,  # the driver's log is read from disk
]

DARK = "rgb(18, 18, 18)"
"""Chromium's canvas in the dark."""
LINKKIT = Linkkit(client_id="app", client_secret="secret", base_url="http://127.0.0.1:1")


async def test_on_a_phone(tmp_path: Path) -> None:
    """Filters and pages work without a script; the page has its style, which its policy lets through by a hash, and is dark in the dark."""
    async with AuthEngine() as engine:
        for number in range(150):
            await engine.credential(LINKKIT, f"user{number:03}").adopt(
                access_token="a", refresh_token="r", expires_at=2e9
            )
        await engine.credential(LINKKIT, "ada").adopt(access_token="a", refresh_token="r", expires_at=2e9)
        await engine.credential(LINKKIT, "ada").logout()
        app = web.Application()
        links = {"connect_url": lambda status: f"https://app.example/connect?for={status.account}"}
        app.add_subapp("/connections", status_app(engine, allowed=lambda _: True, **links))
        async with TestServer(app) as server, Browser(tmp_path) as browser:
            await browser.look_like(width=360, scheme="dark")
            await browser.open(str(server.make_url("/connections")))
            assert await browser.text("h1") == "Connections"
            assert await browser.run("return getComputedStyle(document.querySelector('form')).display") == "flex"
            assert await browser.run("return document.documentElement.scrollWidth") == 360
            assert await browser.run("return getComputedStyle(document.documentElement).backgroundColor") == DARK
            # A link to pass on, which the operator cannot follow by a slip of the finger.
            assert await browser.text("li code") == "https://app.example/connect?for=ada"
            assert await browser.run("return [...document.querySelectorAll('main a')].map(a => a.rel).join()") == "next"

            await browser.click("a[rel=next]")
            assert await browser.text("nav span") == "Page 2 of 2"
            assert await browser.run("return document.querySelectorAll('li').length") == 51
            await browser.click("a[rel=prev]")
            assert await browser.text("nav span") == "Page 1 of 2"

            await browser.run("document.querySelector('input').value = 'USER14'")
            await browser.click("button")
            await browser.wait_for("Connections")
            assert (await browser.url()).endswith("?vendor=&account=USER14&state=")
            assert await browser.run("return document.querySelectorAll('li').length") == 10
            assert await browser.text("h2") == "linkkit / user140"
            assert await browser.run("return document.querySelector('input').value") == "USER14"
