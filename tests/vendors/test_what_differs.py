"""One test for each row of "What differs, at a glance", in the words of that table."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, parse_qsl, urlsplit

import attrs
import pytest

from linkauth.errors import AccessDenied, InvalidClient, InvalidGrant, UnsupportedGrant
from linkauth.oauth.token import Secret
from linkauth.testing import play
from tests.vendors.vendor_answers import (
    BY_NAME,
    CURRENT,
    LINKKIT,
    LINKXG,
    PENDING,
    REDIRECT,
    ROOT,
    SAGE,
    SENT_AT,
    USER,
    answer,
    first,
    jwt,
)


def _form(request):
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.body.decode()))


def _json(request):
    assert request.headers["Content-Type"] == "application/json"
    return json.loads(request.body)


def test_grant():
    """Client credentials, e-mail and password, authorization code, pairing: nobody has another's flow."""
    assert _form(first(LINKXG.renew(None)))["grant_type"] == "client_credentials"
    assert _json(first(USER.login("a@example.com", Secret("pw")))) == {"email": "a@example.com", "password": "pw"}
    assert _form(first(LINKKIT.exchange({"code": "c"}, PENDING)))["grant_type"] == "authorization_code"
    assert _json(first(SAGE.exchange({"authorizationCode": "c"}, PENDING)))["grant_type"] == "authorization_code"
    for vendor in (LINKXG, LINKKIT, SAGE):
        with pytest.raises(UnsupportedGrant):
            vendor.login("a@example.com", Secret("pw"))
    for vendor in (LINKXG, USER):
        with pytest.raises(UnsupportedGrant):
            vendor.authorization_url(PENDING, state="s", challenge=None)


def test_token_request():
    """Form, JSON, form, JSON; each with the fields that the vendor's page prints, at the URL that it prints."""
    linkxg, user, linkkit, sage = (
        first(LINKXG.renew(None)),
        first(USER.renew(CURRENT)),
        first(LINKKIT.exchange({"code": "c"}, PENDING)),
        first(SAGE.exchange({"authorizationCode": "c"}, PENDING)),
    )
    client = {"client_id": "the-client", "client_secret": "canary-secret"}
    code = {"grant_type": "authorization_code", "code": "c", "redirect_uri": REDIRECT, **client}
    assert linkxg.url == "https://api.linkxg.com/api/v1/oauth/token"
    assert _form(linkxg) == {"grant_type": "client_credentials", "scope": "products:read", **client}
    assert user.url == "https://api.linkxg.com/api/v1/auth/refresh"
    assert _json(user) == {"refreshToken": "canary-refresh"}
    assert linkkit.url == "https://api.uselinkkit.com/oauth/token"
    assert _form(linkkit) == code
    assert sage.url == f"{ROOT}/token"
    assert _json(sage) == code
    renewal = {"grant_type": "refresh_token", "refresh_token": "canary-refresh", **client}
    assert _form(first(LINKKIT.renew(CURRENT))) == renewal
    assert _json(first(SAGE.renew(CURRENT))) == renewal


def test_names():
    """snake_case, camelCase in ``data``, no ``token_type``, snake_case: all of them end in the same Token."""
    for name in ("linkxg", "user-login", "linkkit-exchange", "sage-exchange"):
        token, _ = play(BY_NAME[name].flow(), BY_NAME[name].ok())
        assert token.access_token == "at-2"
        assert token.authorization == "Bearer at-2"
    assert play(BY_NAME["user-login"].flow(), BY_NAME["user-login"].ok())[0].extra["user"]["role"] == "ADMIN"
    for name in ("linkxg", "sage-exchange"):  # only where it is documented may it be missing
        assert "token_type" in str(BY_NAME[name].outcome(BY_NAME[name].ok(token_type=None)))


def test_access_lifetime():
    """900 s, 15 min not stated, 3600 s, 300 s, counted from the moment the request went out."""
    for name, seconds in {"linkxg": 900, "user-login": 900, "linkkit-exchange": 3600, "sage-exchange": 300}.items():
        token, _ = play(BY_NAME[name].flow(), BY_NAME[name].ok())
        assert token.expires_at == SENT_AT + seconds
    stated = BY_NAME["user-login"].ok(access_token=jwt(iat=5, exp=605))
    assert play(BY_NAME["user-login"].flow(), stated)[0].expires_at == SENT_AT + 600


def test_refresh_token():
    """None; rotates, 7 days; kept, no expiry stated; rotates, 2,678,400 s."""
    tokens = {name: play(case.flow(), case.ok())[0] for name, case in BY_NAME.items()}
    assert tokens["linkxg"].refresh_token is None
    assert (tokens["user-renew"].refresh_token, tokens["user-renew"].refresh_expires_at) == ("rt-2", SENT_AT + 604_800)
    assert (tokens["linkkit-exchange"].refresh_token, tokens["linkkit-exchange"].refresh_expires_at) == ("rt-2", None)
    assert tokens["linkkit-renew"].refresh_token == CURRENT.refresh_token
    assert tokens["linkkit-renew"].scope == CURRENT.scope
    assert (tokens["sage-renew"].refresh_token, tokens["sage-renew"].refresh_expires_at) == ("rt-2", SENT_AT + 2678400)
    assert [v.rotation.rotates for v in (LINKXG, USER, LINKKIT, SAGE)] == [False, True, False, True]
    assert all(v.rotation.replay_window == 0 and v.rotation.reuse_revokes for v in (USER, SAGE))


def test_callback():
    """Linkkit's page with ``response_type``; Sage's without, with ``customer``, and a day for the answer."""
    linkkit = urlsplit(LINKKIT.authorization_url(PENDING, state="st", challenge=None))
    assert linkkit.geturl().startswith("https://api.uselinkkit.com/oauth/authorize?")
    asked = {"response_type": ["code"], "client_id": ["the-client"], "redirect_uri": [REDIRECT], "state": ["st"]}
    assert parse_qs(linkkit.query) == {**asked, "scope": ["links"]}
    sage = urlsplit(SAGE.authorization_url(PENDING, state="st", challenge=None))
    assert sage.geturl().startswith(f"{ROOT}/token/authorise?")
    del asked["response_type"]
    extra = {"scope": ["businessDomain.ALL api.graphQL"], "customer": ["https://x3.customer.com"]}
    assert parse_qs(sage.query) == {**asked, **extra}
    assert (LINKKIT.pending_lifetime, SAGE.pending_lifetime) == (600, 86_400)
    for name in ("authorizationCode", "code"):
        assert _json(first(SAGE.exchange({name: "c"}, PENDING)))["code"] == "c"


def test_endpoint():
    """Fixed for three of them; Sage's is the credential's own from the exchange on, in every later renewal too."""
    region = "https://api.us-prod-sagex3.com/v1"
    elsewhere = attrs.evolve(CURRENT, endpoint=region)
    for vendor in (LINKXG, USER, LINKKIT):
        assert vendor.api(elsewhere) == vendor.api(None) == vendor.base_url
    flow = SAGE.exchange({"authorizationCode": "c", "state": "s", "endpoint": region}, PENDING)
    token, (request,) = play(flow, BY_NAME["sage-exchange"].ok())
    assert request.url == f"{region}/token"
    assert token.endpoint == SAGE.api(token) == region
    renewed, (request,) = play(SAGE.renew(token), BY_NAME["sage-renew"].ok(endpoint="https://evil.example.com/v1"))
    assert request.url == f"{region}/token"
    assert renewed.endpoint == region
    assert SAGE.api(None) == ROOT


def test_extra_verbs():
    """LinkXG rotates its client's secret, LinkXG users log out; nobody else has such a request."""
    secret, (request,) = play(LINKXG.rotate_secret(CURRENT), answer({"client_secret": "new"}))
    assert secret == Secret("new")
    assert request.url == "https://api.linkxg.com/api/v1/oauth/clients/the-client/rotate"
    assert request.headers["Authorization"] == "Bearer canary-access"
    _, (request,) = play(USER.logout(CURRENT), answer(b"", 204))
    assert (request.method, request.url) == ("POST", "https://api.linkxg.com/api/v1/auth/logout")
    assert request.headers["Authorization"] == "Bearer canary-access"
    for vendor in (LINKXG, LINKKIT, SAGE):
        assert play(vendor.logout(CURRENT)) == (None, [])
    for vendor in (USER, LINKKIT, SAGE):
        assert not vendor.rotates_secret
        with pytest.raises(UnsupportedGrant):
            vendor.rotate_secret(CURRENT)


def test_errors():
    """``{error, error_description}``, ``{success, error{code}}``, ``{error, error_description}``, ``{message}``."""
    said = {
        "linkxg": (InvalidClient, 401, {"error": "invalid_client", "error_description": "words"}),
        "user-renew": (
            InvalidGrant,
            401,
            {"success": False, "error": {"code": "REFRESH_TOKEN_REUSED", "message": "words"}},
        ),
        "linkkit-renew": (AccessDenied, 400, {"error": "access_denied", "error_description": "words"}),
        "sage-renew": (InvalidGrant, 403, {"message": "words: The request has expired."}),
    }
    for name, (kind, status, body) in said.items():
        error = BY_NAME[name].outcome(answer(body, status))
        assert type(error) is kind
        assert "words" in error.description
        assert error.status == status
