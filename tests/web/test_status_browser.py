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

LINKKIT = Linkkit(client_id="app", client_secret="secret", base_url="http://127.0.0.1:1")


async def test_on_a_phone(tmp_path: Path) -> None:
    """Filters work without a script; nothing is wider than 360 px; the page has its style, which its policy lets through by a hash."""
    async with AuthEngine() as engine:
        for account in ("ada", "bob", "someone-with-a-very-long-name-" * 4):
            await engine.credential(LINKKIT, account).adopt(access_token="a", refresh_token="r", expires_at=2e9)
        app = web.Application()
        app.add_subapp("/connections", status_app(engine, allowed=lambda _: True))
        async with TestServer(app) as server, Browser(tmp_path) as browser:
            # A frame of a phone's width: a window has a least width of its own.
            await browser.open(str(server.make_url("/connections")))
            assert await browser.text("h1") == "Connections"
            assert await browser.run("return getComputedStyle(document.querySelector('form')).display") == "flex"
            wide = "document.documentElement.style.width='360px'; return document.documentElement.scrollWidth"
            assert await browser.run(wide) <= 900
            assert (
                await browser.run(
                    "return Math.max(...[...document.querySelectorAll('*')].map(e => e.getBoundingClientRect().right))"
                )
                <= 360
            )
            await browser.run("document.querySelector('input').value = 'ADA'")
            await browser.click("button")
            await browser.wait_for("Connections")
            assert (await browser.url()).endswith("?vendor=&account=ADA&state=")
            assert await browser.run("return document.querySelectorAll('li').length") == 1
            assert await browser.text("h2") == "linkkit / ada"
            scheme = "return getComputedStyle(document.documentElement).colorScheme"
            assert await browser.run(scheme) == "light dark"
