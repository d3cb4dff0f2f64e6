"""The pages for who writes a vendor: every block runs, every option stands in the tables, and each vendor does what is said."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from linkauth import AuthEngine, Dialect, InvalidGrant, OAuth2, Status
from linkauth.cli import main
from linkauth.errors import MalformedResponse
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.token import Token
from linkauth.testing import play
from linkauth.vendors import Pending
from tests.packages import importable, install

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(page: str, language: str = "python") -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def table(heading: str) -> dict[str, str]:
    """The first column of the table under ``heading``, by the option that it begins with."""
    text = (DOCS / "any-vendor.md").read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {
        span.partition("=")[0]: span
        for cell in cells
        for span in re.findall(r"`([^`]+)`", cell)
        if "(…)" not in span or "=" in span
    }


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page "any vendor" has made at its end."""
    found: dict[str, Any] = {"__name__": "any_vendor"}
    for block in blocks("any-vendor.md"):
        exec(compile(block, "any-vendor.md", "exec"), found)
    return found


def granted(**members: Any) -> Response:
    said = {"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 60, **members}
    return Response(status=200, body=json.dumps(said).encode(), sent_at=1e9)


HELD = Token(access_token="at-0", refresh_token="rt-0", expires_at=2e9, issued_at=1e9)
BACK = Pending(redirect_uri="https://app.example.com/back", scope="a b")


def test_every_option_is_told() -> None:
    """The two tables name each argument of ``OAuth2`` and each field of ``Dialect``, and nothing that there is not."""
    options = {field.name for field in attrs.fields(OAuth2) if field.init}
    told = table("The registration").keys()
    assert told == options, told ^ options
    fields = {field.name for field in attrs.fields(Dialect)}
    assert table("The dialect").keys() == fields


def test_the_readme_names_every_option() -> None:
    """Its section on OAuth2 has each argument of ``OAuth2`` by name; who needs it is said on the page."""
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    section = text.partition("### Any other OAuth2 vendor\n")[2].partition("\n### ")[0]
    options = {field.name for field in attrs.fields(OAuth2) if field.init}
    assert {name for name in options if not re.search(rf"\b{name}\b", section)} == set()


@pytest.mark.parametrize("written", [each for each in table("The dialect").values() if "…" not in each and "=" in each])
def test_what_the_table_shows_works(written: str) -> None:
    """An example of a field's value is one that it takes."""
    assert eval(f"Dialect({written})", {"Dialect": Dialect}) != Dialect()


def test_zoho(page: dict[str, Any]) -> None:
    """The first example: server and API of the account's region, its scheme, commas between scopes."""
    zoho = page["zoho"]
    callback = {"code": "c", "accounts-server": "https://accounts.zoho.eu"}
    token, (request,) = play(zoho.exchange(callback, BACK), granted(api_domain="https://www.zohoapis.eu"))
    assert request.url == "https://accounts.zoho.eu/oauth/v2/token"
    assert (zoho.api(token), zoho.signature(token)) == ("https://www.zohoapis.eu", "Zoho-oauthtoken at-1")
    assert "scope=a%2Cb" in zoho.authorization_url(BACK, state="s", challenge=None)


def test_tiktok(page: dict[str, Any]) -> None:
    """The client's id under its other name, for a code as for a renewal."""
    for flow in (page["tiktok"].exchange({"code": "c"}, BACK), page["tiktok"].renew(HELD)):
        _, (request,) = play(flow, granted())
        assert request.fields["client_key"] == "…"


def test_instagram(page: dict[str, Any]) -> None:
    """A code goes by POST, and a renewal is a GET by the access token."""
    instagram = page["instagram"]
    token, (request,) = play(instagram.exchange({"code": "c"}, BACK), granted(refresh_token=None))
    assert (request.method, request.fields["code"]) == ("POST", "c")
    _, (request,) = play(instagram.renew(token), granted(refresh_token=None))
    url = "https://graph.instagram.com/refresh_access_token?grant_type=ig_refresh_token&access_token=at-1"
    assert (request.method, request.url, request.body) == ("GET", url, b"")


def test_zoho_writer(page: dict[str, Any]) -> None:
    """An hour, though ``expires_in`` says 3,600,000; and a refusal, which has neither, is still one."""
    writer = page["writer"]
    token, _ = play(writer.renew(HELD), granted(expires_in=3_600_000, expires_in_sec=3600))
    assert token.expires_at == 1e9 + 3600
    with pytest.raises(InvalidGrant, match="invalid_code"):
        play(writer.renew(HELD), Response(status=400, body=b'{"error": "invalid_code"}'))


def test_the_tenants(page: dict[str, Any]) -> None:
    """A shop's vendor is its own and no other's, an unknown shop's is none, and keep-alive is given all that may be meant."""
    acme, beta = page["shop"]("acme"), page["shop"]("beta")
    assert acme.identity() != beta.identity()
    assert not page["shop"]("evil.example/#")
    status = Status(vendor="shopify", account="ada", key="token/shopify/0", version=1, now=0.0)
    assert page["vendor_of"](status) == [acme, beta]
    assert page["vendor_of"](attrs.evolve(status, vendor="other")) is None


ONE_LINERS = re.findall(r"^- ([^:]+): `(ask|hear)=([^`]+)`", (DOCS / "any-vendor.md").read_text(), re.MULTILINE)


@pytest.fixture
def lines(page: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The page's functions of one line, by what they are for."""
    monkeypatch.setenv("ROBOT", "a password")
    return {words: eval(written, {**page, "os": os}) for words, _, written in ONE_LINERS}


def test_the_lines(lines: dict[str, Any]) -> None:
    """Milliseconds, a query, another separator, a password: each line does it."""
    milliseconds, query, separators, password = lines.values()
    assert milliseconds({"expires_in": 60_000}) == {"expires_in": 60}
    assert milliseconds({"error": "x"}) == {"error": "x"}
    request = Request.form("https://a.example/token", {"grant_type": "client_credentials", "client_id": "c"})
    asked = query(request)
    assert (asked.url, asked.body) == (f"{request.url}?grant_type=client_credentials&client_id=c", b"")
    assert separators(request).fields["scope"] == "a;b"
    assert password(request).fields["password"] == "a password"
    machine = OAuth2(
        name="m",
        client_id="c",
        client_secret="s",
        token_url="https://a.example/token",
        dialect=Dialect(ask=password, hear=milliseconds),
    )
    token, (sent,) = play(machine.renew(None), granted(expires_in=60_000))
    assert (sent.fields["grant_type"], token.expires_at) == ("password", 1e9 + 60)
    assert "a password" not in repr(sent)


# -- a vendor in forty lines ---------------------------------------------------------------------------------------

VENDOR, PROOF = blocks("a-vendor-in-forty-lines.md")
(ENTRY_POINT,) = blocks("a-vendor-in-forty-lines.md", "toml")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The page's vendor as somebody's installed distribution, and its test module."""
    site = tmp_path_factory.mktemp("site")
    points = tomllib.loads(ENTRY_POINT)["project"]["entry-points"]
    install(site, "my-package", points, {"my_package/__init__.py": "", "my_package/acme.py": VENDOR})
    with importable(site, "my_package"):
        proof: dict[str, Any] = {"__name__": "test_acme"}
        exec(compile(PROOF, "a-vendor-in-forty-lines.md", "exec"), proof)
        yield proof


def test_it_has_forty_lines() -> None:
    """The heading says so."""
    assert len([line for line in VENDOR.splitlines() if line.strip()]) <= 40


@pytest.mark.parametrize("name", re.findall(r"^def (test_\w+)", PROOF, re.MULTILINE))
def test_its_own_tests_pass(installed: dict[str, Any], name: str) -> None:
    """As they are printed."""
    installed[name]()


def test_what_is_no_session(installed: dict[str, Any]) -> None:
    """An answer that its page does not document is the vendor's fault, in words."""
    with pytest.raises(MalformedResponse, match="acme"):
        play(installed["ACME"].renew(None), Response(status=201, body=b"[]"))


class Sessions:
    """Acme itself."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.ended: list[str] = []

    async def begin(self, request: web.Request) -> web.Response:
        if (await request.json())["secret"] != "of the shop":
            return web.json_response({"reason": "UNKNOWN_APP", "text": "no such app"}, status=403)
        self.open.append(f"s-{len(self.open)}")
        return web.json_response({"session": self.open[-1]}, status=201)

    async def end(self, request: web.Request) -> web.Response:
        self.ended.append(request.headers["Authorization"])
        return web.Response(status=204)

    async def things(self, request: web.Request) -> web.Response:
        return web.json_response(request.headers.get("Authorization"))


@pytest.mark.blocking  # a command line reads its files as it likes
async def test_it_works_as_the_others_do(
    installed: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over real HTTP: one session for two engines on a store, a call, the command line by its entry point, and its end."""
    sessions = Sessions()
    app = web.Application()
    app.router.add_post("/sessions", sessions.begin)
    app.router.add_delete("/sessions/current", sessions.end)
    app.router.add_get("/things", sessions.things)
    async with TestServer(app) as running:
        root = str(running.make_url("")).rstrip("/")
        acme = attrs.evolve(installed["ACME"], base_url=root)
        store = f"file:{tmp_path / 'store'}"
        for _ in range(2):
            async with AuthEngine(store) as engine, engine.credential(acme).session() as session:
                async with session.get("things") as response:
                    assert await response.json() == "Bearer s-0"
        monkeypatch.setenv("LINKAUTH_CLIENT_SECRET", "of the shop")
        how = ["acme", "--client-id", "shop", "--base-url", root, "--store", store]
        assert await asyncio.to_thread(main, ["token", *how]) == 0
        assert sessions.open == ["s-0"]
        assert await asyncio.to_thread(main, ["vendors"]) == 0
        assert re.search(r"^acme +installed$", capsys.readouterr().out, re.MULTILINE)
        async with AuthEngine(store) as engine:
            await engine.credential(acme).logout()
        assert sessions.ended == ["Bearer s-0"]
