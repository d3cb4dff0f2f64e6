"""What vendors do otherwise than RFC 6749: each way stated as a fact, and seen in what is sent, read and believed."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

import linkauth
from linkauth import errors
from linkauth.errors import MalformedResponse
from linkauth.protocol.keys import token_key
from linkauth.testing import play
from linkauth.vendors import Dialect
from tests.vendors.dialects import CASE, exchanged, form, of, renewed
from tests.vendors.vendor_answers import BY_NAME, CURRENT, MACHINE, OTHER, PENDING, SENT_AT, answer, first, nothing_sent


def test_nothing_stated_is_the_standard():
    """A vendor with ``Dialect()`` is the vendor without one, in all that it sends."""
    plain = [first(case.flow()) for case in (CASE, BY_NAME["oauth2-exchange"], BY_NAME["oauth2-client"])]
    assert OTHER.dialect == Dialect() == linkauth.Dialect()
    assert [set(request.headers) for request in plain[:2]] == [{"Content-Type", "Accept", "Authorization"}] * 2
    assert form(plain[0]) == {"grant_type": "refresh_token", "refresh_token": "canary-refresh"}


def test_it_is_no_part_of_whose_session_it_is():
    """A dialect may be corrected without a new login; vendors with it are values."""
    one, other = (of(dead=["gone"], api_from={"base": ["https://*.api.example.com"]}, body="json") for _ in range(2))
    assert (one, hash(one)) == (other, hash(other))
    assert one != OTHER
    assert token_key(one, "a") == token_key(OTHER, "a")
    assert one.registration() == OTHER.registration()


def test_a_json_body():
    """Notion: JSON, and HTTP Basic beside it."""
    request = first(of(body="json").renew(CURRENT))
    assert json.loads(request.body) == {"grant_type": "refresh_token", "refresh_token": "canary-refresh"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"].startswith("Basic ")


def test_basic_without_form_encoding():
    """Epic Games: the two as they are, with a colon between."""
    vendor = attrs.evolve(of(basic="plain"), client_id="a b", client_secret="s:ä&")
    sent = base64.b64decode(first(vendor.renew(CURRENT)).headers["Authorization"].removeprefix("Basic "))
    assert sent == "a b:s:ä&".encode()


def test_a_revocation_is_written_as_token_requests_are():
    """Notion's takes JSON, and whoever throttles aiohttp's User-Agent does so there, too; parameters of token requests stay out."""
    vendor = of(body="json", token_headers={"User-Agent": "web:app:1"}, token_extra={"action": "requesttoken"})
    request = first(vendor.logout(CURRENT))
    assert json.loads(request.body) == {"token": "canary-refresh", "token_type_hint": "refresh_token"}
    assert (request.headers["Content-Type"], request.headers["User-Agent"]) == ("application/json", "web:app:1")


def test_the_client_id_in_the_body_as_well():
    """Fitbit: beside HTTP Basic; the secret stays where it was."""
    fields = form(first(of(id_in_body=True).renew(CURRENT)))
    assert fields["client_id"] == "the-client"
    assert "client_secret" not in fields


def test_headers_of_token_requests():
    """Reddit: a User-Agent of the app's own, in place of linkauth's; what it sends otherwise stays."""
    request = first(of(token_headers={"user-agent": "web:app:1", "X-Key": "k", "accept": "a/b"}).renew(CURRENT))
    assert (request.headers["User-Agent"], request.headers["X-Key"]) == ("web:app:1", "k")
    assert [value for name, value in request.headers.items() if name.lower() == "accept"] == ["a/b"]
    assert "web:app:1" not in OTHER.authorization_url(PENDING, state="s", challenge=None)


def test_parameters_of_token_requests():
    """Zendesk, Withings: for every token request, and never for the page."""
    vendor = of(token_extra={"action": "requesttoken"})
    for flow in (vendor.renew(CURRENT), vendor.exchange({"code": "c"}, PENDING)):
        assert form(first(flow))["action"] == "requesttoken"
    assert "requesttoken" not in vendor.authorization_url(PENDING, state="s", challenge=None)
    assert "requesttoken" not in repr(vendor)


def test_another_name_of_the_machine_grant():
    """Zoom, server to server: ``account_credentials``, with the account in ``extra``."""
    vendor = attrs.evolve(of(MACHINE, grant_type="account_credentials"), extra={"account_id": "1"})
    fields = form(first(vendor.renew(None)))
    assert (fields["grant_type"], fields["account_id"]) == ("account_credentials", "1")


def test_renewals_that_repeat_the_scope():
    """Microsoft, ADFS: what was granted, else what is asked for; by default it is left out (RFC 6749 §6)."""
    vendor = attrs.evolve(of(refresh_scope=True), scope="a b")
    assert form(first(vendor.renew(CURRENT)))["scope"] == "granted before"
    assert form(first(vendor.renew(attrs.evolve(CURRENT, scope=""))))["scope"] == "a b"
    assert "scope" not in form(first(OTHER.renew(CURRENT)))


def test_renewals_elsewhere():
    """Figma: the code goes to one URL, the refresh token to another."""
    vendor = of(refresh_url="https://auth.example.com/refresh")
    assert first(vendor.renew(CURRENT)).url == "https://auth.example.com/refresh"
    assert first(vendor.exchange({"code": "c"}, PENDING)).url == OTHER.token_url


@pytest.mark.parametrize("separator", [",", "+", ", "])
def test_what_stands_between_scopes(separator):
    """In requests of every kind; users write and read spaces."""
    vendor = attrs.evolve(of(scope_separator=separator, refresh_scope=True), scope="a b")
    page = parse_qs(urlsplit(vendor.authorization_url(PENDING, state="s", challenge=None)).query)
    assert page["scope"] == [f"a{separator}b"]
    assert form(first(vendor.renew(CURRENT)))["scope"] == f"granted{separator}before"
    machine = attrs.evolve(of(MACHINE, scope_separator=separator), scope="a b")
    assert form(first(machine.renew(None)))["scope"] == f"a{separator}b"
    assert renewed(vendor, CASE.ok(scope=f"a{separator}b")).scope == "a b"


def test_renewal_by_the_access_token():
    """Instagram: the access token is sent, and its expiry is the session's, so that keep-alive sees to it."""
    vendor = of(renews_by="access_token")
    token = exchanged(vendor, CASE.ok(refresh_token=None))
    assert (token.refresh_token, token.refresh_expires_at) == ("at-2", token.expires_at)
    later, (request,) = play(vendor.renew(token), CASE.ok(access_token="at-3", refresh_token=None, expires_in=90))
    assert form(request)["refresh_token"] == "at-2"
    assert (later.refresh_token, later.refresh_expires_at) == ("at-3", SENT_AT + 90)
    assert len(play(vendor.logout(later), answer(b""))[1]) == 1


WITHINGS = {"status": 0, "body": {"access_token": "at-2", "expires_in": 60, "refresh_token": "rt-2", "userid": "7"}}


def test_an_answer_within_an_answer():
    """Withings puts it in ``body``; Slack nests a login and not a renewal, so the top is looked at as well."""
    vendor = of(answer_in="body")
    token = renewed(vendor, answer(WITHINGS))
    assert (token.access_token, token.refresh_token, token.extra["userid"]) == ("at-2", "rt-2", "7")
    assert renewed(vendor).access_token == "at-2"
    assert renewed(of(answer_in="a.b"), answer({"a": {"b": WITHINGS["body"]}})).access_token == "at-2"
    for odd in ({"body": {}}, {"body": []}, {"body": None}, {"body": "access_token"}):
        with pytest.raises(MalformedResponse):
            renewed(vendor, answer(odd))
    with pytest.raises(errors.OAuthError, match="Invalid Params"):
        renewed(vendor, answer({"status": 503, "body": {}, "error": "Invalid Params: invalid refresh_token"}))


def test_names_of_the_vendors_own():
    """Its names to RFC 6749's, at a renewal as at a login, and a rotated refresh token under its own name is salvaged."""
    vendor = of(answer_names={"accessToken": "access_token", "refreshToken": "refresh_token", "ttl": "expires_in"})
    said = {"accessToken": "at-2", "refreshToken": "rt-2", "ttl": "60"}
    token = renewed(vendor, answer(said))
    assert (token.access_token, token.refresh_token, token.expires_at) == ("at-2", "rt-2", SENT_AT + 60)
    with pytest.raises(MalformedResponse) as caught:
        renewed(vendor, answer({**said, "accessToken": "a b"}))
    assert caught.value.salvage.refresh_token == "rt-2"


X_SAYS = {"error": "invalid_request", "error_description": "Value passed for the token was invalid."}


@pytest.mark.parametrize(
    ("dead", "body"),
    [
        ("value passed FOR the token was invalid", X_SAYS),
        ("expired_session", {"error": "expired_session"}),
        ("190", {"error": {"code": 190, "message": "x"}}),
        ("is gone", {"errors": [{"message": "Your session is gone."}]}),
        ("gone", b"it is gone"),
        ("secret", {"message": "your canary-secret is gone"}),
    ],
)
def test_words_by_which_a_refresh_token_is_dead(dead, body):
    """X and others: the user is sent for; the same words at an exchange mean nothing of the kind."""
    response = answer(body, 400, content_type="text/plain" if isinstance(body, bytes) else "application/json")
    with pytest.raises(errors.InvalidGrant) as caught:
        renewed(of(dead=[dead]), response)
    assert "canary" not in str(caught.value)
    for flow in (OTHER.renew(CURRENT), of(dead=[dead]).exchange({"code": "c"}, PENDING)):
        with pytest.raises(errors.OAuthError) as caught:
            play(flow, response)
        assert not isinstance(caught.value, errors.InvalidGrant)


@pytest.mark.parametrize(
    ("status", "body"), [(429, X_SAYS), (503, X_SAYS), (400, {"error": "not_expired"}), (400, b"<p>expired")]
)
def test_what_never_means_that(status, body):
    """Limits and failures; a code that only contains the word; a page."""
    with pytest.raises(errors.LinkAuthError) as caught:
        renewed(of(dead=["Value passed", "expired"]), answer(body, status))
    assert not isinstance(caught.value, errors.InvalidGrant)


def test_a_200_that_means_it():
    """Words under 200, without a token."""
    with pytest.raises(errors.InvalidGrant):
        renewed(of(dead=["is gone"]), answer({"result": "the session is gone"}))
    assert renewed(of(dead=["is gone"]), CASE.ok(note="the old one is gone")).access_token == "at-2"


def test_parameters_of_the_callback_that_are_kept():
    """QuickBooks' ``realmId``: in ``extra``, after every renewal; no other parameter is."""
    vendor = of(keep_params=["realmId"])
    token = exchanged(vendor, realmId="42", other="x")
    assert token.extra == {"realmId": "42"}
    assert renewed(vendor, current=token).extra["realmId"] == "42"
    assert "realmId" not in exchanged(OTHER, realmId="42").extra
    nothing_sent(vendor.exchange({"code": "c", "realmId": ["1", "2"]}, PENDING), errors.InvalidRequest)


def test_another_name_of_the_code():
    """Amazon's ``spapi_oauth_code``; what is sent is RFC 6749's ``code``."""
    vendor = of(code_name="spapi_oauth_code")
    request = first(vendor.exchange({"spapi_oauth_code": "canary-code", "code": "no"}, PENDING))
    assert form(request)["code"] == "canary-code"
    nothing_sent(vendor.exchange({"code": "c"}, PENDING), errors.InvalidRequest)


def test_a_callback_by_post():
    """Apple: asked for, and taken; whoever states another mode keeps it."""
    vendor = of(posts_callback=True)
    assert (vendor.posts_callback, OTHER.posts_callback) == (True, False)
    assert "response_mode=form_post" in vendor.authorization_url(PENDING, state="s", challenge=None)
    stated = attrs.evolve(vendor, authorize_extra={"response_mode": "query"})
    assert "form_post" not in stated.authorization_url(PENDING, state="s", challenge=None)
    assert "response_mode" not in OTHER.authorization_url(PENDING, state="s", challenge=None)


def test_what_an_api_answers_when_the_token_has_expired():
    """401 (RFC 6750 §3.1), or what is stated in its place."""
    assert OTHER.expired_statuses == (401,)
    assert of(expired_statuses=[401, 419]).expired_statuses == (401, 419)


@pytest.mark.parametrize(
    ("dialect", "value"),
    [
        ({}, "Bearer canary-access"),
        ({"scheme": "Zoho-oauthtoken"}, "Zoho-oauthtoken canary-access"),
        ({"scheme": ""}, "canary-access"),
        ({"header": "X-Shopify-Access-Token"}, "canary-access"),
        ({"header": "X-Token", "scheme": "Token"}, "Token canary-access"),
    ],
)
def test_how_requests_of_the_api_carry_the_token(dialect, value):
    """Zoho's scheme, Shopify's header; masked like the token itself."""
    vendor = of(**dialect)
    assert vendor.signature(CURRENT) == value
    assert "canary" not in repr(vendor.signature(CURRENT))
    assert vendor.header == dialect.get("header", "Authorization")


def test_an_unused_refresh_tokens_lifetime():
    """Xero says it on a page only: anew with each renewal, and what the vendor itself says goes before."""
    vendor = attrs.evolve(OTHER, refresh_lifetime=2_592_000.0)
    assert renewed(vendor).refresh_expires_at == SENT_AT + 2_592_000
    assert renewed(vendor, CASE.ok(refresh_token=None)).refresh_expires_at == SENT_AT + 2_592_000
    assert renewed(vendor, CASE.ok(refresh_expires_in=90)).refresh_expires_at == SENT_AT + 90
    assert renewed(attrs.evolve(MACHINE, refresh_lifetime=5.0), CASE.ok(refresh_token=None)).refresh_expires_at is None
    assert vendor.identity() == OTHER.identity()


def test_a_sessions_lifetime_from_the_consent():
    """Spotify, LinkedIn: whatever is renewed, the user has to come again; so it is the refresh token's end as well."""
    vendor = attrs.evolve(OTHER, session_lifetime=1000.0, refresh_lifetime=600.0)
    token = exchanged(vendor)
    assert (token.session_expires_at, token.refresh_expires_at) == (SENT_AT + 1000, SENT_AT + 600)
    later = attrs.evolve(CASE.ok(), sent_at=SENT_AT + 500)
    fresh = renewed(vendor, later, token)
    assert (fresh.session_expires_at, fresh.refresh_expires_at) == (SENT_AT + 1000, SENT_AT + 1000)
    alone = attrs.evolve(OTHER, session_lifetime=1000.0)
    for answered in (later, attrs.evolve(CASE.ok(refresh_token=None), sent_at=SENT_AT + 500)):
        assert renewed(alone, answered, exchanged(alone)).refresh_expires_at == SENT_AT + 1000
    with pytest.raises(MalformedResponse) as caught:
        renewed(alone, CASE.ok(access_token="a b"), token)
    assert caught.value.salvage.session_expires_at == SENT_AT + 1000
    assert renewed(alone).session_expires_at is None
    assert vendor.identity() == OTHER.identity()
