"""The ID Token beside a login: nonce, issuer and audience are those of this authorization."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from linkauth.errors import ConfigurationError, MalformedResponse
from linkauth.testing import play
from linkauth.vendors import Dialect, OAuth2, Pending
from tests.vendors.vendor_answers import OTHER, REDIRECT, SENT_AT, answer, flat, jwt

ISSUER = "https://auth.example.com"
OPENID = attrs.evolve(OTHER, scope="openid email", issuer=ISSUER)
PENDING = Pending(redirect_uri=REDIRECT, scope="openid email", nonce="n-1")
GOOD = {"iss": ISSUER, "aud": "the-client", "sub": "7", "nonce": "n-1", "iat": SENT_AT, "exp": SENT_AT + 3600}
GRANTED = {"access_token": "at-2", "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt-2"}


def _login(claims, vendor=OPENID, pending=PENDING):
    brought = answer(flat(**GRANTED, id_token=jwt(**claims) if isinstance(claims, dict) else claims))
    return play(vendor.exchange({"code": "c"}, pending), brought)[0]


def _renewed(token, **claims):
    return play(OPENID.renew(token), answer(flat(**GRANTED, id_token=jwt(**claims) if claims else None)))[0]


def test_a_nonce_goes_with_openid_alone():
    """OpenID Connect Core §3.1.2.1: sent where an ID Token is asked for; never one of the app's own."""
    query = parse_qs(urlsplit(OPENID.authorization_url(PENDING, state="s", challenge=None)).query)
    assert query["nonce"] == ["n-1"]
    assert [OPENID.uses_nonce(scope) for scope in ("openid", "email openid", "email", "", "openid2")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    with pytest.raises(ConfigurationError):
        attrs.evolve(OTHER, authorize_extra={"nonce": "fixed"})


@pytest.mark.parametrize(
    "claims",
    [
        GOOD,
        {**GOOD, "aud": ["the-client"]},
        {**GOOD, "aud": ["x", "the-client"], "azp": "the-client"},
        {**GOOD, "azp": "the-client"},
        {**GOOD, "sub": "x" * 255},
        {**GOOD, "iat": SENT_AT + 200.5, "exp": SENT_AT - 200},  # by clocks that are a little apart
    ],
    ids=str,
)
def test_claims_of_an_id_token_that_was_checked(claims):
    """They are the token's, and its repr shows none of them."""
    token = _login(claims)
    assert token.claims == claims
    assert "n-1" not in repr(token)
    assert token.extra["id_token"] == jwt(**claims)


@pytest.mark.parametrize(
    "claims",
    [{**GOOD, "nonce": wrong} for wrong in ("n-2", "", None, 5, ["n-1"], "n-1\u00e4")]
    + [{name: value for name, value in GOOD.items() if name != left} for left in GOOD]
    + [{**GOOD, "sub": wrong} for wrong in ("", None, 7, ["7"], "x" * 256)]
    + [{**GOOD, "iss": wrong} for wrong in (ISSUER + "/", "https://evil.example.com", None)]
    + [{**GOOD, "aud": wrong} for wrong in ("other", ["other"], [], None, {"the-client": 1}, "the-client other")]
    + [{**GOOD, "exp": wrong} for wrong in (SENT_AT - 3600, SENT_AT - 300, 0, "tomorrow", None, True)]
    + [{**GOOD, "iat": wrong} for wrong in (SENT_AT - 100_000, SENT_AT + 100_000, SENT_AT * 1000, "now", None)]
    + [{**GOOD, "azp": wrong} for wrong in ("other", "", None, ["the-client"])]
    + [
        {**GOOD, "aud": ["the-client", "other"]},
        {**GOOD, "aud": ["the-client", "other"], "azp": "other"},
        {},
        "no JWT",
        "a.b.c",
        "",
        5,
    ],
    ids=str,
)
def test_an_id_token_of_something_else(claims):
    """Another authorization's, issuer's or client's: no token comes of it, and the error shows no value."""
    with pytest.raises(MalformedResponse, match="id_token") as caught:
        _login(claims)
    assert caught.value.salvage is None
    assert not [word for word in ("evil", "n-2", "other@", "at-2") if word in str(caught.value)]


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "None"}, {"alg": ""}, {"alg": None}, {"alg": 5}, {}], ids=str
)
def test_an_id_token_that_nobody_signed(header):
    """OpenID Connect Core §2: only a client that asked for ``none`` when it registered is sent one; and a JWS names its algorithm."""
    with pytest.raises(MalformedResponse, match="id_token's"):
        _login(jwt(header, **GOOD))


def test_what_is_not_known_is_not_compared():
    """Without an issuer, and for an authorization that an earlier release began without a nonce."""
    assert (
        _login({**GOOD, "iss": "https://whoever.example.com"}, attrs.evolve(OPENID, issuer=None)).claims["sub"] == "7"
    )
    assert _login({**GOOD, "nonce": "x"}, pending=attrs.evolve(PENDING, nonce=None)).claims["sub"] == "7"


def test_no_claims_without_a_check():
    """No ID Token, or one that nobody asked for: there are none."""
    assert play(OPENID.exchange({"code": "c"}, PENDING), answer(flat(**GRANTED)))[0].claims == {}
    assert _login("whatever", OTHER, attrs.evolve(PENDING, scope="email", nonce=None)).claims == {}


def test_claims_after_a_renewal():
    """They stay; a new ID Token of the same user brings newer ones, one of somebody else brings none and costs nothing."""
    token = _login(GOOD)
    assert _renewed(token).claims == GOOD
    newer = {**GOOD, "email": "new@example.com"}
    assert _renewed(token, **newer).claims == newer
    for wrong in (
        {"sub": "8"},
        {"sub": None},
        {"exp": 1},
        {"iat": None},
        {"aud": "other"},
        {"iss": "https://evil.example.com"},
    ):
        renewed = _renewed(token, **{**newer, **wrong})
        assert (renewed.access_token, renewed.claims) == ("at-2", GOOD)


def test_a_machine_asks_for_none():
    """Client credentials have no authorization, so no nonce and no claims."""
    machine = OAuth2(name="m", client_id="c", client_secret="s", token_url=f"{ISSUER}/token", scope="openid")
    token, _ = play(machine.renew(None), answer(flat(**{**GRANTED, "id_token": "x"})))
    assert token.claims == {}


def test_what_the_callback_says_of_the_user_is_not_believed():
    """An ``id_token`` of the front channel makes no claims, and nobody can have it kept as if it were the endpoint's."""
    params = {"code": "c", "id_token": jwt(**GOOD)}
    token, _ = play(OPENID.exchange(params, PENDING), answer(flat(**GRANTED)))
    assert token.claims == {}
    assert "id_token" not in token.extra
    with pytest.raises(ConfigurationError, match="id_token"):
        Dialect(keep_params=("id_token",))
