"""What can be stated of a vendor: client authentication, discovery, rotation and PKCE, against the sandbox's authorization server."""

from __future__ import annotations

from typing import Any

import pytest

from linkauth import AuthEngine
from tests.front.vendors import Vendors


@pytest.mark.parametrize("auth", ["post", "basic", "none"])
@pytest.mark.parametrize("rotates", [True, False], ids=["rotating", "keeping"])
async def test_oauth2_by_each_client_authentication(
    engine: AuthEngine, vendors: Vendors, auth: str, *, rotates: bool
) -> None:
    """Code with PKCE, refresh and revocation, by post, basic and none, with a server that rotates and one that does not."""
    generic = vendors.sandbox.oauth2
    generic.settings.client_auth, generic.settings.rotates = [auth], rotates
    more: dict[str, Any] = {"client_auth": auth}
    if auth == "none":
        more |= {"client_id": generic.settings.public_client_id, "client_secret": None}
    credential = engine.credential(vendors.make("OAuth2", **more))
    first = await vendors.connect(credential)
    second = await credential.refresh()
    assert (second.refresh_token != first.refresh_token) is rotates
    async with credential.session() as session, session.get("me") as response:
        assert response.status == 200
    await credential.logout()
    assert generic.counts["revocations"] == 2
    assert generic.counts["refresh_reuse"] == generic.counts["status_401"] == 0


async def test_oauth2_basic_with_a_secret_that_needs_encoding(vendors: Vendors) -> None:
    """RFC 6749 §2.3.1: id and secret are form-encoded before they are joined."""
    generic = vendors.sandbox.oauth2
    generic.settings.client_id, generic.settings.client_secret = "an app:1", "p%s+s: ö/=&"
    async with AuthEngine() as engine:
        more = {"client_id": "an app:1", "client_secret": "p%s+s: ö/=&", "authorize_url": None}
        for auth in ("basic", "post"):
            generic.settings.client_auth = [auth]
            token = await engine.credential(vendors.make("OAuth2", client_auth=auth, **more), auth).token()
            assert token.scope == "read"


async def test_oauth2_discovered(engine: AuthEngine, vendors: Vendors) -> None:
    """``OAuth2.discover`` makes a vendor that works from the start to the logout, and checks the callback's ``iss``."""
    from linkauth import OAuth2, UntrustedEndpoint

    generic = vendors.sandbox.oauth2
    vendor = await OAuth2.discover(
        generic.issuer,
        client_id=generic.client_id,
        client_secret=generic.client_secret,
        name="acme",
        scope="read",
        api_url=generic.api_url,
    )
    credential = engine.credential(vendor)
    params = await vendors.callback(credential)
    for iss in ("https://evil.example", ""):
        with pytest.raises(UntrustedEndpoint):
            await engine.complete(vendor, {**params, "iss": iss})
    assert generic.counts["token_requests"] == 0
    assert (await credential.complete(params)).access_token
    await credential.logout()
    assert generic.counts["revocations"] == 2


async def test_a_stated_rotation_profile(vendors: Vendors) -> None:
    """A user may say that a vendor takes a spent token again for a while: a lost answer is then asked for at once."""
    from linkauth import RotationProfile

    generic = vendors.sandbox.oauth2
    generic.settings.replay_window = 30.0
    async with AuthEngine(timeout=3) as engine:
        profile = RotationProfile(rotates=True, replay_window=30.0)
        credential = engine.credential(vendors.make("OAuth2", rotation=profile))
        await vendors.connect(credential)
        generic.fault("token", drop=True, act=True)
        assert (await credential.refresh()).access_token
        assert generic.counts["replays"] == 1


async def test_pkce_of_linkkit_is_one_switch(engine: AuthEngine, vendors: Vendors) -> None:
    """Off: no challenge in the URL. On: one, and the verifier fits."""
    for pkce in (False, True):
        credential = engine.credential(vendors.make("Linkkit", pkce=pkce), f"pkce-{pkce}")
        url = await credential.authorization_url("http://127.0.0.1:1/callback")
        assert ("code_challenge=" in url) is pkce
        callback = vendors.sandbox.linkkit.consent(url)
        assert (await credential.complete(callback.params)).access_token
