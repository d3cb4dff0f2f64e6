"""A vendor of its own ways on the command line: one that plugs in by entry point, its tokens, its lifetimes, its account's server."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from linkauth import AuthEngine
from tests.cli.conftest import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME = """
from linkauth import Dialect, OAuth2

def acme(*, client_id, client_secret, base_url, scope="", eu="", page=True):
    return OAuth2(
        name="acme", client_id=client_id, client_secret=client_secret, scope=scope, client_auth="basic",
        token_url=f"{base_url}/token", revoke_url=f"{base_url}/revoke",
        authorize_url=f"{base_url}/authorize" if page is True else None, refresh_lifetime=1000,
        dialect=Dialect(
            body="json", basic="plain", grant_type="account_credentials", answer_in="data",
            answer_names={"jwt": "access_token"}, token_url_from={"server": [eu]} if eu else {},
        ),
    )
"""


class Region(BaseHTTPRequestHandler):
    """One of Acme's regions: what it was asked, by the path."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body) if body[:1] == b"{" else parse_qs(body.decode())
        self.server.asked.append((self.path, asked.get("grant_type", "revoke")))  # type: ignore[attr-defined]
        said = {"jwt": f"at-{len(self.server.asked)}", "refresh_token": "rt", "expires_in": 900}  # type: ignore[attr-defined]
        answer = json.dumps({"code": 0, "data": said}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def region() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Region) as server:
        server.asked = []  # type: ignore[attr-defined]
        server.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def connected(store: str, vendor: Any, **said: str) -> None:
    """The user has said yes; the callback says ``said``."""
    async with AuthEngine(store) as engine:
        url = await engine.credential(vendor).authorization_url("https://app.example.com/back")
        await engine.complete(vendor, {"state": parse_qs(urlsplit(url).query)["state"][0], "code": "c", **said})


def test_a_session_of_an_accounts_own_region(
    here: Any, store: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept alive by the lifetime that the vendor states, renewed and revoked at the region that the callback named."""
    monkeypatch.setattr("linkauth.engine.keep_alive.EARLIEST", 0.0)
    monkeypatch.setattr("linkauth.engine.keep_alive.LATEST", 0.0)
    install(site, ACME)
    with region() as home, region() as eu:
        made: dict[str, Any] = {}
        exec(ACME, made)
        vendor = made["acme"](client_id="c", client_secret="a secret", base_url=home.url, eu=eu.url)
        asyncio.run(connected(store, vendor, server=eu.url))
        how = ["acme", "--client-id", "c", "--base-url", home.url, "--set", f"eu={eu.url}", "--store", store]
        secret = {"LINKAUTH_CLIENT_SECRET": "a secret"}
        assert "valid until" in here("token", *how, **secret).well()
        assert here("keep-alive", *how, "--once", **secret).well() == "renewed 1\n"
        assert here("token", *how, "--reveal", **secret).well() == "at-2\n"
        assert "Logged out: acme/default" in here("logout", *how, **secret).well()
        grants = ["authorization_code", "refresh_token"]
        assert eu.asked == [*(("/token", grant) for grant in grants), *[("/revoke", "revoke")] * 2]
        assert home.asked == []


def test_a_machine_client(here: Any, store: str, site: Path) -> None:
    """Another grant's name, a JSON body, and an answer within an answer."""
    install(site, ACME)
    with region() as home:
        how = ["acme", "--client-id", "c", "--base-url", home.url, "--set", "page=no", "--store", store]
        for _ in range(2):
            assert here("token", *how, "--reveal", LINKAUTH_CLIENT_SECRET="a secret").well() == "at-1\n"
        assert home.asked == [("/token", "account_credentials")]
