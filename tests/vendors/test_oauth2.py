"""Any RFC 6749 vendor."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

import attrs
import pytest

from linkauth.errors import (
    ConfigurationError,
    InvalidClient,
    InvalidRequest,
    UnsupportedGrant,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth.discovery import Metadata
from linkauth.oauth.exchange import Response
from linkauth.testing import play
from linkauth.vendors import OAuth2, RotationProfile
from tests.vendors.vendor_answers import BY_NAME, CURRENT, MACHINE, OTHER, PENDING, answer, first, nothing_sent

TOKEN = "https://auth.example.com/token"
ISSUER = "https://auth.example.com"
GRANTED = BY_NAME["oauth2-renew"].ok()


def _form(request):
    return dict(parse_qsl(request.body.decode()))


def _basic(request):
    client, _, secret = (
        base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
    )
    return unquote_plus(client), unquote_plus(secret)


def test_client_authentication():
    """Post, basic with the form-encoding of RFC 6749 §2.3.1, and none."""
    odd = {"name": "n", "client_id": "a:b c", "token_url": TOKEN, "authorize_url": "https://auth.example.com/a"}
    post = first(OAuth2(**odd, client_secret="s:ä&").renew(CURRENT))
    assert (_form(post)["client_id"], _form(post)["client_secret"]) == ("a:b c", "s:ä&")
    assert "Authorization" not in post.headers
    basic = first(OAuth2(**odd, client_secret="s:ä&", client_auth="basic").renew(CURRENT))
    assert _basic(basic) == ("a:b c", "s:ä&")
    assert base64.b64decode(basic.headers["Authorization"][6:]) == b"a%3Ab+c:s%3A%C3%A4%26"
    assert not {"client_id", "client_secret"} & _form(basic).keys()
    for public in (OAuth2(**odd), OAuth2(**odd, client_auth="none")):
        none = first(public.renew(CURRENT))
        assert _form(none) == {"grant_type": "refresh_token", "refresh_token": "canary-refresh", "client_id": "a:b c"}
        assert "Authorization" not in none.headers


def test_without_an_authorize_url_it_is_client_credentials():
    """No user, no page, no PKCE; renewal is the same request again, whatever token there was."""
    assert (MACHINE.needs_user, MACHINE.uses_pkce, MACHINE.rotation.rotates) == (False, False, False)
    assert _form(first(MACHINE.renew(CURRENT)))["grant_type"] == "client_credentials"
    nothing_sent(MACHINE.exchange({"code": "c"}, PENDING), UnsupportedGrant)
    with pytest.raises(UnsupportedGrant):
        MACHINE.authorization_url(PENDING, state="s", challenge=None)


def test_pkce_is_on_unless_switched_off():
    """S256 by default (RFC 9700 §2.1.1)."""
    assert OTHER.uses_pkce
    assert not attrs.evolve(OTHER, pkce=False).uses_pkce
    query = parse_qs(urlsplit(OTHER.authorization_url(PENDING, state="s", challenge="ch")).query)
    assert (query["code_challenge"], query["code_challenge_method"], query["response_type"]) == (
        ["ch"],
        ["S256"],
        ["code"],
    )
    assert _form(first(BY_NAME["oauth2-exchange"].flow()))["code_verifier"] == "canary-verifier"


def test_a_client_without_a_secret_cannot_do_without_pkce():
    """Nothing else would bind a code to it (RFC 9700 §2.1.1)."""
    with pytest.raises(ConfigurationError, match="needs PKCE"):
        attrs.evolve(OTHER, client_secret=None, client_auth="none", pkce=False)


def test_a_new_refresh_token_replaces_the_old_one():
    """Rotating or not is taken from the answers; how careful to be is stated, or assumed."""
    assert play(OTHER.renew(CURRENT), GRANTED)[0].refresh_token == "rt-2"
    same = BY_NAME["oauth2-renew"].ok(refresh_token=None)
    assert play(OTHER.renew(CURRENT), same)[0].refresh_token == CURRENT.refresh_token
    assert OTHER.rotation == RotationProfile(rotates=True)
    stated = RotationProfile(rotates=True, replay_window=30.0, reuse_revokes=False)
    assert attrs.evolve(OTHER, rotation=stated).rotation is stated


def test_a_lifetime_for_answers_that_state_none():
    """RFC 6749 §5.1 lets ``expires_in`` be missing: then it is the user's to say."""
    case = BY_NAME["oauth2-renew"]
    stated = attrs.evolve(OTHER, lifetime=1234.0)
    token, _ = play(stated.renew(CURRENT), case.ok(expires_in=None))
    assert token.expires_at - token.issued_at == 1234
    token, _ = play(stated.renew(CURRENT), case.ok())
    assert token.expires_at - token.issued_at == 60


def test_extra_parameters():
    """``extra`` goes everywhere, ``authorize_extra`` to the page alone, and an authorize_url's own query stays."""
    vendor = attrs.evolve(
        OTHER,
        authorize_url="https://auth.example.com/authorize?tenant=t",
        extra={"audience": "api"},
        authorize_extra={"prompt": "consent"},
    )
    query = parse_qs(urlsplit(vendor.authorization_url(PENDING, state="s", challenge=None)).query)
    assert (query["tenant"], query["audience"], query["prompt"]) == (["t"], ["api"], ["consent"])
    for flow in (vendor.renew(CURRENT), vendor.exchange({"code": "c"}, PENDING)):
        form = _form(first(flow))
        assert form["audience"] == "api"
        assert "prompt" not in form


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a/b"},
        {"name": "ä"},
        {"name": "x" * 65},
        {"client_auth": "jwt"},
        {"client_auth": "none"},
        {"client_secret": None, "authorize_url": "https://a.example.com", "client_auth": "basic"},
        {"client_secret": None},
        {"iss_required": True},
        {"lifetime": 0},
        {"lifetime": -1.0},
        {"lifetime": float("nan")},
        {"lifetime": 1e12},
        {"extra": {"state": "x"}},
        {"extra": {"a": 5}},
        {"extra": {"a": "b\nc"}},
        {"authorize_extra": {"client_id": "x"}},
    ],
    ids=str,
)
def test_arguments_that_cannot_work(wrong):
    """Said when it is made."""
    with pytest.raises(ConfigurationError):
        OAuth2(**{"name": "n", "client_id": "c", "client_secret": "s", "token_url": TOKEN, **wrong})


def test_the_callbacks_issuer():
    """RFC 9207: another issuer's answer is refused before its code, or its refusal, is believed."""
    vendor = attrs.evolve(OTHER, issuer=ISSUER)
    strict = attrs.evolve(vendor, iss_required=True)
    for iss in (ISSUER + "/", "https://evil.example.com", ISSUER.upper()):
        for params in ({"code": "c", "iss": iss}, {"error": "access_denied", "iss": iss}):
            nothing_sent(vendor.exchange(params, PENDING), UntrustedEndpoint)
    nothing_sent(vendor.exchange({"code": "c", "iss": [ISSUER]}, PENDING), InvalidRequest)
    nothing_sent(strict.exchange({"code": "c"}, PENDING), UntrustedEndpoint)
    assert first(strict.exchange({"code": "c", "iss": ISSUER}, PENDING))
    assert first(vendor.exchange({"code": "c"}, PENDING))
    assert first(OTHER.exchange({"code": "c", "iss": "https://whoever.example.com"}, PENDING))


def test_logout_revokes_both_tokens():
    """RFC 7009, the refresh token first, and the client shows who it is."""
    _, (refresh, access) = play(OTHER.logout(CURRENT), answer(b""), answer(b""))
    assert _form(refresh) == {"token": "canary-refresh", "token_type_hint": "refresh_token"}
    assert _form(access) == {"token": "canary-access", "token_type_hint": "access_token"}
    assert _basic(refresh) == _basic(access) == ("the-client", "canary-secret")
    assert refresh.url == access.url == "https://auth.example.com/revoke"
    assert play(attrs.evolve(OTHER, revoke_url=None).logout(CURRENT)) == (None, [])
    _, asked = play(OTHER.logout(attrs.evolve(CURRENT, refresh_token=None)), answer(b""))
    assert len(asked) == 1


def test_a_logout_that_is_refused():
    """The access token is revoked all the same, and the refusal raised; what the server cannot revoke is no error."""
    refused, unsupported = answer({"error": "invalid_client"}, 401), answer({"error": "unsupported_token_type"}, 400)
    with pytest.raises(InvalidClient):
        play(OTHER.logout(CURRENT), refused, answer(b""))
    assert len(play(OTHER.logout(CURRENT), answer(b""), unsupported)[1]) == 2
    with pytest.raises(VendorUnavailable):
        play(OTHER.logout(CURRENT), answer(b"", 503))


def test_where_calls_go():
    """``api_url``, else the origin of the token endpoint."""
    assert attrs.evolve(OTHER, api_url="https://api.example.com/v2/").api(None) == "https://api.example.com/v2"
    assert OTHER.api(CURRENT) == "https://auth.example.com"
    assert attrs.evolve(OTHER, token_url="http://[::1]:8080/t?x=1").api(None) == "http://[::1]:8080"


METADATA = Metadata(
    issuer=ISSUER,
    token_endpoint=TOKEN,
    authorization_endpoint="https://auth.example.com/authorize",
    revocation_endpoint="https://auth.example.com/revoke",
    authorization_response_iss_parameter_supported=True,
)


def test_from_metadata():
    """Endpoints, issuer and ``iss`` come from the metadata; what the caller states goes before."""
    vendor = OAuth2.from_metadata(METADATA, name="n", client_id="c", client_secret="s")
    assert (vendor.token_url, vendor.issuer, vendor.iss_required, vendor.client_auth) == (TOKEN, ISSUER, True, "basic")
    assert vendor.needs_user
    machine = OAuth2.from_metadata(METADATA, name="n", client_id="c", client_secret="s", authorize_url=None)
    assert not machine.needs_user
    assert OAuth2.from_metadata(METADATA, name="n", client_id="c").client_secret is None


@pytest.mark.parametrize(
    ("methods", "auth"),
    [
        (None, "basic"),
        (["client_secret_post"], "post"),
        (["client_secret_post", "client_secret_basic"], "basic"),
        (["private_key_jwt"], None),
    ],
)
def test_client_authentication_from_metadata(methods, auth):
    """RFC 8414 §2: basic where nothing is said; what linkauth cannot do is said."""
    metadata = attrs.evolve(METADATA, token_endpoint_auth_methods_supported=methods)
    arguments = {"name": "n", "client_id": "c", "client_secret": "s"}
    if auth is None:
        with pytest.raises(ConfigurationError):
            OAuth2.from_metadata(metadata, **arguments)
        assert OAuth2.from_metadata(metadata, **arguments, client_auth="post").client_auth == "post"
    else:
        assert OAuth2.from_metadata(metadata, **arguments).client_auth == auth


def test_a_revocations_body_is_of_no_interest():
    """RFC 7009 §2.2: a 200 says that the token is gone, be its body empty, a page or anything; a no in words is still heard."""
    for body in (b"", b"<html></html>", b"done"):
        said = Response(status=200, headers={"content-type": "text/html; charset=utf-8"}, body=body)
        assert play(OTHER.logout(CURRENT), said, said)[0] is None
    with pytest.raises(InvalidClient):
        play(OTHER.logout(CURRENT), *[answer({"error": "invalid_client"}, 200)] * 2)
