"""What vendors do otherwise than RFC 6749: each way stated as a fact, and seen in what is sent, read and believed."""

from __future__ import annotations

import base64
import json
import traceback
from urllib.parse import parse_qs, parse_qsl, urlsplit

import attrs
import pytest

import linkauth
from linkauth import errors
from linkauth.errors import ConfigurationError, MalformedResponse, UntrustedEndpoint
from linkauth.oauth.exchange import Request
from linkauth.oauth.token import SecretStr
from linkauth.protocol.keys import token_key
from linkauth.testing import play
from linkauth.vendors import Dialect, OAuth2, Pending
from tests.vendors.vendor_answers import BY_NAME, CURRENT, MACHINE, OTHER, PENDING, SENT_AT, answer, first, nothing_sent

CASE = BY_NAME["oauth2-renew"]
POST = attrs.evolve(OTHER, client_auth="post")


def _of(vendor=OTHER, **dialect):
    return attrs.evolve(vendor, dialect=Dialect(**dialect))


def _form(request):
    return dict(parse_qsl(request.body.decode()))


def _renewed(vendor, response=None, current=CURRENT):
    return play(vendor.renew(current), response or CASE.ok())[0]


def _exchanged(vendor, response=None, **params):
    return play(vendor.exchange({"code": "canary-code", **params}, PENDING), response or CASE.ok())[0]


def test_nothing_stated_is_the_standard():
    """A vendor with ``Dialect()`` is the vendor without one, in all that it sends."""
    plain = [first(case.flow()) for case in (CASE, BY_NAME["oauth2-exchange"], BY_NAME["oauth2-client"])]
    assert OTHER.dialect == Dialect() == linkauth.Dialect()
    assert [set(request.headers) for request in plain[:2]] == [{"Content-Type", "Accept", "Authorization"}] * 2
    assert _form(plain[0]) == {"grant_type": "refresh_token", "refresh_token": "canary-refresh"}


def test_it_is_no_part_of_whose_session_it_is():
    """A dialect may be corrected without a new login; vendors with it are values."""
    one, other = (_of(dead=["gone"], api_from={"base": ["https://*.api.example.com"]}, body="json") for _ in range(2))
    assert (one, hash(one)) == (other, hash(other))
    assert one != OTHER
    assert token_key(one, "a") == token_key(OTHER, "a")
    assert one.registration() == OTHER.registration()


def test_a_json_body():
    """Notion: JSON, and HTTP Basic beside it."""
    request = first(_of(body="json").renew(CURRENT))
    assert json.loads(request.body) == {"grant_type": "refresh_token", "refresh_token": "canary-refresh"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"].startswith("Basic ")


def test_basic_without_form_encoding():
    """Epic Games: the two as they are, with a colon between."""
    vendor = attrs.evolve(_of(basic="plain"), client_id="a b", client_secret="s:ä&")
    sent = base64.b64decode(first(vendor.renew(CURRENT)).headers["Authorization"].removeprefix("Basic "))
    assert sent == "a b:s:ä&".encode()


def test_a_revocation_is_written_as_token_requests_are():
    """Notion's takes JSON, and whoever throttles aiohttp's User-Agent does so there, too; parameters of token requests stay out."""
    vendor = _of(body="json", token_headers={"User-Agent": "web:app:1"}, token_extra={"action": "requesttoken"})
    request = first(vendor.logout(CURRENT))
    assert json.loads(request.body) == {"token": "canary-refresh", "token_type_hint": "refresh_token"}
    assert (request.headers["Content-Type"], request.headers["User-Agent"]) == ("application/json", "web:app:1")


def test_the_client_id_in_the_body_as_well():
    """Fitbit: beside HTTP Basic; the secret stays where it was."""
    form = _form(first(_of(id_in_body=True).renew(CURRENT)))
    assert form["client_id"] == "the-client"
    assert "client_secret" not in form


def test_headers_of_token_requests():
    """Reddit: a User-Agent of the app's own, in place of linkauth's; what it sends otherwise stays."""
    request = first(_of(token_headers={"user-agent": "web:app:1", "X-Key": "k", "accept": "a/b"}).renew(CURRENT))
    assert (request.headers["User-Agent"], request.headers["X-Key"]) == ("web:app:1", "k")
    assert [value for name, value in request.headers.items() if name.lower() == "accept"] == ["a/b"]
    assert "web:app:1" not in OTHER.authorization_url(PENDING, state="s", challenge=None)


def test_parameters_of_token_requests():
    """Zendesk, Withings: for every token request, and never for the page."""
    vendor = _of(token_extra={"action": "requesttoken"})
    for flow in (vendor.renew(CURRENT), vendor.exchange({"code": "c"}, PENDING)):
        assert _form(first(flow))["action"] == "requesttoken"
    assert "requesttoken" not in vendor.authorization_url(PENDING, state="s", challenge=None)
    assert "requesttoken" not in repr(vendor)


def test_another_name_of_the_machine_grant():
    """Zoom, server to server: ``account_credentials``, with the account in ``extra``."""
    vendor = attrs.evolve(_of(MACHINE, grant_type="account_credentials"), extra={"account_id": "1"})
    form = _form(first(vendor.renew(None)))
    assert (form["grant_type"], form["account_id"]) == ("account_credentials", "1")


def test_renewals_that_repeat_the_scope():
    """Microsoft, ADFS: what was granted, else what is asked for; by default it is left out (RFC 6749 §6)."""
    vendor = attrs.evolve(_of(refresh_scope=True), scope="a b")
    assert _form(first(vendor.renew(CURRENT)))["scope"] == "granted before"
    assert _form(first(vendor.renew(attrs.evolve(CURRENT, scope=""))))["scope"] == "a b"
    assert "scope" not in _form(first(OTHER.renew(CURRENT)))


def test_renewals_elsewhere():
    """Figma: the code goes to one URL, the refresh token to another."""
    vendor = _of(refresh_url="https://auth.example.com/refresh")
    assert first(vendor.renew(CURRENT)).url == "https://auth.example.com/refresh"
    assert first(vendor.exchange({"code": "c"}, PENDING)).url == OTHER.token_url


@pytest.mark.parametrize("separator", [",", "+", ", "])
def test_what_stands_between_scopes(separator):
    """In requests of every kind; users write and read spaces."""
    vendor = attrs.evolve(_of(scope_separator=separator, refresh_scope=True), scope="a b")
    page = parse_qs(urlsplit(vendor.authorization_url(PENDING, state="s", challenge=None)).query)
    assert page["scope"] == [f"a{separator}b"]
    assert _form(first(vendor.renew(CURRENT)))["scope"] == f"granted{separator}before"
    machine = attrs.evolve(_of(MACHINE, scope_separator=separator), scope="a b")
    assert _form(first(machine.renew(None)))["scope"] == f"a{separator}b"
    assert _renewed(vendor, CASE.ok(scope=f"a{separator}b")).scope == "a b"


def test_renewal_by_the_access_token():
    """Instagram: the access token is sent, and its expiry is the session's, so that keep-alive sees to it."""
    vendor = _of(renews_by="access_token")
    token = _exchanged(vendor, CASE.ok(refresh_token=None))
    assert (token.refresh_token, token.refresh_expires_at) == ("at-2", token.expires_at)
    later, (request,) = play(vendor.renew(token), CASE.ok(access_token="at-3", refresh_token=None, expires_in=90))
    assert _form(request)["refresh_token"] == "at-2"
    assert (later.refresh_token, later.refresh_expires_at) == ("at-3", SENT_AT + 90)
    assert len(play(vendor.logout(later), answer(b""))[1]) == 1


WITHINGS = {"status": 0, "body": {"access_token": "at-2", "expires_in": 60, "refresh_token": "rt-2", "userid": "7"}}


def test_an_answer_within_an_answer():
    """Withings puts it in ``body``; Slack nests a login and not a renewal, so the top is looked at as well."""
    vendor = _of(answer_in="body")
    token = _renewed(vendor, answer(WITHINGS))
    assert (token.access_token, token.refresh_token, token.extra["userid"]) == ("at-2", "rt-2", "7")
    assert _renewed(vendor).access_token == "at-2"
    assert _renewed(_of(answer_in="a.b"), answer({"a": {"b": WITHINGS["body"]}})).access_token == "at-2"
    for odd in ({"body": {}}, {"body": []}, {"body": None}, {"body": "access_token"}):
        with pytest.raises(MalformedResponse):
            _renewed(vendor, answer(odd))
    with pytest.raises(errors.OAuthError, match="Invalid Params"):
        _renewed(vendor, answer({"status": 503, "body": {}, "error": "Invalid Params: invalid refresh_token"}))


def test_names_of_the_vendors_own():
    """Its names to RFC 6749's, at a renewal as at a login, and a rotated refresh token under its own name is salvaged."""
    vendor = _of(answer_names={"accessToken": "access_token", "refreshToken": "refresh_token", "ttl": "expires_in"})
    said = {"accessToken": "at-2", "refreshToken": "rt-2", "ttl": "60"}
    token = _renewed(vendor, answer(said))
    assert (token.access_token, token.refresh_token, token.expires_at) == ("at-2", "rt-2", SENT_AT + 60)
    with pytest.raises(MalformedResponse) as caught:
        _renewed(vendor, answer({**said, "accessToken": "a b"}))
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
        _renewed(_of(dead=[dead]), response)
    assert "canary" not in str(caught.value)
    for flow in (OTHER.renew(CURRENT), _of(dead=[dead]).exchange({"code": "c"}, PENDING)):
        with pytest.raises(errors.OAuthError) as caught:
            play(flow, response)
        assert not isinstance(caught.value, errors.InvalidGrant)


@pytest.mark.parametrize(
    ("status", "body"), [(429, X_SAYS), (503, X_SAYS), (400, {"error": "not_expired"}), (400, b"<p>expired")]
)
def test_what_never_means_that(status, body):
    """Limits and failures; a code that only contains the word; a page."""
    with pytest.raises(errors.LinkAuthError) as caught:
        _renewed(_of(dead=["Value passed", "expired"]), answer(body, status))
    assert not isinstance(caught.value, errors.InvalidGrant)


def test_a_200_that_means_it():
    """Words under 200, without a token."""
    with pytest.raises(errors.InvalidGrant):
        _renewed(_of(dead=["is gone"]), answer({"result": "the session is gone"}))
    assert _renewed(_of(dead=["is gone"]), CASE.ok(note="the old one is gone")).access_token == "at-2"


def test_parameters_of_the_callback_that_are_kept():
    """QuickBooks' ``realmId``: in ``extra``, after every renewal; no other parameter is."""
    vendor = _of(keep_params=["realmId"])
    token = _exchanged(vendor, realmId="42", other="x")
    assert token.extra == {"realmId": "42"}
    assert _renewed(vendor, current=token).extra["realmId"] == "42"
    assert "realmId" not in _exchanged(OTHER, realmId="42").extra
    nothing_sent(vendor.exchange({"code": "c", "realmId": ["1", "2"]}, PENDING), errors.InvalidRequest)


def test_another_name_of_the_code():
    """Amazon's ``spapi_oauth_code``; what is sent is RFC 6749's ``code``."""
    vendor = _of(code_name="spapi_oauth_code")
    request = first(vendor.exchange({"spapi_oauth_code": "canary-code", "code": "no"}, PENDING))
    assert _form(request)["code"] == "canary-code"
    nothing_sent(vendor.exchange({"code": "c"}, PENDING), errors.InvalidRequest)


def test_a_callback_by_post():
    """Apple: asked for, and taken; whoever states another mode keeps it."""
    vendor = _of(posts_callback=True)
    assert (vendor.posts_callback, OTHER.posts_callback) == (True, False)
    assert "response_mode=form_post" in vendor.authorization_url(PENDING, state="s", challenge=None)
    stated = attrs.evolve(vendor, authorize_extra={"response_mode": "query"})
    assert "form_post" not in stated.authorization_url(PENDING, state="s", challenge=None)
    assert "response_mode" not in OTHER.authorization_url(PENDING, state="s", challenge=None)


def test_what_an_api_answers_when_the_token_has_expired():
    """401 (RFC 6750 §3.1), or what is stated in its place."""
    assert OTHER.expired_statuses == (401,)
    assert _of(expired_statuses=[401, 419]).expired_statuses == (401, 419)


SALESFORCE = _of(api_from={"instance_url": ["https://*.my.salesforce.com", "https://na1.salesforce.com/x"]})
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
    token = _exchanged(SALESFORCE, CASE.ok(instance_url=named))
    root = SALESFORCE.api(token)
    assert root.startswith(("https://acme.my.salesforce.com", "https://na1.salesforce.com/x"))
    assert SALESFORCE.may_serve(("https", urlsplit(root).hostname, 443))
    assert SALESFORCE.api(_renewed(SALESFORCE, current=token)) == root
    assert SALESFORCE.api(None) == "https://auth.example.com"


@pytest.mark.parametrize("named", UNLISTED, ids=str)
def test_an_api_that_is_not_listed(named):
    """A login is refused; a renewal, which has spent a refresh token, is kept, and nothing is sent there."""
    with pytest.raises(UntrustedEndpoint, match="api_from"):
        _exchanged(SALESFORCE, CASE.ok(instance_url=named))
    renewed = _renewed(SALESFORCE, CASE.ok(instance_url=named))
    assert renewed.refresh_token == "rt-2"
    if renewed.endpoint is not None:
        with pytest.raises(UntrustedEndpoint):
            SALESFORCE.api(renewed)
    host = urlsplit(named).hostname if isinstance(named, str) and "\\" not in named else None
    if host and not host.endswith(".my.salesforce.com"):
        assert not SALESFORCE.may_serve(("https", host, 443)) or host == "na1.salesforce.com"


def test_an_api_that_the_callback_names():
    """Looked at before anything is sent; the state stays good."""
    assert SALESFORCE.api(_exchanged(SALESFORCE, instance_url=LISTED[0])) == LISTED[0]
    nothing_sent(SALESFORCE.exchange({"code": "c", "instance_url": "https://evil.com"}, PENDING), UntrustedEndpoint)


def test_a_stored_endpoint_is_looked_at_again():
    """Whoever can write to the store does not get the token by it, nor does a vendor that lists nothing believe it."""
    stored = attrs.evolve(CURRENT, endpoint="https://evil.com")
    for vendor in (SALESFORCE, OTHER):
        with pytest.raises(UntrustedEndpoint):
            vendor.api(stored)


ZOHO = _of(POST, token_url_from={"accounts-server": ["https://accounts.zoho.eu", "https://accounts.zoho.in"]})


def test_where_the_token_server_is():
    """Zoho names it in the callback: the code and every renewal go there, to ``token_url``'s path."""
    token, (request,) = play(
        ZOHO.exchange({"code": "c", "accounts-server": "https://accounts.zoho.eu"}, PENDING), CASE.ok()
    )
    assert request.url == "https://accounts.zoho.eu/token"
    assert first(ZOHO.renew(token)).url == "https://accounts.zoho.eu/token"
    assert first(ZOHO.renew(_renewed(ZOHO, current=token))).url == "https://accounts.zoho.eu/token"
    assert first(ZOHO.renew(CURRENT)).url == "https://auth.example.com/token"


@pytest.mark.parametrize("named", ["https://evil.com", "https://accounts.zoho.eu.evil.com", "http://accounts.zoho.eu"])
def test_a_token_server_that_is_not_listed(named):
    """No secret goes there: not by a callback, and not by what is stored."""
    nothing_sent(ZOHO.exchange({"code": "c", "accounts-server": named}, PENDING), UntrustedEndpoint)
    stored = attrs.evolve(CURRENT, extra={"accounts-server": named})
    nothing_sent(ZOHO.renew(stored), UntrustedEndpoint)
    nothing_sent(attrs.evolve(ZOHO, revoke_url="https://auth.example.com/revoke").logout(stored), UntrustedEndpoint)
    with pytest.raises(UntrustedEndpoint, match="token_url_from"):
        _exchanged(ZOHO, CASE.ok(**{"accounts-server": named}))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_else_is_at_the_token_server(elsewhere):
    """Renewals at a path of their own, and revocation, move with it; an address of another origin stays as it was stated."""
    root = "https://other.example.com" if elsewhere else "https://auth.example.com"
    vendor = attrs.evolve(
        ZOHO, revoke_url=f"{root}/revoke", dialect=attrs.evolve(ZOHO.dialect, refresh_url=f"{root}/refresh")
    )
    token = _exchanged(vendor, **{"accounts-server": "https://accounts.zoho.eu"})
    there = root if elsewhere else "https://accounts.zoho.eu"
    assert first(vendor.renew(token)).url == f"{there}/refresh"
    assert {request.url for request in play(vendor.logout(token), answer(b""), answer(b""))[1]} == {f"{there}/revoke"}


def test_what_is_configured_need_not_be_listed():
    """A vendor that names its home server, too: what was believed before it was named is."""
    token = _exchanged(ZOHO, **{"accounts-server": "https://auth.example.com/"})
    assert first(ZOHO.renew(token)).url == "https://auth.example.com/token"
    vendor = attrs.evolve(SALESFORCE, api_url="https://api.example.com/v1")
    assert vendor.api(_exchanged(vendor, CASE.ok(instance_url="https://api.example.com/v1"))) == vendor.api_url
    with pytest.raises(UntrustedEndpoint):
        _exchanged(vendor, CASE.ok(instance_url="https://api.example.com/v2"))


def test_a_token_server_that_the_answer_names():
    """A login's answer tells where renewals go; a renewal's that names another does not end what it brought."""
    token = _exchanged(ZOHO, CASE.ok(**{"accounts-server": "https://accounts.zoho.in"}))
    assert first(ZOHO.renew(token)).url == "https://accounts.zoho.in/token"
    renewed = _renewed(ZOHO, CASE.ok(**{"accounts-server": "https://evil.com"}), current=token)
    assert renewed.refresh_token == "rt-2"
    nothing_sent(ZOHO.renew(renewed), UntrustedEndpoint)


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
    vendor = _of(**dialect)
    assert vendor.signature(CURRENT) == value
    assert "canary" not in repr(vendor.signature(CURRENT))
    assert vendor.header == dialect.get("header", "Authorization")


def _renamed(request):
    names = {"client_id": "client_key"}
    return request.with_fields({names.get(name, name): value for name, value in request.fields.items()})


@pytest.mark.parametrize("body", ["form", "json"])
def test_ask(body):
    """TikTok's ``client_key``: the fields by their names, written as they were."""
    request = first(attrs.evolve(POST, dialect=Dialect(body=body, ask=_renamed)).renew(CURRENT))
    fields = json.loads(request.body) if body == "json" else _form(request)
    assert fields["client_key"] == "the-client"
    assert "client_id" not in fields
    assert fields["refresh_token"] == "canary-refresh"


def test_ask_is_asked_every_time():
    """Logins, renewals and machines' requests alike."""
    seen = []

    def ask(request):
        seen.append(request.fields["grant_type"])
        return request

    for flow in (
        _of(ask=ask).renew(CURRENT),
        _of(ask=ask).exchange({"code": "c"}, PENDING),
        _of(MACHINE, ask=ask).renew(None),
    ):
        first(flow)
    assert seen == ["refresh_token", "authorization_code", "client_credentials"]


def _loud(data):
    raise ValueError(f"{data} {data.fields if isinstance(data, Request) else list(data.values())}")


def test_hooks_undo_no_secrecy():
    """What they are given is masked wherever it is shown; what they raise is told by its class alone."""
    seen = []

    def look(data):
        seen.append(f"{data!r} {data.fields!r}" if isinstance(data, Request) else f"{data!r} {list(data.values())!r}")
        return data

    _renewed(_of(POST, ask=look, hear=look), CASE.ok(note="canary-note"))
    assert len(seen) == 2
    assert "canary" not in "".join(seen)
    assert "rt-2" not in "".join(seen)
    for vendor, kind in ((_of(POST, ask=_loud), ConfigurationError), (_of(hear=_loud), MalformedResponse)):
        with pytest.raises(kind, match="failed: ValueError") as caught:
            _renewed(vendor)
        shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert "canary-refresh" not in shown
        assert "rt-2" not in shown


def test_ask_sends_nothing_elsewhere():
    """Another path or query of the token server, and no other host; a function that gives no request is told."""
    moved = first(_of(ask=lambda request: attrs.evolve(request, url=request.url + "?a=b")).renew(CURRENT))
    assert moved.url == "https://auth.example.com/token?a=b"
    for url in ("https://evil.com/token", "http://auth.example.com/token", "https://auth.example.com:8443/token"):
        nothing_sent(_of(ask=lambda request, url=url: attrs.evolve(request, url=url)).renew(CURRENT), UntrustedEndpoint)
    nothing_sent(_of(ask=lambda request: None).renew(CURRENT), ConfigurationError)


def test_what_ask_adds_is_masked_in_the_vendors_words():
    """A secret under a name of the app's own, should the vendor repeat it."""
    vendor = _of(ask=lambda request: request.with_fields({**request.fields, "extra": "canary-added"}))
    with pytest.raises(errors.OAuthError) as caught:
        _renewed(vendor, answer({"message": "bad canary-added"}, 400))
    assert caught.value.description == "bad ****"


def test_hear():
    """Milliseconds, say; granting and refusing answers, before every other field of the dialect."""

    def hear(said):
        if "fehler" in said:
            return {"error": said["fehler"]}
        return {**said, "inner": {"access_token": said["tok"], "expires_in": said["ms"] / 1000}}

    vendor = _of(hear=hear, answer_in="inner")
    token = _renewed(vendor, answer({"tok": "at-9", "ms": 60_000, "scope": "no"}))
    assert (token.access_token, token.expires_at) == ("at-9", SENT_AT + 60)
    assert type(token.access_token) is SecretStr
    with pytest.raises(errors.InvalidGrant):
        _renewed(vendor, answer({"fehler": "invalid_grant"}, 400))


@pytest.mark.parametrize(
    "hear", [lambda said: None, lambda said: [said], lambda said: said["x"], lambda said: {"a": {1, 2}}]
)
def test_a_hear_that_fails_costs_no_refresh_token(hear):
    """What the answer rotated is kept; a refusal is then read as it came."""
    with pytest.raises(MalformedResponse, match="hear=") as caught:
        _renewed(_of(hear=hear))
    assert caught.value.salvage.refresh_token == "rt-2"
    assert caught.value.__context__ is None
    with pytest.raises(errors.InvalidGrant):
        _renewed(_of(hear=hear), answer({"error": "invalid_grant"}, 400))


def test_what_hear_gives_can_be_stored():
    """Texts are texts again, so that a scope is shown, and secrets are masked."""
    token = _renewed(_of(hear=lambda said: {**said, "scope": "a,b", "again": said}))
    assert "scope='a b'" in repr(token)
    assert "at-2" not in repr(token.extra)


def test_an_unused_refresh_tokens_lifetime():
    """Xero says it on a page only: anew with each renewal, and what the vendor itself says goes before."""
    vendor = attrs.evolve(OTHER, refresh_lifetime=2_592_000.0)
    assert _renewed(vendor).refresh_expires_at == SENT_AT + 2_592_000
    assert _renewed(vendor, CASE.ok(refresh_token=None)).refresh_expires_at == SENT_AT + 2_592_000
    assert _renewed(vendor, CASE.ok(refresh_expires_in=90)).refresh_expires_at == SENT_AT + 90
    assert _renewed(attrs.evolve(MACHINE, refresh_lifetime=5.0), CASE.ok(refresh_token=None)).refresh_expires_at is None
    assert vendor.identity() == OTHER.identity()


def test_a_sessions_lifetime_from_the_consent():
    """Spotify, LinkedIn: whatever is renewed, the user has to come again; so it is the refresh token's end as well."""
    vendor = attrs.evolve(OTHER, session_lifetime=1000.0, refresh_lifetime=600.0)
    token = _exchanged(vendor)
    assert (token.session_expires_at, token.refresh_expires_at) == (SENT_AT + 1000, SENT_AT + 600)
    later = attrs.evolve(CASE.ok(), sent_at=SENT_AT + 500)
    renewed = _renewed(vendor, later, token)
    assert (renewed.session_expires_at, renewed.refresh_expires_at) == (SENT_AT + 1000, SENT_AT + 1000)
    alone = attrs.evolve(OTHER, session_lifetime=1000.0)
    for answered in (later, attrs.evolve(CASE.ok(refresh_token=None), sent_at=SENT_AT + 500)):
        assert _renewed(alone, answered, _exchanged(alone)).refresh_expires_at == SENT_AT + 1000
    with pytest.raises(MalformedResponse) as caught:
        _renewed(alone, CASE.ok(access_token="a b"), token)
    assert caught.value.salvage.session_expires_at == SENT_AT + 1000
    assert _renewed(alone).session_expires_at is None
    assert vendor.identity() == OTHER.identity()


WRONG = [
    {"body": "xml"},
    {"basic": "no"},
    {"id_in_body": "yes"},
    {"token_extra": {"grant_type": "x"}},
    {"token_extra": {"a": 5}},
    {"token_extra": "a=b"},
    {"token_headers": {"a b": "c"}},
    {"token_headers": {"Host": "evil.com"}},
    {"token_headers": {"content-length": "1"}},
    {"token_headers": {"Authorization": "x"}},
    {"token_headers": {"X": "a\r\nb"}},
    {"grant_type": ""},
    {"refresh_url": "http://example.com"},
    {"scope_separator": ""},
    {"scope_separator": "a"},
    {"scope_separator": "\n"},
    {"renews_by": "magic"},
    {"answer_in": "a..b"},
    {"answer_in": 5},
    {"answer_names": {"a": ""}},
    {"dead": "expired"},
    {"dead": [""]},
    {"dead": [5]},
    {"code_name": ""},
    {"keep_params": "realmId"},
    {"keep_params": [""]},
    {"api_from": "https://example.com"},
    {"api_from": {"a": "https://example.com"}},
    {"api_from": {"a": []}},
    {"api_from": {"a": ["http://example.com"]}},
    {"api_from": {"a": ["https://*"]}},
    {"api_from": {"a": ["https://*.com"]}},
    {"api_from": {"a": ["https://*.*.example.com"]}},
    {"api_from": {"a": ["https://a*.example.com"]}},
    {"api_from": {"a": ["https://a.*.example.com"]}},
    {"api_from": {"a": ["https://*.example.com/*"]}},
    {"api_from": {"a": ["https://*.127.0.0.1"]}},
    {"token_url_from": {"a": ["https://*.example.com"]}},
    {"scheme": "a b"},
    {"header": ""},
    {"header": "Host"},
    {"header": "X\r\nY"},
    {"expired_statuses": 401},
    {"expired_statuses": [200]},
    {"expired_statuses": [True]},
    {"expired_statuses": [500]},
    {"ask": "ask"},
    {"hear": 5},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_cannot_work_is_refused(wrong):
    """When it is made, by name, and not at the first renewal at night."""
    with pytest.raises(ConfigurationError):
        Dialect(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dialect": None},
        {"dialect": {}},
        {"refresh_lifetime": 0},
        {"refresh_lifetime": float("inf")},
        {"session_lifetime": True},
        {"refresh_ahead": -1},
        {"refresh_ahead": "5"},
    ],
    ids=str,
)
def test_facts_that_cannot_be(wrong):
    """The same for what stands beside it."""
    with pytest.raises(ConfigurationError):
        attrs.evolve(OTHER, **wrong)


def test_a_dialect_is_frozen():
    """A caller's list or mapping that changes later changes nothing."""
    given = {"a": ["https://a.example.com"]}
    dialect = Dialect(api_from=given, dead=(dead := ["x"]))
    given["b"] = given["a"]
    dead.append("y")
    assert dialect == Dialect(api_from={"a": ("https://a.example.com",)}, dead=("x",))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        dialect.body = "json"
    assert isinstance(OTHER, OAuth2)
    assert isinstance(PENDING, Pending)
