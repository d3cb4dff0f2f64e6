"""The browser that began, for apps in a framework that linkauth has no adapter for: the WSGI app of ``docs/callbacks.md``."""

from __future__ import annotations

import asyncio
import http.cookiejar
import re
import subprocess
import sys
import threading
import types
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from aiohttp import web

from linkauth import BrowserBinding
from linkauth.sandbox import Sandbox

PAGE = Path(__file__).resolve().parents[2] / "docs" / "callbacks.md"
URL = "https://vendor.example/authorize?client_id=c&state="


class Stay(urllib.request.HTTPRedirectHandler):
    """A browser that follows nothing by itself."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Browser:
    """Keeps cookies as browsers do."""

    def __init__(self) -> None:
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(Stay, urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, url: str) -> tuple[int, Any, str]:
        """Status, headers, body."""
        try:
            with self._opener.open(url, timeout=60) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read().decode()


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(app: Any, module: types.ModuleType) -> Iterator[str]:
    """``app`` of ``module`` on a socket of its own; its URL, which the module is told."""
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        module.__dict__["PUBLIC_URL"] = url = f"http://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(linkkit={"loopback_redirects": True}) as running:
        yield running


@pytest.fixture
def example(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[types.ModuleType, str]]:
    """The page's app, served: its module and its URL."""
    part = sandbox.linkkit
    for name, value in {
        "PUBLIC_URL": "http://localhost",
        "LINKAUTH_STORE": "memory:",
        "LINKKIT_ID": part.client_id,
        "LINKKIT_SECRET": part.client_secret,
        "LINKKIT_URL": part.base_url,
    }.items():
        monkeypatch.setenv(name, value)
    (source,) = re.findall(r"```python\n# wsgi_app.py\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    module = types.ModuleType("wsgi_app")
    exec(compile(source, "wsgi_app.py", "exec", dont_inherit=True), vars(module))
    with module.engine, serving(module.app, module) as url:
        yield module, url


async def asked(browser: Browser, url: str) -> tuple[int, Any, str]:
    """As ``browser.get``, while the sandbox in this loop answers."""
    return await asyncio.to_thread(browser.get, url)


async def test_the_browser_that_began_is_connected(example: tuple[types.ModuleType, str], sandbox: Sandbox) -> None:
    """The page's app, on real sockets: sent away with a cookie, back with it, connected, and the cookie is taken back."""
    _, url = example
    ada = Browser()
    status, headers, _ = await asked(ada, f"{url}/connect")
    assert status == 303
    assert len(ada.cookies) == 1
    status, _, body = await asked(ada, sandbox.linkkit.consent(headers["Location"]).url)
    assert (status, body) == (200, "ada is connected.")
    assert len(ada.cookies) == 0


async def test_a_foreign_browsers_callback_is_refused(example: tuple[types.ModuleType, str], sandbox: Sandbox) -> None:
    """Mallory begins and has Eve open the callback: nothing is sent to the vendor, also where Eve has begun one of her own."""
    module, url = example
    mallory, eve = Browser(), Browser()
    _, headers, _ = await asked(mallory, f"{url}/connect")
    callback = sandbox.linkkit.consent(headers["Location"]).url
    for _ in range(2):
        status, _, body = await asked(eve, callback)
        assert (status, body) == (400, "Not connected: this browser did not begin it; start again in this one")
        await asked(eve, f"{url}/connect")
    assert sandbox.linkkit.counts["token_requests"] == 0
    assert module.engine.credential(module.linkkit, "ada").peek() is None
    status, _, _ = await asked(mallory, callback)
    assert status == 200  # it was not used up by the attempt


def test_a_frameworks_own_set_cookie() -> None:
    """aiohttp makes of the parts the cookie that ``set_cookies`` has."""
    binding = BrowserBinding.of(f"{URL}abc")
    response = web.Response()
    response.set_cookie(binding.name, binding.value, **binding.attributes)
    assert parts(response.cookies.output(header="")) == parts(binding.set_cookies({})[0])


@pytest.mark.long
@pytest.mark.parametrize("framework", ["django.http.HttpResponse", "starlette.responses.Response"])
def test_other_frameworks_set_cookie(framework: str) -> None:
    """Django's and Starlette's do as well."""
    module, _, kind = framework.rpartition(".")
    pytest.importorskip(module.partition(".")[0])
    code = (
        "import sys\nfrom linkauth import BrowserBinding\n"
        f"if {module.startswith('django')}:\n    from django.conf import settings; settings.configure()\n"
        f"from {module} import {kind} as Response\n"
        f"binding = BrowserBinding.of({URL + 'abc'!r}); response = Response()\n"
        "response.set_cookie(binding.name, binding.value, **binding.attributes)\n"
        "print(response.cookies.output(header='') if hasattr(response, 'cookies') else response.headers['set-cookie'])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    made = {part for part in parts(answer.stdout) if not part.startswith("expires=")}
    assert made == parts(BrowserBinding.of(f"{URL}abc").set_cookies({})[0]), answer.stderr


def parts(cookie: str) -> set[str]:
    return {part.strip().lower() for part in cookie.split(";")}
