"""The generic authorization server: one test per rule of its RFCs."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote_plus

import pytest

from tests.sandbox.talk import CHALLENGE, VERIFIER, claims, get, post, url

REDIRECT = "https://app.example.com/callback"


@pytest.fixture
def server(sandbox):
    sandbox.oauth2.settings.redirect_uris.append(REDIRECT)
    return sandbox.oauth2


def authorize_url(server, **changes):
    params = {
        "response_type": "code",
        "client_id": server.client_id,
        "redirect_uri": REDIRECT,
        "state": "s1",
        "scope": "read write",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return url(server.authorize_url, **{**params, **changes})


async def ask(server, http, **fields):
    plain = {"client_id": server.client_id, "client_secret": server.client_secret, **fields}
    return await post(http, server.token_url, data={n: v for n, v in plain.items() if v is not None})


async def exchange(server, http, code, **changes):
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return await ask(server, http, **{**fields, **changes})


async def connected(server, http):
    return (await exchange(server, http, server.consent(authorize_url(server)).params["code"]))[1]


async def refresh(server, http, token, **changes):
    return await ask(server, http, grant_type="refresh_token", refresh_token=token, **changes)


def basic(client_id, secret):
    return {"Authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()}


async def test_metadata_is_where_the_rfcs_say(sandbox, server, http):
    """RFC 8414 §3.1 puts it before the issuer's path, OpenID behind; the issuer is the one that was asked."""
    before = f"{sandbox.url}/.well-known/oauth-authorization-server/oauth2"
    behind = f"{server.issuer}/.well-known/openid-configuration"
    for place in (before, behind):
        _, body = await get(http, place)
        assert body["issuer"] == server.issuer
        assert body["token_endpoint"] == server.token_url
        assert body["revocation_endpoint"] == server.revoke_url
        assert body["code_challenge_methods_supported"] == ["S256"]
    server.settings.well_known = ["openid-configuration"]
    server.settings.metadata = {"issuer": "https://other.example.com", "revocation_endpoint": None}
    assert (await get(http, before))[0] == 404
    _, body = await get(http, behind)
    assert body["issuer"] == "https://other.example.com"
    assert "revocation_endpoint" not in body


async def test_client_credentials(server, http):
    """RFC 6749 §4.4: no refresh token; the scope is what was asked for, or all."""
    status, body = await ask(server, http, grant_type="client_credentials", scope="read")
    assert (status, body["scope"], body["token_type"], body["expires_in"]) == (200, "read", "Bearer", 3600)
    assert "refresh_token" not in body
    assert (await ask(server, http, grant_type="client_credentials"))[1]["scope"] == "read write"
    status, me = await get(http, f"{server.api_url}/me", body["access_token"])
    assert (status, me) == (200, {"client_id": server.client_id, "scope": "read"})


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "admin"}, 400, "invalid_scope"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": "sandbox-public", "client_secret": None}, 400, "unauthorized_client"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "authorization_code"}, 400, "invalid_request"),
    ],
)
async def test_token_errors(server, http, changes, status, error):
    """Each error of RFC 6749 §5.2."""
    answer = await ask(server, http, **{"grant_type": "client_credentials", **changes})
    assert (answer[0], answer[1]["error"]) == (status, error)


async def test_basic_authentication_is_form_encoded(sandbox, server, http):
    """RFC 6749 §2.3.1: both parts are form-encoded first; a wrong one is challenged (§5.2)."""
    server.settings.client_secret = "a:b c+d%/é"
    fields = {"grant_type": "client_credentials"}
    right = basic(quote_plus(server.client_id), quote_plus(server.client_secret))
    assert (await post(http, server.token_url, data=fields, headers=right))[0] == 200
    raw = basic(server.client_id, server.client_secret)
    async with http.post(server.token_url, data=fields, headers=raw) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic")
    both = {**fields, "client_id": server.client_id, "client_secret": server.client_secret}
    status, body = await post(http, server.token_url, data=both, headers=right)
    assert (status, body["error"]) == (400, "invalid_request")


async def test_ways_of_client_authentication_can_be_closed(server, http):
    """A server that takes only Basic refuses the secret in the body."""
    server.settings.client_auth = ["basic"]
    assert (await ask(server, http, grant_type="client_credentials"))[0] == 401


async def test_code_with_pkce_and_iss(server, http):
    """The callback carries ``iss`` (RFC 9207); the exchange needs the verifier (RFC 7636)."""
    params = server.consent(authorize_url(server)).params
    assert (params["iss"], params["state"]) == (server.issuer, "s1")
    assert (await exchange(server, http, params["code"], code_verifier=VERIFIER[::-1]))[1]["error"] == "invalid_grant"
    assert (await exchange(server, http, params["code"], code_verifier=None))[1]["error"] == "invalid_grant"
    status, body = await exchange(server, http, params["code"])
    assert (status, body["scope"]) == (200, "read write")
    assert "refresh_token" in body
    server.settings.iss = False
    assert "iss" not in server.consent(authorize_url(server)).params


async def test_pkce_is_required_unless_switched_off(server, http):
    """Without a challenge: invalid_request; allowed for confidential clients when the server says so."""
    bare = {"code_challenge": None, "code_challenge_method": None}
    assert server.consent(authorize_url(server, **bare)).params["error"] == "invalid_request"
    server.settings.require_pkce = False
    code = server.consent(authorize_url(server, **bare)).params["code"]
    assert (await exchange(server, http, code))[0] == 400  # a verifier without a challenge (RFC 9700 §2.1.1)
    assert (await exchange(server, http, code, code_verifier=None))[0] == 200
    public = authorize_url(server, **bare, client_id="sandbox-public")
    assert server.consent(public).params["error"] == "invalid_request"


async def test_public_client_needs_no_secret(server, http):
    """Code and refresh with the client id alone; another client's tokens are not its own."""
    public = {"client_id": "sandbox-public", "client_secret": None}
    code = server.consent(authorize_url(server, client_id="sandbox-public")).params["code"]
    assert (await exchange(server, http, code))[1]["error"] == "invalid_grant"
    _, body = await exchange(server, http, code, **public)
    assert (await refresh(server, http, body["refresh_token"]))[1]["error"] == "invalid_grant"
    assert (await refresh(server, http, body["refresh_token"], **public))[0] == 200


async def test_page_and_refusals(server, http):
    """The page's buttons answer; a refusal is access_denied; an unknown place is never redirected to."""
    async with http.get(authorize_url(server)) as response:
        ticket = (await response.text()).split('name="ticket" value="')[1].split('"')[0]
    target = f"{server.issuer}/authorize/answer"
    async with http.post(target, data={"ticket": ticket, "answer": "refuse"}, allow_redirects=False) as response:
        assert "error=access_denied" in response.headers["Location"]
    async with http.get(authorize_url(server, redirect_uri="https://evil.example.com/")) as response:
        assert response.status == 400
    assert server.consent(authorize_url(server, scope="admin")).params["error"] == "invalid_scope"
    assert server.consent(authorize_url(server, response_type="token")).params["error"] == "unsupported_response_type"


async def test_refresh_rotates_or_not(server, http):
    """Rotating: a new one each time, reuse ends the family. Not rotating: none in the answer, the old one stays."""
    first = await connected(server, http)
    _, second = await refresh(server, http, first["refresh_token"])
    assert (await refresh(server, http, first["refresh_token"]))[1]["error"] == "invalid_grant"
    assert (await refresh(server, http, second["refresh_token"]))[0] == 400
    assert server.counts["refresh_reuse"] == 1
    server.settings.rotates = False
    body = await connected(server, http)
    for _ in range(2):
        status, new = await refresh(server, http, body["refresh_token"])
        assert status == 200
        assert "refresh_token" not in new


async def test_replay_window_and_mild_reuse(sandbox, server, http):
    """Within the window the same successor comes again; reuse can be refused without ending the family."""
    server.settings.replay_window, server.settings.reuse_revokes = 5, False
    first = await connected(server, http)
    _, second = await refresh(server, http, first["refresh_token"])
    assert (await refresh(server, http, first["refresh_token"]))[1]["refresh_token"] == second["refresh_token"]
    sandbox.advance(6)
    assert (await refresh(server, http, first["refresh_token"]))[0] == 400
    assert (await refresh(server, http, second["refresh_token"]))[0] == 200


async def test_refresh_may_narrow_the_scope(server, http):
    """RFC 6749 §6: less is allowed, more is invalid_scope."""
    body = await connected(server, http)
    _, body = await refresh(server, http, body["refresh_token"], scope="read")
    assert body["scope"] == "read"
    assert (await refresh(server, http, body["refresh_token"], scope="admin"))[1]["error"] == "invalid_scope"


async def test_revocation(server, http):
    """RFC 7009: a refresh token takes its access tokens with it; an unknown token is a 200; others' are refused."""
    body = await connected(server, http)
    client = {"client_id": server.client_id, "client_secret": server.client_secret}
    public = {"client_id": "sandbox-public", "token": body["refresh_token"]}
    assert (await post(http, server.revoke_url, data=public))[0] == 400
    assert (await post(http, server.revoke_url, data=client))[0] == 400
    assert (await post(http, server.revoke_url, data={**client, "token": "unknown"}))[0] == 200
    assert (await post(http, server.revoke_url, data={**client, "token": body["refresh_token"]}))[0] == 200
    async with http.get(
        f"{server.api_url}/me", headers={"Authorization": f"Bearer {body['access_token']}"}
    ) as response:
        assert response.status == 401
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert server.counts["revocations"] == 1


async def test_an_id_token_comes_with_openid_alone(server, http):
    """OpenID Connect Core §2, §3.1.3.3, §12.2: for this client and user, with the nonce that was asked with, at a login."""
    assert "id_token" not in await connected(server, http)
    asked = authorize_url(server, scope="openid read", nonce="n-1")
    _, body = await exchange(server, http, server.consent(asked).params["code"])
    said = claims(body["id_token"])
    now = server.clock()
    assert (said["iss"], said["aud"], said["sub"], said["nonce"]) == (
        server.issuer,
        server.client_id,
        server.settings.subject,
        "n-1",
    )
    assert said["iat"] <= now < said["exp"]
    _, renewed = await refresh(server, http, body["refresh_token"])
    assert "nonce" not in claims(renewed["id_token"])
    status, _ = await ask(server, http, grant_type="client_credentials", scope="openid")
    assert status == 400


async def test_a_refresh_token_with_the_first_consent_alone(server, http):
    """As at Google: not with the second one of the same user, unless it was asked with ``prompt=consent``."""
    server.settings.refresh_at_each_consent = False
    answers = [await connected(server, http) for _ in range(2)]
    again = server.consent(authorize_url(server, prompt="consent"))
    answers.append((await exchange(server, http, again.params["code"]))[1])
    server.settings.subject = "somebody-else"
    answers.append(await connected(server, http))
    assert ["refresh_token" in answer for answer in answers] == [True, False, True, True]
