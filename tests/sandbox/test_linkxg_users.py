"""LinkXG's users and the rotation of client secrets: one test per rule."""

from __future__ import annotations

import pytest

from tests.sandbox.talk import claims, get, post


@pytest.fixture
def linkxg(sandbox):
    return sandbox.linkxg


async def login(linkxg, http, **changes):
    fields = {"email": linkxg.email, "password": linkxg.password, **changes}
    return await post(http, f"{linkxg.base_url}/auth/login", json=fields)


async def refresh(linkxg, http, token):
    return await post(http, f"{linkxg.base_url}/auth/refresh", json={"refreshToken": token})


async def client_token(linkxg, http, **changes):
    fields = {"grant_type": "client_credentials", "client_id": linkxg.client_id, "client_secret": linkxg.client_secret}
    return await post(http, f"{linkxg.base_url}/oauth/token", data={**fields, **changes})


async def test_login_is_as_documented(linkxg, http):
    """camelCase in an envelope, the user beside, and no expires_in."""
    status, body = await login(linkxg, http)
    assert (status, set(body), body["success"]) == (200, {"success", "data"}, True)
    assert set(body["data"]) == {"accessToken", "refreshToken", "user"}
    assert body["data"]["user"].keys() == {"id", "email", "role"}
    assert linkxg.counts["password"] == 1


async def test_access_token_says_when_it_expires(linkxg, http):
    """15 minutes from ``iat`` to ``exp``; ``iat`` can be switched off."""
    said = claims((await login(linkxg, http))[1]["data"]["accessToken"])
    assert said["exp"] - said["iat"] == 900
    linkxg.settings.jwt_iat = False
    assert "iat" not in claims((await login(linkxg, http))[1]["data"]["accessToken"])
    linkxg.settings.jwt_exp = False
    assert "exp" not in claims((await login(linkxg, http))[1]["data"]["accessToken"])


async def test_login_must_be_json(linkxg, http):
    """A form is refused in the envelope."""
    status, body = await post(http, f"{linkxg.base_url}/auth/login", data={"email": linkxg.email})
    assert (status, body["success"]) == (400, False)
    status, body = await login(linkxg, http, password=None)
    assert (status, body["error"]["code"]) == (400, "REQUIRED_FIELD_MISSING")
    assert set(body["error"]["details"]) == {"password"}
    status, body = await login(linkxg, http, password=7)
    assert (status, body["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert set(body["error"]["details"]) == {"password"}


@pytest.mark.parametrize("wrong", [{"email": "nobody@example.com"}, {"password": "wrong"}])
async def test_wrong_password_is_invalid_credentials(linkxg, http, wrong):
    """Which of the two was wrong is not told."""
    status, body = await login(linkxg, http, **wrong)
    assert (status, body["error"]["code"]) == (401, "INVALID_CREDENTIALS")


async def test_login_limit_is_ten_a_minute_per_address(sandbox, linkxg, http):
    """The eleventh is a 429 in the envelope, whoever tries."""
    for _ in range(10):
        assert (await login(linkxg, http, email="nobody@example.com"))[0] == 401
    async with http.post(f"{linkxg.base_url}/auth/login", json={"email": "a", "password": "b"}) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 0
        assert (await response.json())["success"] is False
    sandbox.advance(60)
    assert (await login(linkxg, http))[0] == 200


async def test_refresh_rotates(linkxg, http):
    """Each use brings a new refresh token and a new access token; the user is not repeated."""
    first = (await login(linkxg, http))[1]["data"]
    status, body = await refresh(linkxg, http, first["refreshToken"])
    assert (status, set(body["data"])) == (200, {"accessToken", "refreshToken"})
    assert body["data"]["refreshToken"] != first["refreshToken"]
    assert (await refresh(linkxg, http, body["data"]["refreshToken"]))[0] == 200
    assert linkxg.counts["refresh_token"] == 2


async def test_reuse_ends_the_whole_family(linkxg, http):
    """A spent refresh token is REFRESH_TOKEN_REUSED; its successor and the access tokens die with it."""
    first = (await login(linkxg, http))[1]["data"]
    other = (await login(linkxg, http))[1]["data"]
    second = (await refresh(linkxg, http, first["refreshToken"]))[1]["data"]
    status, body = await refresh(linkxg, http, first["refreshToken"])
    assert (status, body["error"]["code"]) == (401, "REFRESH_TOKEN_REUSED")
    status, body = await refresh(linkxg, http, second["refreshToken"])
    assert (status, body["error"]["code"]) == (401, "TOKEN_INVALID")
    status, body = await get(http, f"{linkxg.base_url}/products", second["accessToken"])
    assert (status, body["error"]["code"]) == (401, "TOKEN_INVALID")
    assert (await get(http, f"{linkxg.base_url}/products", other["accessToken"]))[0] == 200
    assert linkxg.counts["refresh_reuse"] == 1


async def test_replay_window_forgives(sandbox, linkxg, http):
    """With a window the spent token brings the same successor again, until the window ends or that was used."""
    linkxg.settings.replay_window = 10
    first = (await login(linkxg, http))[1]["data"]
    second = (await refresh(linkxg, http, first["refreshToken"]))[1]["data"]
    assert (await refresh(linkxg, http, first["refreshToken"]))[1]["data"]["refreshToken"] == second["refreshToken"]
    sandbox.advance(11)
    assert (await refresh(linkxg, http, first["refreshToken"]))[1]["error"]["code"] == "REFRESH_TOKEN_REUSED"
    assert linkxg.counts["replays"] == 1


async def test_refresh_token_lives_seven_days(sandbox, linkxg, http):
    """From each refresh anew; then TOKEN_EXPIRED."""
    data = (await login(linkxg, http))[1]["data"]
    sandbox.advance(7 * 86400 - 1)
    data = (await refresh(linkxg, http, data["refreshToken"]))[1]["data"]
    sandbox.advance(7 * 86400)
    status, body = await refresh(linkxg, http, data["refreshToken"])
    assert (status, body["error"]["code"]) == (401, "TOKEN_EXPIRED")


async def test_refresh_limit_is_thirty_a_minute_per_token(linkxg, http):
    """One token over and over is stopped; another is not concerned."""
    for _ in range(30):
        assert (await refresh(linkxg, http, "unknown"))[0] == 401
    assert (await refresh(linkxg, http, "unknown"))[0] == 429
    assert (await refresh(linkxg, http, "another"))[0] == 401


async def test_logout_ends_the_session(linkxg, http):
    """Access and refresh token are dead afterwards; a second logout is a 401."""
    data = (await login(linkxg, http))[1]["data"]
    headers = {"Authorization": f"Bearer {data['accessToken']}"}
    assert (await post(http, f"{linkxg.base_url}/auth/logout", headers=headers))[0] == 200
    assert (await refresh(linkxg, http, data["refreshToken"]))[1]["error"]["code"] == "TOKEN_INVALID"
    assert (await post(http, f"{linkxg.base_url}/auth/logout", headers=headers))[0] == 401
    assert linkxg.counts["logouts"] == 1


async def rotate(linkxg, http, bearer, client_id=None):
    target = f"{linkxg.base_url}/oauth/clients/{client_id or linkxg.client_id}/rotate"
    return await post(http, target, headers={"Authorization": f"Bearer {bearer}"})


async def test_rotation_kills_the_old_secret_at_once(linkxg, http):
    """The new secret is in the answer, and is the only one that works; tokens live on."""
    old = linkxg.client_secret
    bearer = (await client_token(linkxg, http))[1]["access_token"]
    status, body = await rotate(linkxg, http, bearer)
    assert (status, body["client_secret"]) == (200, linkxg.client_secret)
    assert (await client_token(linkxg, http, client_secret=old))[1]["error"] == "invalid_client"
    assert (await client_token(linkxg, http))[0] == 200
    assert (await get(http, f"{linkxg.base_url}/products", bearer))[0] == 200
    assert linkxg.counts["rotations"] == 1


@pytest.mark.parametrize("path", ["clientSecret", "secret", "data.client_secret", "data.clientSecret", "surprise"])
async def test_rotated_secret_can_be_anywhere(linkxg, http, path):
    """The answer's shape is not documented, so it can be set."""
    linkxg.settings.rotated_as = path
    _, body = await rotate(linkxg, http, (await client_token(linkxg, http))[1]["access_token"])
    for name in path.split("."):
        body = body[name]
    assert body == linkxg.client_secret


async def test_rotation_is_for_those_who_may(linkxg, http):
    """Not without a token, not for another's client, not by a mere member."""
    assert (await rotate(linkxg, http, "nonsense"))[0] == 401
    other = linkxg.add_client()
    bearer = (await client_token(linkxg, http))[1]["access_token"]
    assert (await rotate(linkxg, http, bearer, other.client_id))[1]["error"]["code"] == "TENANT_MISMATCH"
    member = linkxg.add_user(role="MEMBER")
    data = (await login(linkxg, http, email=member.email, password=member.password))[1]["data"]
    assert (await rotate(linkxg, http, data["accessToken"]))[1]["error"]["code"] == "INSUFFICIENT_PERMISSIONS"
    assert linkxg.counts["rotations"] == 0
