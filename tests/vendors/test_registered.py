"""A vendor of one registration in a file of its own: what its base brings, and what is left to say."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, urlsplit

import attrs
import pytest

from linkauth.errors import AccessDenied, ConfigurationError, InvalidGrant, ReauthorizationRequired
from linkauth.testing import play
from linkauth.vendors import CodeGrantClient
from linkauth.vendors.vendor import base_url
from tests.vendors.vendor_answers import CURRENT, PENDING, SENT_AT, answer


@attrs.frozen(kw_only=True)
class Acme(CodeGrantClient):
    """All that a vendor with a consent page has to say."""

    base_url: str = attrs.field(default="https://api.acme.example", converter=base_url)

    name = "acme"
    uses_pkce = True
    authorize_path = "/ask"
    token_path = "/token"


ACME = Acme(client_id="c", client_secret="canary-secret", scope="read")
GRANTED = answer({"access_token": "a", "token_type": "bearer", "expires_in": 60, "refresh_token": "r"})


def test_a_header_of_its_own():
    """The token alone, as ``OAuth2`` has it; in ``Authorization`` with its type before it."""

    class Other(Acme):
        header = "X-Token"

    other = Other(client_id="c", client_secret="canary-secret")
    assert (other.signature(CURRENT), ACME.signature(CURRENT)) == (CURRENT.access_token, CURRENT.authorization)


def test_the_page():
    """RFC 6749 §4.1.1, with the scope of this authorization, and RFC 7636's challenge."""
    url = urlsplit(ACME.authorization_url(attrs.evolve(PENDING, scope="write"), state="st", challenge="ch"))
    assert (url.netloc, url.path) == ("api.acme.example", "/ask")
    assert parse_qs(url.query) == {
        "response_type": ["code"],
        "client_id": ["c"],
        "redirect_uri": [PENDING.redirect_uri],
        "state": ["st"],
        "scope": ["write"],
        "code_challenge": ["ch"],
        "code_challenge_method": ["S256"],
    }


def test_the_exchange_and_the_renewal():
    """RFC 6749 §4.1.3 and §6, the client in the body (§2.3.1); what was asked for is granted unless the answer says otherwise."""
    token, (request,) = play(ACME.exchange({"code": "x"}, attrs.evolve(PENDING, verifier="v")), GRANTED)
    client = {"client_id": "c", "client_secret": "canary-secret"}
    sent = {"grant_type": "authorization_code", "code": "x", "redirect_uri": PENDING.redirect_uri, "code_verifier": "v"}
    assert (request.url, dict(parse_qsl(request.body.decode()))) == ("https://api.acme.example/token", sent | client)
    assert (token.scope, token.expires_at, token.refresh_token) == ("read", SENT_AT + 60, "r")
    token, (request,) = play(ACME.renew(CURRENT), GRANTED)
    sent = {"grant_type": "refresh_token", "refresh_token": "canary-refresh"}
    assert dict(parse_qsl(request.body.decode())) == sent | client
    assert (token.scope, token.extra) == (CURRENT.scope, CURRENT.extra)


def test_what_is_refused():
    """By the user, before anything is sent; by the vendor; and for want of a refresh token."""
    with pytest.raises(AccessDenied):
        next(ACME.exchange({"error": "access_denied"}, PENDING))
    with pytest.raises(InvalidGrant):
        play(ACME.renew(CURRENT), answer({"error": "invalid_grant"}, 400))
    with pytest.raises(ReauthorizationRequired):
        next(ACME.renew(attrs.evolve(CURRENT, refresh_token=None)))


def test_whose_session_it_is():
    """Root, client and scope; the secret may change, a text where a URL belongs is told."""
    assert ACME.identity() == ("https://api.acme.example", "c", "read")
    assert attrs.evolve(ACME, client_secret="another").identity() == ACME.identity()
    assert ACME.api(None) == "https://api.acme.example"
    assert "canary" not in repr(ACME)
    with pytest.raises(ConfigurationError):
        Acme(client_id="c", client_secret="s", base_url="acme")
