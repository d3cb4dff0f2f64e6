"""Each guide of ``docs/migrating.md``, with the library that it is about: its sessions are here afterwards, and good."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.sandbox import Sandbox
from tests.cli.conftest import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.long, pytest.mark.blocking]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "migrating.md").read_text()
GUIDES = dict(re.findall(r"^## From ([^\n]+)\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE))
BACK = "http://127.0.0.1:8080/connect/oauth2/callback"


def written(guide: str, kept: object) -> str:
    """What the guide's code makes of what that library keeps."""
    namespace: dict[str, Any] = {}
    exec(GUIDES[guide], namespace)
    lines: Callable[[object], Iterator[str]] = namespace["lines"]
    return "".join(f"{line}\n" for line in lines(kept))


def imported(text: str, store: Path, *vendor: str, renews: bool = False) -> dict[str, Any]:
    """Each account's session after ``linkauth import``, as ``export`` has it."""
    how = ["import", *vendor, "--store", f"file:{store}", *([] if renews else ["--no-renew"])]
    told = run(*how, stdin=text, LINKAUTH_CLIENT_SECRET="s").well()
    assert told.startswith(f"stored {text.count(chr(10))}, there already 0, refused 0")
    out = run("export", "--store", f"file:{store}", "--reveal").out
    return {one["account"]: one for one in map(json.loads, out.splitlines())}


def test_every_guide_is_tried() -> None:
    """No guide stands on the page that no test runs."""
    assert GUIDES.keys() == {"Authlib", "requests-oauthlib", "msal", "google-auth", "your own table"}


@pytest.mark.parametrize("library", ["Authlib", "requests-oauthlib"])
async def test_a_session_that_the_library_began(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own authorization code flow with a server; the access token it got is then linkauth's, and is renewed by it."""
    pytest.importorskip("authlib" if library == "Authlib" else "requests_oauthlib")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    async with Sandbox() as sandbox:
        server = sandbox.oauth2
        flow = _authlib if library == "Authlib" else _requests_oauthlib
        token = await asyncio.to_thread(flow, server)
        text = written(library, {"ada": token})
        vendor = ["oauth2", "--client-id", server.client_id, "--issuer", server.issuer, "--scope", "read"]
        found = await asyncio.to_thread(imported, text, tmp_path / "store", *vendor, renews=True)
        assert found["ada"]["access_token"] == token["access_token"]
        assert found["ada"]["refresh_token"] == token["refresh_token"]
        how = ["refresh", *vendor, "--store", f"file:{tmp_path / 'store'}", "--account", "ada"]
        renewed = await asyncio.to_thread(run, *how, LINKAUTH_CLIENT_SECRET=server.client_secret)
        assert "valid until" in renewed.well()


def _authlib(server: Any) -> Any:
    from authlib.integrations.requests_client import OAuth2Session

    with OAuth2Session(
        server.client_id, server.client_secret, scope="read", redirect_uri=BACK, code_challenge_method="S256"
    ) as session:
        verifier = "v" * 43
        url, _ = session.create_authorization_url(server.authorize_url, code_verifier=verifier)
        return session.fetch_token(server.token_url, code=server.consent(url).params["code"], code_verifier=verifier)


def _requests_oauthlib(server: Any) -> Any:
    from requests_oauthlib import OAuth2Session

    logging.getLogger("requests_oauthlib").setLevel(logging.INFO)  # at DEBUG it tells the token
    with OAuth2Session(server.client_id, scope=["read"], redirect_uri=BACK, pkce="S256") as session:
        url, _ = session.authorization_url(server.authorize_url)
        code = server.consent(url).params["code"]
        return session.fetch_token(server.token_url, code=code, client_secret=server.client_secret)


def test_a_cache_of_msal(tmp_path: Path) -> None:
    """As msal itself fills it from an answer of Microsoft's, and serializes it."""
    msal = pytest.importorskip("msal")
    cache = msal.SerializableTokenCache()
    answer = {
        "access_token": "at", "refresh_token": "rt-ada", "expires_in": 3600, "scope": "User.Read", "id_token": "x",
        "client_info": "eyJ1aWQiOiJ1IiwidXRpZCI6InQifQ", "id_token_claims": {"preferred_username": "ada@example.com"},
    }  # fmt: skip
    endpoint = "https://login.microsoftonline.com/common/oauth2/v2.0/token"
    cache.add({"client_id": "c", "scope": ["User.Read"], "token_endpoint": endpoint, "response": answer})
    text = written("msal", cache.serialize())
    found = imported(text, tmp_path / "store", "microsoft", "--client-id", "c", "--scope", "User.Read offline_access")
    assert found["ada@example.com"]["refresh_token"] == "rt-ada"


def test_credentials_of_google_auth(tmp_path: Path) -> None:
    """As they were written for an authorized user, and with an access token whose expiry is naive."""
    module = pytest.importorskip("google.oauth2.credentials")
    soon = int(time.time()) + 1800
    info = {"client_id": "c", "client_secret": "s", "refresh_token": "rt-ada", "scopes": ["openid", "email"]}
    whole = module.Credentials.from_authorized_user_info(
        info | {"token": "at", "expiry": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(soon))}
    )
    bare = module.Credentials(None, refresh_token="rt-bob", client_id="c", client_secret="s", token_uri="https://t")
    text = written("google-auth", {"ada": whole, "bob": bare})
    found = imported(text, tmp_path / "store", "google", "--client-id", "c", "--scope", "openid email")
    assert found["ada"]["refresh_token"] == "rt-ada"
    assert (found["ada"]["access_token"], found["ada"]["expires_at"]) == ("at", soon)
    assert found["ada"]["scope"] == "openid email"
    assert found["bob"]["refresh_token"] == "rt-bob"


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    """Each row is an account."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE tokens (user_id INTEGER, refresh_token TEXT)")
    database.executemany("INSERT INTO tokens VALUES (?, ?)", [(7, "rt-7"), (8, "rt-8")])
    text = written("your own table", database)
    database.close()
    found = imported(text, tmp_path / "store", "linkkit", "--client-id", "c")
    assert {name: one["refresh_token"] for name, one in found.items()} == {"7": "rt-7", "8": "rt-8"}
