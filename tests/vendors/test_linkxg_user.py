"""LinkXG's users: the lifetime that no answer states, the user, the password that nobody keeps."""

from __future__ import annotations

import attrs
import pytest

from linkauth.errors import InvalidToken
from linkauth.oauth.token import Secret
from linkauth.testing import play
from tests.vendors.vendor_answers import BY_NAME, CURRENT, SENT_AT, USER, answer, enveloped, jwt

LOGIN = BY_NAME["user-login"]


def _lifetime(access_token):
    token, _ = play(LOGIN.flow(), LOGIN.ok(access_token=access_token))
    return token.expires_at - token.issued_at


@pytest.mark.parametrize(
    ("claims", "seconds"),
    [
        ({"iat": 1000, "exp": 1900}, 900),
        ({"iat": SENT_AT - 86_400, "exp": SENT_AT - 86_400 + 600}, 600),
        ({"exp": SENT_AT + 120}, 120),
        ({"exp": SENT_AT + 120.5}, 120.5),
    ],
    ids=["by iat", "a vendor whose clock is a day late", "without iat", "a fraction"],
)
def test_the_lifetime_is_the_tokens_own(claims, seconds):
    """``exp - iat`` counts from the moment the request went out, so that a wrong clock does no harm."""
    assert _lifetime(jwt(**claims)) == seconds


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b",
        "a.b.c",
        "..",
        "a.bnVsbA.c",
        jwt(),
        jwt(exp="1900"),
        jwt(exp=True),
        jwt(exp=None),
        jwt(exp=-5),
        jwt(exp=1e300),
        jwt(exp=float("nan")),
        jwt(iat=2000, exp=1000),
        jwt(exp=SENT_AT - 1),
        jwt(iat=0, exp=9e10),
        jwt(exp=SENT_AT + 60, junk="x" * 100_000),
    ],
    ids=lambda token: token[:12],
)
def test_else_it_is_the_documented_one(token):
    """No JWT, no ``exp``, or one that makes no sense: 900 s."""
    assert _lifetime(token) == 900


def test_a_wrong_iat_is_as_none():
    """An ``iat`` that is no date leaves ``exp`` by itself."""
    assert _lifetime(jwt(iat="x", exp=SENT_AT + 60)) == 60


def test_the_user_stays():
    """A renewal that says nothing of the user keeps the one that is known; a newer one replaces it."""
    kept, _ = play(USER.renew(CURRENT), BY_NAME["user-renew"].ok())
    assert kept.extra["user"] == {"id": "1"}
    new, _ = play(USER.renew(CURRENT), BY_NAME["user-renew"].ok(user={"id": "2"}))
    assert new.extra["user"] == {"id": "2"}
    odd, _ = play(USER.renew(CURRENT), BY_NAME["user-renew"].ok(user="nobody"))
    assert odd.extra["user"] == {"id": "1"}


def test_a_renewal_without_a_new_refresh_token_keeps_the_old():
    """Not documented, and no reason to throw a good access token away."""
    token, _ = play(USER.renew(CURRENT), BY_NAME["user-renew"].ok(refresh_token=None))
    assert (token.refresh_token, token.refresh_expires_at) == (CURRENT.refresh_token, CURRENT.refresh_expires_at)


def test_the_password_is_kept_nowhere():
    """It is in the one request; the token, the vendor and the finished flow have nothing of it."""
    flow = USER.login("a@example.com", Secret("canary-password"))
    token, (request,) = play(flow, LOGIN.ok())
    assert b"canary-password" in request.body
    assert flow.gi_frame is None
    for value in (token, USER):
        held = [getattr(value, field.name) for field in attrs.fields(type(value))]
        assert "canary-password" not in "".join(map(str, held))


def test_data_that_is_no_object():
    """An envelope without an object in it has no token in it."""
    for data in (None, [], "x", 5):
        assert "access_token" in str(LOGIN.outcome(answer({"success": True, "data": data})))
    assert enveloped(access_token="a")["data"] == {"accessToken": "a"}


def test_a_session_that_was_left_idle_is_ended_all_the_same():
    """LinkXG takes a live token at its logout: one that has expired is renewed first, and only then."""
    expired = answer({"success": False, "error": {"code": "TOKEN_EXPIRED", "message": "no"}}, 401)
    renewed = answer({"success": True, "data": {"accessToken": "at-9", "refreshToken": "rt-9"}})
    _, requests = play(USER.logout(CURRENT), expired, renewed, answer(b"", 204))
    assert [request.url.rpartition("/")[2] for request in requests] == ["logout", "refresh", "logout"]
    assert requests[2].headers["Authorization"] == "Bearer at-9"
    with pytest.raises(InvalidToken):
        play(USER.logout(attrs.evolve(CURRENT, refresh_token=None)), expired)
