"""Vendors whose API's base stands in a further answer: a subclass of ten lines asks once more, where the entry says."""

from __future__ import annotations

import json

import attrs
import pytest

from linkauth import OAuth2
from linkauth.errors import UntrustedEndpoint
from linkauth.oauth import Request
from linkauth.testing import play
from linkauth.vendors import Pending
from linkauth.vendors.catalog import ENTRIES
from tests.vendors.vendor_answers import answer
from tests.vendors.wires import BACK, CODE, ID, RECORDED, SECRET

PENDING = Pending(redirect_uri=BACK)


class Mailchimp(OAuth2):
    """Each account is in a data center of its own."""

    def exchange(self, params, pending):
        token = yield from super().exchange(params, pending)
        headers = {"Authorization": f"OAuth {token.access_token}"}
        said = yield Request(method="GET", url=ENTRIES["mailchimp"].api_asked_at, headers=headers)
        token = attrs.evolve(token, endpoint=json.loads(said.body)["api_endpoint"])
        self.api(token)  # raises UntrustedEndpoint where api_from does not list it
        return token


class DocuSign(OAuth2):
    """The account that is the user's default."""

    def exchange(self, params, pending):
        token = yield from super().exchange(params, pending)
        url = self.token_url.replace("/oauth/token", "/oauth/userinfo")
        said = yield Request(method="GET", url=url, headers={"Authorization": token.authorization})
        (account,) = (one for one in json.loads(said.body)["accounts"] if one["is_default"])
        token = attrs.evolve(token, endpoint=account["base_uri"])
        self.api(token)
        return token


class Atlassian(OAuth2):
    """One host for all: what is asked for is which site's paths are meant."""

    def exchange(self, params, pending):
        token = yield from super().exchange(params, pending)
        headers = {"Authorization": token.authorization, "Accept": "application/json"}
        said = yield Request(method="GET", url=ENTRIES["atlassian"].api_asked_at, headers=headers)
        return attrs.evolve(token, extra={**token.extra, "cloudid": json.loads(said.body)[0]["id"]})


def _login(kind, name, further):
    vendor = kind.of(name, client_id=ID, client_secret=SECRET)
    token, (_, asked) = play(vendor.exchange({"code": CODE}, PENDING), answer(RECORDED[name].granted), answer(further))
    return vendor, token, asked


def test_mailchimp():
    """The metadata names the data center; calls go there, and still do after a restart, for the token carries it."""
    metadata = {
        "dc": "us6",
        "login_url": "https://login.mailchimp.com",
        "api_endpoint": "https://us6.api.mailchimp.com",
    }
    vendor, token, asked = _login(Mailchimp, "mailchimp", metadata)
    assert (asked.method, asked.url) == ("GET", "https://login.mailchimp.com/oauth2/metadata")
    assert asked.headers["Authorization"] == "OAuth at-1"
    assert vendor.api(token) == "https://us6.api.mailchimp.com"
    assert vendor.may_serve(("https", "us6.api.mailchimp.com", 443))


@pytest.mark.parametrize("base", ["https://us6.api.mailchimp.com.evil.example", "https://evil.example", "http://x"])
def test_a_base_that_is_not_listed_gets_nothing(base):
    """Whoever answers in the vendor's place does not get the token by it."""
    with pytest.raises(UntrustedEndpoint):
        _login(Mailchimp, "mailchimp", {"api_endpoint": base})


def test_docusign():
    """The account server that the login was at is asked, and the default account's base is where calls go."""
    accounts = [
        {"account_id": "1", "is_default": False, "base_uri": "https://eu.docusign.net"},
        {"account_id": "2", "is_default": True, "base_uri": "https://na3.docusign.net"},
    ]
    vendor, token, asked = _login(DocuSign, "docusign", {"sub": "ada", "accounts": accounts})
    assert asked.url == "https://account.docusign.com/oauth/userinfo"
    assert asked.headers["Authorization"] == "Bearer at-1"
    assert vendor.api(token) == "https://na3.docusign.net"


def test_atlassian():
    """The sites that the token is good for; the first one's id is kept beside the token, over renewals, too."""
    sites = [{"id": "11223344-a1b2-3b33-c444-def123456789", "name": "acme", "url": "https://acme.atlassian.net"}]
    vendor, token, asked = _login(Atlassian, "atlassian", sites)
    assert asked.url == "https://api.atlassian.com/oauth/token/accessible-resources"
    assert vendor.api(token) == "https://api.atlassian.com"
    renewed, _ = play(vendor.renew(token), answer(RECORDED["atlassian"].renewed))
    assert renewed.extra["cloudid"] == token.extra["cloudid"] == sites[0]["id"]


@pytest.mark.parametrize("kind", [Mailchimp, DocuSign, Atlassian])
def test_the_subclass_is_a_vendor_like_any_other(kind):
    """Equal by what it holds, and another than the plain one."""
    name = kind.__name__.lower()
    one, same = (kind.of(name, client_id=ID, client_secret=SECRET) for _ in range(2))
    assert (one, hash(one)) == (same, hash(same))
    assert one != OAuth2.of(name, client_id=ID, client_secret=SECRET)
    assert ENTRIES[name].api_asked_at is not None
