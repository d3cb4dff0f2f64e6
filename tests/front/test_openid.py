"""OpenID Connect over real HTTP: the ID Token of the token endpoint's own answer, and Google's second consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linkauth import AuthEngine, MalformedResponse, OAuth2, ReauthorizationRequired
from tests.front.vendors import REDIRECT

if TYPE_CHECKING:
    from linkauth import Credential, Token
    from tests.front.vendors import Vendors


async def consent(vendors: Vendors, credential: Credential) -> Token:
    """What comes of it when the user is asked, and says yes."""
    url = await credential.authorization_url(REDIRECT)
    return await credential.complete(vendors.sandbox.oauth2.consent(url).params)


async def test_claims_in_every_worker(url: str, vendors: Vendors) -> None:
    """A discovered server: issuer, client, times and nonce are checked, and the claims stay over a renewal."""
    server = vendors.sandbox.oauth2
    known: dict[str, Any] = {"client_id": server.client_id, "client_secret": server.client_secret}
    vendor = await OAuth2.discover(server.issuer, **known, scope="openid read")
    async with AuthEngine(url) as engine, AuthEngine(url) as other:
        token = await consent(vendors, engine.credential(vendor))
        assert (token.claims["iss"], token.claims["sub"]) == (server.issuer, server.settings.subject)
        assert (await other.credential(vendor).token()).claims == token.claims
        assert (await other.credential(vendor).refresh()).claims["sub"] == server.settings.subject


async def test_an_id_token_of_another_issuer(engine: AuthEngine, vendors: Vendors) -> None:
    """It is not that of the server that was asked: nobody is connected."""
    vendors.sandbox.oauth2.settings.iss = False
    credential = engine.credential(vendors.make("OAuth2", scope="openid", issuer="https://other.example"))
    with pytest.raises(MalformedResponse, match="id_token"):
        await consent(vendors, credential)
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


async def test_an_id_token_for_another_client(engine: AuthEngine, vendors: Vendors) -> None:
    """A user's, stolen where that user connected another app: nobody is connected here by it."""
    server = vendors.sandbox.oauth2
    public = {"client_id": server.settings.public_client_id, "client_secret": None}
    stolen = await consent(vendors, engine.credential(vendors.make("OAuth2", scope="openid", **public), "victim"))
    server.fault("token", act=True, members={"id_token": stolen.extra["id_token"]})
    credential = engine.credential(vendors.make("OAuth2", scope="openid"))
    with pytest.raises(MalformedResponse, match="aud"):
        await consent(vendors, credential)
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


async def test_a_second_consent(url: str, vendors: Vendors) -> None:
    """As at Google: the held refresh token goes on for the same user; of another one the error says how to ask."""
    server = vendors.sandbox.oauth2
    server.settings.refresh_at_each_consent = False
    vendor = vendors.make("OAuth2", scope="openid read")
    async with AuthEngine(url) as engine, AuthEngine(url) as other:
        credential = engine.credential(vendor)
        first = await consent(vendors, credential)
        second = await consent(vendors, other.credential(vendor))
        assert (second.access_token != first.access_token, second.refresh_token) == (True, first.refresh_token)
        server.settings.subject = "somebody-else"
        await consent(vendors, engine.credential(vendor, "theirs"))
        with pytest.raises(ReauthorizationRequired, match="prompt=consent"):
            await consent(vendors, credential)
        assert (await other.credential(vendor).token()).access_token == second.access_token
        assert (await credential.refresh()).claims["sub"] == "sandbox-user"
        asking = vendors.make("OAuth2", scope="openid read", authorize_extra={"prompt": "consent"})
        assert (await consent(vendors, engine.credential(asking))).refresh_token
    assert server.counts["refresh_reuse"] == 0
