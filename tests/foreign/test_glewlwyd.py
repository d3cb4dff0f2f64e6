"""``OAuth2`` at a second authorization server that we did not write: Glewlwyd, which refuses without a word."""

from __future__ import annotations

import random
import secrets
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from linkauth import AuthEngine, Dialect, Forbidden, InvalidRequest, OAuth2, ReauthorizationRequired
from linkauth.engine.engine import Engine
from linkauth.engine.world import World
from linkauth.errors import LinkAuthError
from linkauth.middleware import Credential
from linkauth.transport import Proxies, Transport, verifying
from linkauth_stores.memory import MemoryStore
from tests.foreign.glewlwyd import PROGRAM, SECRET, consented, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(PROGRAM is None, reason="glewlwyd is not installed: Debian has it, and .ci/run installs it"),
    # The server runs once for all of them.
    pytest.mark.xdist_group("glewlwyd"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the running server is."""
    with running(tmp_path_factory.mktemp("glewlwyd")) as found:
        yield found


@pytest.fixture
async def engine() -> AsyncIterator[AuthEngine]:
    async with AuthEngine("memory:") as opened:
        yield opened


async def discovered(url: str, **arguments: Any) -> OAuth2:
    # Its HTTP Basic is plain: it does not undo the form-encoding of RFC 6749 §2.3.1.
    given = {"client_id": "web app", "client_secret": SECRET, "scope": "read", "dialect": Dialect(basic="plain")}
    return await OAuth2.discover(f"{url}/api/oidc", name="glewlwyd", **{**given, **arguments})


async def test_discovery(url: str) -> None:
    """OpenID Connect's metadata, where RFC 8414's are not: every endpoint, and how a client shows its secret."""
    vendor = await discovered(url)
    assert vendor.token_url == f"{url}/api/oidc/token"
    assert vendor.authorize_url == f"{url}/api/oidc/auth"
    assert vendor.revoke_url == f"{url}/api/oidc/revoke"
    assert vendor.client_auth == "basic"


@pytest.mark.parametrize("client_auth", ["post", "basic"])
async def test_client_credentials(url: str, engine: AuthEngine, client_auth: str) -> None:
    """By both client authentications, with a secret that has every letter that matters."""
    token = await engine.credential(await discovered(url, authorize_url=None, client_auth=client_auth)).token()
    assert 590 < token.expires_at - token.issued_at <= 600
    assert (token.refresh_token, token.token_type) == (None, "Bearer")


async def test_authorization_code_with_pkce(url: str, engine: AuthEngine) -> None:
    """Consent, S256, exchange, then refreshes whose refresh tokens are good for one use; and what it revokes is dead."""
    vendor = await discovered(url)
    credential = engine.credential(vendor, "ada")
    found = [await credential.complete(await consented(url, credential))]
    found += [await credential.refresh(), await credential.refresh()]
    assert len({token.access_token for token in found}) == len({token.refresh_token for token in found}) == 3
    assert [token.scope for token in found] == ["read"] * 3
    await credential.logout()
    assert await spent(vendor, found[-1].refresh_token) == (400, b"")


async def spent(vendor: OAuth2, refresh_token: str | None) -> tuple[int, bytes]:
    """What the server answers to somebody who spends it behind our back."""
    form = {"grant_type": "refresh_token", "refresh_token": str(refresh_token)}
    form |= {"client_id": vendor.client_id, "client_secret": SECRET}
    async with aiohttp.ClientSession() as thief, thief.post(vendor.token_url, data=form) as response:
        return response.status, await response.read()


async def test_a_wrong_secret(url: str, engine: AuthEngine) -> None:
    """An empty 403, which no user can lift: there is none. Whoever runs the app has to act."""
    vendor = await discovered(url, authorize_url=None, client_secret="wrong")
    with pytest.raises(Forbidden) as caught:
        await engine.credential(vendor).token()
    assert (caught.value.who, caught.value.status) == ("you", 403)


class Clock:
    """Clocks that the test can set forward: all of them, as if time had passed."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self) -> float:
        return time.time() + self.passed

    def world(self) -> World:
        transport = Transport(Proxies.chosen(None, trust_env=False), verifying(None))
        return World(
            send=transport.send,
            monotonic=lambda: time.monotonic() + self.passed,
            wall=self.wall,
            random=random.Random(),
            entropy=secrets.token_bytes,
        )


async def test_the_refusal_without_words(url: str) -> None:
    """A dead refresh token is an empty 400: after the access token's end and a minute of that, the user is sent for."""
    clock = Clock()
    engine = Engine(MemoryStore(clock=clock.wall), clock.world(), Credential)
    vendor = await discovered(url)
    credential = engine.credential(vendor, "ada")
    first = await credential.complete(await consented(url, credential))
    assert (await spent(vendor, first.refresh_token))[0] == 200
    assert await spent(vendor, first.refresh_token) == (400, b"")
    clock.passed = 601.0
    met: list[type[LinkAuthError]] = []
    while ReauthorizationRequired not in met:
        with pytest.raises(LinkAuthError) as caught:
            await credential.token()
        met.append(type(caught.value))
        clock.passed += 15.0
        assert len(met) < 20
    assert set(met[:-1]) == {InvalidRequest}
    assert len(met) > 4
    await credential.complete(await consented(url, credential))
    assert (await credential.token()).access_token
    await engine.aclose()
