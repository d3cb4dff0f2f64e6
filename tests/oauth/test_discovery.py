"""RFC 8414 and OpenID discovery: whose metadata it is decides whether it is believed."""

from __future__ import annotations

import json

import pytest

from linkauth.errors import ConfigurationError, MalformedResponse, RateLimited, UntrustedEndpoint, VendorUnavailable
from linkauth.oauth.discovery import discovery
from linkauth.oauth.exchange import Response
from linkauth.testing import play

ISSUER = "https://auth.example.com/tenant"
GOOD = {"issuer": ISSUER, "token_endpoint": "https://login.example.com/token"}
MISSING = Response(status=404, body=b"<html>")


def _said(**members):
    return Response(status=200, body=json.dumps({**GOOD, **members}).encode())


def test_where_it_is_looked_for():
    """RFC 8414 §3.1 puts the well-known part before the path, OpenID behind it."""
    metadata, (first, second) = play(discovery(ISSUER), MISSING, _said())
    assert metadata.token_endpoint == "https://login.example.com/token"
    assert (first.method, first.url) == (
        "GET",
        "https://auth.example.com/.well-known/oauth-authorization-server/tenant",
    )
    assert second.url == "https://auth.example.com/tenant/.well-known/openid-configuration"
    slash = _said(issuer="https://auth.example.com/")
    _, (only,) = play(discovery("https://auth.example.com/"), slash)
    assert only.url == "https://auth.example.com/.well-known/oauth-authorization-server"


@pytest.mark.parametrize(
    "page",
    [MISSING, Response(status=200, body=b"<html>"), Response(status=200, body=b"[]"), Response(status=302)],
    ids=str,
)
def test_a_server_that_has_only_the_other(page):
    """404, a page for everything, a redirect (which is not followed): the second place is asked."""
    assert play(discovery(ISSUER), page, _said())[0].issuer == ISSUER
    with pytest.raises(MalformedResponse):
        play(discovery(ISSUER), page, page)


def test_a_server_that_is_ill():
    """5xx and 429 are no reason to ask elsewhere."""
    with pytest.raises(VendorUnavailable):
        play(discovery(ISSUER), Response(status=503))
    with pytest.raises(RateLimited):
        play(discovery(ISSUER), Response(status=429, headers={"retry-after": "5"}))


@pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER.upper(), "https://evil.example.com", ""])
def test_another_issuers_metadata(issuer):
    """RFC 8414 §3.3: identical, or not used."""
    with pytest.raises(UntrustedEndpoint):
        play(discovery(ISSUER), _said(issuer=issuer))


@pytest.mark.parametrize("name", ["token_endpoint", "authorization_endpoint", "revocation_endpoint"])
@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/t",
        "https://u@login.example.com",
        "https://127.0.0.1/t",
        "http://localhost/t",
        "",
        "x",
        "https://localhost/t",
        "https://x.localhost/t",
        "https://[::1]/t",
        "https://[::ffff:127.0.0.1]/t",
        "https://0.0.0.0/t",
        "https://[::]/t",
        "https://10.1.2.3/t",
        "https://172.16.0.1/t",
        "https://192.168.0.1/t",
        "https://169.254.169.254/t",
        "https://[fe80::1]/t",
        "https://[fc00::1]/t",
        "https://[fd12:3456::1]/t",
        "https://100.64.0.1/t",
        "https://[64:ff9b::7f00:1]/t",
        "https://[2002:7f00:1::]/t",
        "https://224.0.0.1/t",
        "https://203.0.113.9/t",
        "https://2130706433/t",
        "https://127.1/t",
        "https://0x7f.1/t",
        "https://metadata/t",
        "https://login.example.com./t",
        "https://login%2eexample.com/t",
        "https://login.example.com:0/t",
        "https://login.exämple.com/t",
        "https://login.example.com#@127.0.0.1/t",
        "//login.example.com/t",
    ],
)
def test_an_endpoint_that_no_secret_may_go_to(name, url):
    """https to what has a name: a server elsewhere names nothing on this machine, and nothing in its network."""
    with pytest.raises(UntrustedEndpoint):
        play(discovery(ISSUER), _said(**{name: url}))


@pytest.mark.parametrize(
    "issuer", ["https://10.1.2.3:8443", "https://[fd12:3456::1]", "https://login", "https://a.internal"]
)
def test_an_issuer_in_ones_own_network(issuer):
    """It may name its own host, at any port, and what has a name; another address it may not."""
    host = issuer.removesuffix(":8443")
    for url in (f"{host}:9443/token", "https://login.example.com/token", "https://xn--bcher-kva.example/token"):
        assert play(discovery(issuer), _said(issuer=issuer, token_endpoint=url))[0].token_endpoint == url
    for url in (
        "https://10.1.2.4/token",
        "https://[fd12:3456::2]/token",
        "https://127.0.0.1/token",
        "https://other/token",
    ):
        with pytest.raises(UntrustedEndpoint):
            play(discovery(issuer), _said(issuer=issuer, token_endpoint=url))


def test_an_issuer_on_this_machine():
    """Sandboxes: http, and endpoints beside it."""
    local = {"issuer": "http://127.0.0.1:8080", "token_endpoint": "http://127.0.0.1:8081/token"}
    metadata, (request,) = play(discovery("http://127.0.0.1:8080"), _said(**local))
    assert request.url == "http://127.0.0.1:8080/.well-known/oauth-authorization-server"
    assert metadata.token_endpoint == local["token_endpoint"]


@pytest.mark.parametrize(
    "issuer", ["http://auth.example.com", "auth.example.com", "https://a.example.com?x", "https://a#b", ""]
)
def test_an_issuer_that_is_none(issuer):
    """Refused before anything is asked."""
    with pytest.raises(ConfigurationError):
        next(discovery(issuer))


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": ["https://a.example.com"]},
        {"authorization_endpoint": 5},
        {"token_endpoint_auth_methods_supported": "client_secret_basic"},
        {"token_endpoint_auth_methods_supported": [5]},
        {"authorization_response_iss_parameter_supported": "true"},
    ],
    ids=str,
)
def test_members_of_wrong_types(wrong):
    """Named, and refused."""
    (name,) = wrong
    with pytest.raises(MalformedResponse, match=name):
        play(discovery(ISSUER), _said(**wrong))
