"""``OAuth2`` at an authorization server that we did not write: django-oauth-toolkit, over real HTTP on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from linkauth import (
    AccessDenied,
    AuthEngine,
    InvalidClient,
    InvalidScope,
    OAuth2,
    ReauthorizationRequired,
    StateMismatch,
    UntrustedEndpoint,
)
from tests.cli.browser import Browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from linkauth import Credential

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        find_spec("oauth2_provider") is None,
        reason="django-oauth-toolkit is not installed: it comes with the extra foreign, which .ci/run installs",
    ),
    # The server runs once for all of them.
    pytest.mark.xdist_group("django-oauth-toolkit"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The running server: where it is, and what logs in."""
    program, folder = Path(__file__).with_name("server.py"), tmp_path_factory.mktemp("django")
    command = [sys.executable, "-W", "ignore", str(program), str(folder)]
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "errors").read_text()
        yield json.loads(line)
        process.kill()


@pytest.fixture
async def engine() -> AsyncIterator[AuthEngine]:
    async with AuthEngine("memory:") as opened:
        yield opened


async def discovered(server: dict[str, str], client_id: str, **arguments: Any) -> OAuth2:
    given = {"name": "dot", "client_id": client_id, "scope": "read", "api_url": f"{server['url']}/api", **arguments}
    if client_id != "public":
        given.setdefault("client_secret", server["secret"])
    return await OAuth2.discover(server["issuer"], **given)


async def asked(server: dict[str, str], credential: Credential, answer: str = "Authorize") -> dict[str, str]:
    """Log in, answer, and the callback's parameters."""
    async with Browser() as browser:
        page = await browser.go(await credential.authorization_url(f"{server['url']}/callback"))
        assert "/accounts/login/" in page.url
        page = await browser.press(page, username=server["username"], password=server["password"])
        page = await browser.press(page, answer)
    assert page.url.startswith(f"{server['url']}/callback")
    return dict(parse_qsl(urlsplit(page.url).query))


async def me(credential: Credential) -> tuple[int, dict[str, Any]]:
    async with credential.session() as session, session.get("me") as response:
        return response.status, await response.json()


async def test_discovery(server: dict[str, str]) -> None:
    """Its RFC 8414 metadata, for an issuer with a path, has every endpoint and says that ``iss`` will come (RFC 9207)."""
    vendor = await discovered(server, "web app")
    assert vendor.token_url == f"{server['issuer']}/token/"
    assert vendor.authorize_url == f"{server['issuer']}/authorize/"
    assert vendor.revoke_url == f"{server['issuer']}/revoke_token/"
    assert vendor.iss_required
    assert vendor.client_auth == "basic"


@pytest.mark.parametrize("client_auth", ["post", "basic"])
async def test_client_credentials(server: dict[str, str], engine: AuthEngine, client_auth: str) -> None:
    """By both client authentications, with a secret that needs RFC 6749 §2.3.1's encoding; the token serves a call."""
    vendor = await discovered(server, "machine", authorize_url=None, client_auth=client_auth)
    credential = engine.credential(vendor)
    token = await credential.token()
    assert token.scope == "read"
    assert token.refresh_token is None
    assert 590 < token.expires_at - token.issued_at <= 600
    assert await me(credential) == (200, {"user": None, "scope": "read"})
    assert (await credential.refresh()).access_token != token.access_token


@pytest.mark.parametrize(("client_id", "client_auth"), [("web app", "post"), ("web app", "basic"), ("public", "none")])
async def test_authorization_code_with_pkce(
    server: dict[str, str], engine: AuthEngine, client_id: str, client_auth: str
) -> None:
    """Login, consent, S256, exchange, a call in the user's name, then refreshes that rotate, for each kind of client."""
    credential = engine.credential(await discovered(server, client_id, client_auth=client_auth), "ada")
    params = await asked(server, credential)
    assert params["iss"] == server["issuer"]
    first = await credential.complete(params)
    assert await me(credential) == (200, {"user": "ada", "scope": "read"})
    second = await credential.refresh()
    third = await credential.refresh()
    assert len({str(token.access_token) for token in (first, second, third)}) == 3
    assert len({str(token.refresh_token) for token in (first, second, third)}) == 3
    assert await me(credential) == (200, {"user": "ada", "scope": "read"})
    with pytest.raises(StateMismatch):
        await credential.complete(params)


async def test_the_code_is_worth_nothing_without_the_verifier(server: dict[str, str], engine: AuthEngine) -> None:
    """A code that somebody else has seen is refused without our verifier: PKCE was really asked for."""
    vendor = await discovered(server, "public")
    params = await asked(server, engine.credential(vendor))
    fields = {
        "grant_type": "authorization_code",
        "client_id": "public",
        "code": params["code"],
        "redirect_uri": f"{server['url']}/callback",
    }
    for verifier in ({}, {"code_verifier": "x" * 43}):
        async with aiohttp.ClientSession() as thief, thief.post(vendor.token_url, data=fields | verifier) as response:
            assert response.status == 400
            assert (await response.json())["error"] in {"invalid_grant", "invalid_request"}


async def test_a_stolen_refresh_token_ends_the_session(server: dict[str, str], engine: AuthEngine) -> None:
    """Reuse protection: somebody spends an old refresh token, the family dies, and the user is sent for, not a loop."""
    vendor = await discovered(server, "public")
    credential = engine.credential(vendor)
    old = await credential.complete(await asked(server, credential))
    await credential.refresh()
    fields = {"grant_type": "refresh_token", "client_id": "public", "refresh_token": str(old.refresh_token)}
    async with aiohttp.ClientSession() as thief, thief.post(vendor.token_url, data=fields) as response:
        assert (await response.json())["error"] == "invalid_grant"
    for _ in range(2):
        with pytest.raises(ReauthorizationRequired):
            await credential.refresh()


async def test_a_401_renews_once(server: dict[str, str], engine: AuthEngine) -> None:
    """Its access tokens withdrawn behind our back: the call meets a 401, renews, and is answered."""
    credential = engine.credential(await discovered(server, "web app"))
    before = await credential.complete(await asked(server, credential))
    async with aiohttp.ClientSession() as session, session.get(f"{server['url']}/forget") as response:
        assert (await response.json())["expired"] >= 1
    assert (await me(credential))[0] == 200
    assert (await credential.token()).access_token != before.access_token


async def test_logout_revokes(server: dict[str, str], engine: AuthEngine) -> None:
    """RFC 7009: after ``logout`` neither token is good there, and there is none here."""
    vendor = await discovered(server, "web app")
    credential = engine.credential(vendor)
    token = await credential.complete(await asked(server, credential))
    await credential.logout()
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": token.authorization}
        async with session.get(f"{server['url']}/api/me", headers=headers) as response:
            assert response.status == 401
        fields = {"grant_type": "refresh_token", "refresh_token": str(token.refresh_token)}
        client = {"client_id": "web app", "client_secret": server["secret"]}
        async with session.post(vendor.token_url, data=fields | client) as response:
            assert (await response.json())["error"] == "invalid_grant"
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


async def test_its_refusals(server: dict[str, str], engine: AuthEngine) -> None:
    """A user who says no, a wrong secret, an unknown scope, another issuer's callback: each as its class."""
    # Its metadata promises iss in every callback, and its refusals have none. RFC 9207 §2.4 would have us assume
    # nothing of who sent such a one, so it takes an app that knows to read it.
    credential = engine.credential(await discovered(server, "web app"), "strict")
    with pytest.raises(UntrustedEndpoint):
        await credential.complete(await asked(server, credential, "Cancel"))
    credential = engine.credential(await discovered(server, "web app", iss_required=False), "refuses")
    with pytest.raises(AccessDenied):
        await credential.complete(await asked(server, credential, "Cancel"))
    for client_auth in ("post", "basic"):
        vendor = await discovered(server, "machine", authorize_url=None, client_auth=client_auth, client_secret="x")
        with pytest.raises(InvalidClient):
            await engine.credential(vendor, client_auth).token()
    vendor = await discovered(server, "machine", authorize_url=None, scope="read everything")
    with pytest.raises(InvalidScope):
        await engine.credential(vendor).token()
    credential = engine.credential(await discovered(server, "web app"), "mixed-up")
    params = await asked(server, credential)
    with pytest.raises(UntrustedEndpoint):
        await credential.complete(params | {"iss": "https://evil.example"})
    await credential.complete(params)  # its state stayed good
