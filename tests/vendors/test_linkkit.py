"""Linkkit: PKCE by one switch, and a renewal that loses nothing."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, urlsplit

import attrs
import pytest

from linkauth.errors import ConfigurationError
from linkauth.testing import play
from linkauth.vendors import Linkkit, Pending
from tests.vendors.vendor_answers import BY_NAME, CURRENT, LINKKIT, PENDING

PKCE = Linkkit(client_id="c", client_secret="s", pkce=True)


def test_pkce_is_one_switch():
    """Off by default, for Linkkit does not document it; on, challenge and verifier go their ways."""
    assert (LINKKIT.uses_pkce, PKCE.uses_pkce) == (False, True)
    plain = parse_qs(urlsplit(LINKKIT.authorization_url(PENDING, state="s", challenge=None)).query)
    assert "code_challenge" not in plain
    query = parse_qs(urlsplit(PKCE.authorization_url(PENDING, state="s", challenge="ch")).query)
    assert (query["code_challenge"], query["code_challenge_method"]) == (["ch"], ["S256"])
    verified = attrs.evolve(PENDING, verifier="the-verifier")
    assert (
        dict(parse_qsl(next(PKCE.exchange({"code": "c"}, verified)).body.decode()))["code_verifier"] == "the-verifier"
    )
    assert b"code_verifier" not in next(LINKKIT.exchange({"code": "c"}, PENDING)).body


def test_the_scope_of_one_authorization():
    """What was asked for this time goes before what is usual, and is granted unless the answer says otherwise."""
    wider = Pending(redirect_uri="https://app.example.com/cb", scope="links stats")
    query = parse_qs(urlsplit(LINKKIT.authorization_url(wider, state="s", challenge=None)).query)
    assert query["scope"] == ["links stats"]
    case = BY_NAME["linkkit-exchange"]
    assert play(LINKKIT.exchange({"code": "c"}, wider), case.ok(scope=None))[0].scope == "links stats"
    assert play(LINKKIT.exchange({"code": "c"}, wider), case.ok())[0].scope == "granted scopes"


def test_a_renewal_that_brings_a_new_refresh_token():
    """Should it ever: the new one replaces the old."""
    token, _ = play(LINKKIT.renew(CURRENT), BY_NAME["linkkit-renew"].ok(refresh_token="rt-9"))
    assert token.refresh_token == "rt-9"
    assert token.refresh_expires_at is None


@pytest.mark.parametrize("uri", ["", "callback", "https://a.example.com/cb#x", "https://a.example.com/\n"])
def test_a_redirect_uri_that_cannot_be_one(uri):
    """No fragment, absolute, printable (RFC 6749 §3.1.2)."""
    with pytest.raises(ConfigurationError):
        LINKKIT.authorization_url(Pending(redirect_uri=uri), state="s", challenge=None)


@pytest.mark.parametrize(
    "uri", ["http://app.example.com/cb", "HTTP://192.0.2.1/cb", "http:///cb", "http://[::2]/cb", "http://[x"]
)
def test_no_callback_in_clear(uri):
    """An answer with a code in it goes unencrypted to this machine alone (RFC 9700 §2.6)."""
    with pytest.raises(ConfigurationError, match=r"^redirect_uri: .*(https is required|absolute|well-formed)"):
        LINKKIT.authorization_url(Pending(redirect_uri=uri), state="s", challenge=None)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:8766/cb", "http://localhost/", "http://[::1]:1/cb", "com.example.app:/cb"]
)
def test_a_native_apps_callback(uri):
    """This machine, and a scheme of the app's own (RFC 8252 §7.1, §7.3)."""
    assert "redirect_uri=" in LINKKIT.authorization_url(Pending(redirect_uri=uri), state="s", challenge=None)
