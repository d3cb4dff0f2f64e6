"""Where an answer or a callback says that the API or the token server is: believed as it is listed, and no otherwise."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs
import pytest

from linkauth.errors import UntrustedEndpoint
from linkauth.testing import play
from tests.vendors.dialects import CASE, POST, exchanged, of, renewed
from tests.vendors.vendor_answers import CURRENT, OTHER, PENDING, answer, first, nothing_sent

SALESFORCE = of(api_from={"instance_url": ["https://*.my.salesforce.com", "https://na1.salesforce.com/x"]})
LISTED = ["https://acme.my.salesforce.com", "https://ACME.my.salesforce.com:443/", "https://na1.salesforce.com/x"]
UNLISTED = [
    "https://evil.com",
    "https://my.salesforce.com",
    "https://a.b.my.salesforce.com",
    "https://acme.my.salesforce.com.evil.com",
    "https://evil.com/.my.salesforce.com",
    "https://evil.com#.my.salesforce.com",
    "https://evil.com\\.my.salesforce.com",
    "https://a@acme.my.salesforce.com",
    "https://acme.my.salesforce.com:8443",
    "https://acme.my.salesforce.com/path",
    "https://acme.my.salesforce.com?x",
    "http://acme.my.salesforce.com",
    "https://*.my.salesforce.com",
    "https://-.my.salesforce.com",
    "https://acmé.my.salesforce.com",
    "https://na1.salesforce.com",
    "acme.my.salesforce.com",
    "https://" + "a" * 400 + ".my.salesforce.com",
    5,
    ["https://acme.my.salesforce.com"],
]


@pytest.mark.parametrize("named", LISTED)
def test_where_the_api_is(named):
    """Salesforce names it in the answer: believed as listed, for calls and for the origin guard, and kept over renewals."""
    token = exchanged(SALESFORCE, CASE.ok(instance_url=named))
    root = SALESFORCE.api(token)
    assert root.startswith(("https://acme.my.salesforce.com", "https://na1.salesforce.com/x"))
    assert SALESFORCE.may_serve(("https", urlsplit(root).hostname, 443))
    assert SALESFORCE.api(renewed(SALESFORCE, current=token)) == root
    assert SALESFORCE.api(None) == "https://auth.example.com"


@pytest.mark.parametrize("named", UNLISTED, ids=str)
def test_an_api_that_is_not_listed(named):
    """A login is refused; a renewal, which has spent a refresh token, is kept, and nothing is sent there."""
    with pytest.raises(UntrustedEndpoint, match="api_from"):
        exchanged(SALESFORCE, CASE.ok(instance_url=named))
    fresh = renewed(SALESFORCE, CASE.ok(instance_url=named))
    assert fresh.refresh_token == "rt-2"
    if fresh.endpoint is not None:
        with pytest.raises(UntrustedEndpoint):
            SALESFORCE.api(fresh)
    host = urlsplit(named).hostname if isinstance(named, str) and "\\" not in named else None
    if host and not host.endswith(".my.salesforce.com"):
        assert not SALESFORCE.may_serve(("https", host, 443)) or host == "na1.salesforce.com"


def test_an_api_that_the_callback_names():
    """Looked at before anything is sent; the state stays good."""
    assert SALESFORCE.api(exchanged(SALESFORCE, instance_url=LISTED[0])) == LISTED[0]
    nothing_sent(SALESFORCE.exchange({"code": "c", "instance_url": "https://evil.com"}, PENDING), UntrustedEndpoint)


def test_a_stored_endpoint_is_looked_at_again():
    """Whoever can write to the store does not get the token by it, nor does a vendor that lists nothing believe it."""
    stored = attrs.evolve(CURRENT, endpoint="https://evil.com")
    for vendor in (SALESFORCE, OTHER):
        with pytest.raises(UntrustedEndpoint):
            vendor.api(stored)


ZOHO = of(POST, token_url_from={"accounts-server": ["https://accounts.zoho.eu", "https://accounts.zoho.in"]})


def test_where_the_token_server_is():
    """Zoho names it in the callback: the code and every renewal go there, to ``token_url``'s path."""
    token, (request,) = play(
        ZOHO.exchange({"code": "c", "accounts-server": "https://accounts.zoho.eu"}, PENDING), CASE.ok()
    )
    assert request.url == "https://accounts.zoho.eu/token"
    assert first(ZOHO.renew(token)).url == "https://accounts.zoho.eu/token"
    assert first(ZOHO.renew(renewed(ZOHO, current=token))).url == "https://accounts.zoho.eu/token"
    assert first(ZOHO.renew(CURRENT)).url == "https://auth.example.com/token"


@pytest.mark.parametrize("named", ["https://evil.com", "https://accounts.zoho.eu.evil.com", "http://accounts.zoho.eu"])
def test_a_token_server_that_is_not_listed(named):
    """No secret goes there: not by a callback, and not by what is stored."""
    nothing_sent(ZOHO.exchange({"code": "c", "accounts-server": named}, PENDING), UntrustedEndpoint)
    stored = attrs.evolve(CURRENT, extra={"accounts-server": named})
    nothing_sent(ZOHO.renew(stored), UntrustedEndpoint)
    nothing_sent(attrs.evolve(ZOHO, revoke_url="https://auth.example.com/revoke").logout(stored), UntrustedEndpoint)
    with pytest.raises(UntrustedEndpoint, match="token_url_from"):
        exchanged(ZOHO, CASE.ok(**{"accounts-server": named}))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_else_is_at_the_token_server(elsewhere):
    """Renewals at a path of their own, and revocation, move with it; an address of another origin stays as it was stated."""
    root = "https://other.example.com" if elsewhere else "https://auth.example.com"
    vendor = attrs.evolve(
        ZOHO, revoke_url=f"{root}/revoke", dialect=attrs.evolve(ZOHO.dialect, refresh_url=f"{root}/refresh")
    )
    token = exchanged(vendor, **{"accounts-server": "https://accounts.zoho.eu"})
    there = root if elsewhere else "https://accounts.zoho.eu"
    assert first(vendor.renew(token)).url == f"{there}/refresh"
    assert {request.url for request in play(vendor.logout(token), answer(b""), answer(b""))[1]} == {f"{there}/revoke"}


def test_what_is_configured_need_not_be_listed():
    """A vendor that names its home server, too: what was believed before it was named is."""
    token = exchanged(ZOHO, **{"accounts-server": "https://auth.example.com/"})
    assert first(ZOHO.renew(token)).url == "https://auth.example.com/token"
    vendor = attrs.evolve(SALESFORCE, api_url="https://api.example.com/v1")
    assert vendor.api(exchanged(vendor, CASE.ok(instance_url="https://api.example.com/v1"))) == vendor.api_url
    with pytest.raises(UntrustedEndpoint):
        exchanged(vendor, CASE.ok(instance_url="https://api.example.com/v2"))


def test_a_token_server_that_the_answer_names():
    """A login's answer tells where renewals go; a renewal's that names another does not end what it brought."""
    token = exchanged(ZOHO, CASE.ok(**{"accounts-server": "https://accounts.zoho.in"}))
    assert first(ZOHO.renew(token)).url == "https://accounts.zoho.in/token"
    fresh = renewed(ZOHO, CASE.ok(**{"accounts-server": "https://evil.com"}), current=token)
    assert fresh.refresh_token == "rt-2"
    nothing_sent(ZOHO.renew(fresh), UntrustedEndpoint)
