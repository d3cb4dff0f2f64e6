"""Every reader of foreign data, fed with anything: documented errors, masked, bounded, and nothing else.

``LINKAUTH_FUZZ=100 pytest tests/oauth/test_fuzz.py`` tries each of them a hundred times as often.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
from urllib.parse import urlencode

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linkauth.errors import (
    ConfigurationError,
    LinkAuthError,
    MalformedResponse,
    NoAnswer,
    NotSent,
    OAuthError,
    RateLimited,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth import grants, jwt, limits, url, wire
from linkauth.oauth.discovery import Metadata, discovery
from linkauth.oauth.exchange import Response
from linkauth.oauth.token import Secret, Token
from linkauth.vendors import SageX3
from tests.processor import at_most
from tests.vendors.vendor_answers import BY_NAME, CASES, CURRENT, LINKXG, OTHER, PENDING, SAGE, SENT_AT, USER

TIMES = 20 * int(os.environ.get("LINKAUTH_FUZZ", "1"))
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}

text = st.text(st.characters(), max_size=60)  # lone surrogates included
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text | st.sampled_from([10**400, -(10**30), 1e308])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=12
)
NAMES = [
    *("access_token", "token_type", "expires_in", "scope", "refresh_token", "refresh_token_expires_in"),
    *("accessToken", "refreshToken", "data", "success", "user", "error", "error_description", "message", "code"),
    *("client_secret", "secret", "issuer", "token_endpoint", "endpoint"),
    *("expires", "expires_at", "refresh_expires_in", "errors", "fault", "ok", "errorType", "detail", "type"),
]
likely = st.sampled_from(
    [
        "2030-01-01T00:00:00Z",
        1893456000,
        "bad_refresh_token",
        "read,write",
        "Bearer",
        "tok",
        "rt",
        3600,
        "3600",
        5.5,
        True,
        "invalid_grant",
        "https://a.example.com/x",
    ]
)
documents = st.dictionaries(st.sampled_from(NAMES), likely | values, max_size=7)
nested = st.builds(
    lambda outer, inner, name: {**outer, name: inner}, documents, documents, st.sampled_from(["data", "error"])
)
bodies = st.one_of(
    st.binary(max_size=80),
    (documents | nested | values).map(lambda value: json.dumps(value).encode()),
    st.text(max_size=40).map(lambda t: t.encode("utf-8", "replace")),
    st.dictionaries(st.sampled_from(NAMES), likely | text.map(lambda t: t.encode("utf-8", "replace")), max_size=7).map(
        lambda fields: urlencode(fields).encode()
    ),
)
kinds = st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain; x=y", "text/html"])
headers = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": text | st.integers(-5, 10**12).map(str),
        "content-type": kinds | text,
        "location": st.sampled_from(["https://[", "//a.example.com:x/", "https://a.example.com/?rt"]) | text,
        "date": st.just("Tue, 01 Jan 2030 00:00:00 GMT") | text,
    },
)
dates = st.lists(
    st.sampled_from(["Wed,", "Wednesday,", "21", "Oct", "21-Oct-26", "2026", "07:28:00", "GMT", "+0000", "-9999", ":"])
    | st.integers(-1, 10**12).map(str),
    max_size=8,
).map(" ".join)
statuses = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 418, 429, 500, 501, 502, 503, 504, 599])
responses = st.builds(Response, status=statuses, headers=headers, body=bodies, sent_at=st.just(SENT_AT))


def _fit(error: LinkAuthError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    assert error.__context__ is None or isinstance(error.__context__, LinkAuthError)
    if isinstance(error, RateLimited | VendorUnavailable) and error.retry_after is not None:
        assert 0 <= error.retry_after < 1e9


def _driven(flow, *responses):
    """What ``flow`` returns after as many of ``responses`` as it asks for; None after a documented error."""
    try:
        next(flow)
        for response in responses:
            flow.send(response)
    except StopIteration as done:
        return done.value
    except LinkAuthError as error:
        _fit(error)
    return None


def _usable(token: Token) -> None:
    assert token.access_token
    assert token.authorization.isascii()
    assert token.authorization.isprintable()
    assert " " not in token.access_token
    assert (token.refresh_token or "x").isprintable()
    assert SENT_AT < token.expires_at <= SENT_AT + grants.LONGEST_LIFETIME
    assert token.refresh_expires_at is None or token.refresh_expires_at > 0
    wire.dump(attrs.asdict(token))  # the store takes it


@pytest.mark.slow
@settings(max_examples=TIMES * 3, **COMMON)
@given(response=responses)
@example(response=Response(status=200, body=b'{"access_token": "a", "expires_in": 1e999}'))
@example(response=Response(status=400, body=b'{"error": {"code": []}, "message": {}}'))
def test_token_answers_and_errors(response):
    """A flow ends in a usable token or in an error of the vendor's making; what it salvages can be stored."""
    for case in CASES:
        outcome = case.outcome(response)
        if isinstance(outcome, Token):
            _usable(outcome)
            continue
        assert isinstance(outcome, OAuthError | MalformedResponse | VendorUnavailable)
        assert not isinstance(outcome, NotSent)
        assert isinstance(outcome, NoAnswer) == (response.status in {502, 504} and not isinstance(outcome, OAuthError))
        _fit(outcome)
        if isinstance(outcome, MalformedResponse) and outcome.salvage is not None:
            assert outcome.salvage.refresh_token
            wire.dump(attrs.asdict(outcome.salvage))


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        b"a=b&" * 2**18,
        b"access_token=a&scope=" + b"," * 2**20,
        b'{"errors":' + b"[" * 30 + b"]" * 30 + b',"error":[' + b'"a",' * 2**18 + b'"a"]}',
        b'{"access_token":"a","scope":"' + b", " * 2**19 + b'"}',
        b'{"access_token":"a","expires":"' + b"9" * 2**20 + b'"}',
        b'{"error":"' + b"a-_." * 2**18 + b'"}',
        b"<" + b" " * 2**20,
    ],
    ids=lambda body: body[:30],
)
def test_any_vendors_answer_is_read_in_bounded_time(body):
    """A megabyte of the worst, granting or refusing, as JSON, as a form and as text: a documented error, within seconds."""
    kinds = ("", "application/x-www-form-urlencoded", "text/plain")
    with at_most(60):  # nine answers, of which each took as long when members were looked up one by one
        for kind, status in itertools.product(kinds, (200, 302, 400)):
            response = Response(status=status, headers={"content-type": kind}, body=body)
            outcome = BY_NAME["oauth2-renew"].outcome(response)
            assert isinstance(outcome, LinkAuthError)
            _fit(outcome)


@pytest.mark.slow
def test_a_token_with_a_megabyte_of_members():
    """What has no room beside it is left out in no more steps than there are members."""
    members = b"".join(b',"x%d":"y"' % number for number in range(2**16))
    body = b'{"access_token":"a","expires_in":9' + members + b"}"
    with at_most(3):
        outcome = BY_NAME["oauth2-renew"].outcome(Response(status=200, body=body, sent_at=SENT_AT))
    assert len(outcome.extra) + len(outcome.left_out) >= 2**16


@pytest.mark.slow
@settings(max_examples=TIMES * 2, **COMMON)
@given(response=responses)
def test_the_other_verbs(response):
    """Rotation of a secret and logouts: a secret, nothing, or a documented error."""
    for flow in (LINKXG.rotate_secret(CURRENT), USER.logout(CURRENT), OTHER.logout(CURRENT)):
        outcome = _driven(flow, response, response)
        assert outcome is None or (isinstance(outcome, Secret) and outcome.reveal().isprintable())


params = st.dictionaries(
    st.sampled_from(["code", "authorizationCode", "state", "error", "error_description", "message", "endpoint", "iss"])
    | text,
    likely | values | st.just("https://api.us-sagex3.com/v1") | st.text(max_size=9).map(lambda t: t * 2000),
    max_size=5,
)
CALLED_BACK = [BY_NAME["linkkit-exchange"].vendor, SAGE, OTHER, attrs.evolve(OTHER, issuer="https://a.example.com")]


@pytest.mark.slow
@settings(max_examples=TIMES * 3, **COMMON)
@given(params=params)
def test_callbacks(params):
    """A callback's parameters lead to a request to a trusted place, or to a documented error with nothing sent."""
    for vendor in CALLED_BACK:
        try:
            request = next(vendor.exchange(params, PENDING))
        except (OAuthError, UntrustedEndpoint) as error:
            _fit(error)
        else:
            assert request.url.startswith("https://")
            assert len(request.body) < 100_000


hosts = st.lists(
    st.sampled_from(
        ["api", ".", "-", "sagex3", "com", "evil", "@", ":", "443", "/", "\\", "%2e", "xn--", "A", "\u0435", "#", "?"]
    ),
    max_size=12,
).map("".join)
endpoints = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["https://", "http://", "//", "https:", "HTTPS://", ""]),
        hosts,
        st.sampled_from(["/v1", "", "/", "/v1/"]),
    ),
    st.from_regex(r"https://api\.[a-z0-9.-]{0,12}-sagex3\.com[:@/.a-z0-9?#]{0,8}", fullmatch=True),
    text,
)


@pytest.mark.slow
@settings(max_examples=TIMES * 6, **COMMON)
@given(endpoint=endpoints)
def test_sages_endpoint(endpoint):
    """Whatever is written there: the secret goes over https to one label between ``api.`` and ``-sagex3.com``."""
    try:
        request = next(SAGE.exchange({"code": "c", "endpoint": endpoint}, PENDING))
    except UntrustedEndpoint as error:
        _fit(error)
        return
    host = request.url.removeprefix("https://").partition("/")[0]
    label = host.removeprefix("api.").removesuffix("-sagex3.com")
    assert host == f"api.{label}-sagex3.com"
    assert label
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


segments = st.one_of(
    st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")),
    st.dictionaries(st.sampled_from(["exp", "iat"]), scalars).map(
        lambda claims: base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    ),
    text,
)


@settings(max_examples=TIMES * 3, **COMMON)
@given(token=text | st.lists(segments, max_size=4).map(".".join), now=st.floats(0, 4e9))
@example(token="a." + "x" * 200_000 + ".c", now=0.0)
@example(token="a.é.c", now=0.0)
def test_jwt_reading(token, now):
    """Seconds above 0, or None."""
    seconds = jwt.lifetime(token, now)
    assert seconds is None or 0 < seconds <= 1e11


@settings(max_examples=TIMES * 3, **COMMON)
@given(value=text | scalars | endpoints)
def test_urls(value):
    """A base URL or a ``ConfigurationError``; what passes is https or this machine, and parses the same ever after."""
    for read in (url.base_url, url.endpoint_url):
        try:
            taken = read(value)
        except ConfigurationError as error:
            _fit(error)
        else:
            scheme, host, port = url.origin(taken)
            assert scheme == "https" or url.is_loopback(host)
            assert 0 < port < 65536
            assert read(taken) == taken


@pytest.mark.slow
@settings(max_examples=TIMES * 2, **COMMON)
@given(
    responses=st.lists(responses, min_size=2, max_size=2),
    members=st.dictionaries(st.sampled_from([f.name for f in attrs.fields(Metadata)]), likely | values),
)
def test_metadata(responses, members):
    """Metadata of the issuer that was asked for, or a documented error."""
    issuer = "https://a.example.com/x"
    said = Response(status=200, body=json.dumps({"issuer": issuer, **members}).encode())
    for answers in (responses, [said], [responses[0], said]):
        metadata = _driven(discovery(issuer), *answers, said)
        if metadata is not None:
            assert metadata.issuer == issuer
            assert metadata.token_endpoint.startswith("https://")


@settings(max_examples=TIMES * 3, **COMMON)
@given(value=text | scalars, secrets=st.lists(text, max_size=3))
def test_words(value, secrets):
    """One printable line, not too long."""
    line = wire.words(value, *secrets)
    assert line.isprintable() or line == ""
    assert len(line) <= wire.LONGEST_WORDS + 1


@settings(max_examples=TIMES * 2, **COMMON)
@given(header=text | dates, date=text | dates)
@example(header="0, 00 Jan 0 0:0:0 GMT", date="Mon, 01 Jan 0001 00:00:00 GMT")
@example(header="1 Jan 99999999999999999999 0:0:0 +9999999999999", date="1 Jan 2026 0:0 GMT")
def test_retry_after(header, date):
    """Seconds that can be waited for, or None."""
    seconds = limits.retry_after({"retry-after": header, "date": date})
    assert seconds is None or 0 <= seconds < 1e9


@settings(max_examples=TIMES * 2, **COMMON)
@given(
    arguments=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["client_id", "client_secret", "base_url", "customer", "scope"], text | scalars)
    )
)
def test_registrations(arguments):
    """A vendor, or a ``ConfigurationError`` that shows nothing."""
    good = {"client_id": "c", "client_secret": "s", "base_url": "https://a.example.com", "customer": "https://x"}
    try:
        SageX3(**{**good, **arguments})
    except ConfigurationError as error:
        _fit(error)
