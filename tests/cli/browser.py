"""As much of a browser as consent pages need: it reads forms, presses buttons, follows redirects, keeps cookies."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin

import aiohttp
import attrs

PATIENCE = aiohttp.ClientTimeout(total=60)


@attrs.define
class Form:
    action: str = ""
    method: str = "get"
    hidden: list[tuple[str, str]] = attrs.field(factory=list)
    boxes: list[tuple[str, str]] = attrs.field(factory=list)
    buttons: list[tuple[str, str]] = attrs.field(factory=list)


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        named = found.get("name", ""), found.get("value", "")
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get").lower()))
        elif not self.forms:
            return
        elif tag == "button" or (tag, found.get("type")) == ("input", "submit"):
            self.forms[-1].buttons.append(named)
        elif tag == "input" and found.get("type") == "checkbox":
            self.forms[-1].boxes.append(named)
        elif tag == "input" and named[0]:
            self.forms[-1].hidden.append(named)


@attrs.define
class Page:
    status: int
    url: str
    text: str


class Browser:
    """One user's browser; an async context manager."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=PATIENCE, cookie_jar=aiohttp.CookieJar(unsafe=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def go(self, url: str) -> Page:
        async with self._session.get(url) as response:
            return Page(response.status, str(response.url), await response.text())

    async def press(self, page: Page, answer: str = "", *, form: int = 0, **fields: str) -> Page:
        """Press the button of ``answer``, all boxes ticked, text fields filled with ``fields``."""
        url, headers, data = self._pressed(page, answer, form, fields)
        async with self._session.post(url, data=data, headers=headers) as response:
            return Page(response.status, str(response.url), await response.text())

    async def sent_to(self, page: Page, answer: str) -> str:
        """Press as ``press`` does: the address that it leads to, where nobody goes."""
        url, headers, data = self._pressed(page, answer, 0, {})
        async with self._session.post(url, data=data, headers=headers, allow_redirects=False) as response:
            return response.headers["Location"]

    def _pressed(
        self, page: Page, answer: str, form: int, fields: dict[str, str]
    ) -> tuple[str, dict[str, str], list[tuple[str, str]]]:
        found = Forms(page.text).forms[form]
        pressed = [button for button in found.buttons if button[1] == answer] if answer else []
        assert pressed or not answer, found.buttons
        data = [(name, fields.get(name, value)) for name, value in found.hidden] + found.boxes
        data += [button for button in pressed if button[0]]
        return urljoin(page.url, found.action), {"Referer": page.url}, data


def answer(url: str, how: str = "accept") -> Page:
    """Be the user: go to ``url``, press the button, and let the page that sends itself to the app do so."""

    async def be() -> Page:
        async with Browser() as browser:
            page = await browser.press(await browser.go(url), how)
            forms = Forms(page.text).forms
            return await browser.press(page) if "submit()" in page.text and forms else page

    return asyncio.run(be())


def get(url: str) -> Page:
    """Go to ``url``."""

    async def be() -> Page:
        async with Browser() as browser:
            return await browser.go(url)

    return asyncio.run(be())


def arrival(url: str) -> str:
    """Accept at ``url``: the address at which the browser would arrive."""

    async def be() -> str:
        async with Browser() as browser:
            return await browser.sent_to(await browser.go(url), "accept")

    return asyncio.run(be())
