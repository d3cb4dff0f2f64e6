"""Any vendor, whatever its dialect and whatever it answers: a token that can be used, or a documented error, in bounded steps.

``LINKAUTH_FUZZ=100 pytest tests/fuzz/test_dialects.py`` tries each of them a hundred times as often.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linkauth.errors import (
    ConfigurationError,
    LinkAuthError,
    MalformedResponse,
    OAuthError,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth import wire
from linkauth.oauth.exchange import Response
from linkauth.oauth.token import Token
from linkauth.vendors import ApiKey, Dialect, OAuth2
from tests.fuzz.targets import fit
from tests.oauth.test_fuzz import SENT_AT, _usable, bodies, headers, likely, statuses, values
from tests.vendors.vendor_answers import CURRENT, MACHINE, OTHER, PENDING

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.oauth.exchange import Flow

TIMES = 25 * int(os.environ.get("LINKAUTH_FUZZ", "1"))
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
DOCUMENTED = OAuthError | MalformedResponse | VendorUnavailable | UntrustedEndpoint

ROOTS = {"instance_url": ["https://*.my.example.com", "https://api.example.com/v2"], "base": ["https://b.example.com"]}
SERVERS = {"accounts-server": ["https://a.example.com"], "base": ["https://b.example.com"]}
HOSTS = {"auth.example.com", "api.example.com", "a.example.com", "b.example.com"}


def _surrounds(said: dict[str, Any]) -> dict[str, Any]:
    return {"a": said, **said}


def _breaks(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "expires_in": said["expires_in"] / 1000}


DIALECTS = [
    Dialect(),
    Dialect(answer_in="a.b"),
    Dialect(answer_in="a", answer_names={"token": "access_token", "access_token": "token", "ttl": "expires_in"}),
    Dialect(dead=["", "gone", "invalid"][1:], renews_by="access_token"),
    Dialect(scope_separator="+", refresh_scope=True, body="json"),
    Dialect(api_from=ROOTS, token_url_from=SERVERS, keep_params=["realmId"], code_name="ticket"),
    Dialect(hear=_surrounds, answer_in="a"),
    Dialect(hear=_breaks, header="X-Token", scheme=""),
    Dialect(hear=lambda said: [said]),
    Dialect(hear=lambda _: {"access_token": float("nan"), "expires_in": 10**400}),
]

NAMES = [
    *("access_token", "refresh_token", "expires_in", "expires_at", "scope", "token_type", "error", "errors", "message"),
    *("refresh_expires_in", "a", "b", "token", "ttl", "instance_url", "base", "accounts-server", "id_token", "status"),
]
named = st.sampled_from(
    ["https://acme.my.example.com", "https://b.example.com", "https://a.example.com", "https://evil.example", "//x", ""]
)
members = st.dictionaries(st.sampled_from(NAMES), likely | named | values, max_size=8)
objects = st.recursive(
    members,
    lambda inner: st.builds(lambda outer, name, part: {**outer, name: part}, members, st.sampled_from("ab"), inner),
)
responses = st.builds(
    Response,
    status=statuses,
    headers=headers,
    body=bodies | objects.map(lambda said: json.dumps(said).encode()),
    sent_at=st.just(SENT_AT),
)
params = st.dictionaries(
    st.sampled_from(["code", "ticket", "state", "error", "iss", "realmId", *ROOTS, *SERVERS]),
    likely | named | values,
    max_size=5,
).map(lambda said: {"code": "c", "ticket": "t", **said})


def _hosts(flow: Flow[Token], response: Response) -> tuple[Token | LinkAuthError, list[str]]:
    """What ``flow`` ends in, each of whose requests is answered so; and which hosts they went to."""
    asked: list[str] = []
    try:
        request = next(flow)
        while True:
            asked.append(urlsplit(request.url).hostname or "")
            request = flow.send(attrs.evolve(response, request=request))
    except StopIteration as done:
        return done.value, asked
    except LinkAuthError as error:
        return error, asked


def _fit(outcome: Token | LinkAuthError) -> None:
    if isinstance(outcome, Token):
        _usable(outcome)
        return
    assert isinstance(outcome, DOCUMENTED), repr(outcome)
    fit(outcome)
    if isinstance(outcome, MalformedResponse) and outcome.salvage is not None:
        assert outcome.salvage.refresh_token
        wire.dump(attrs.asdict(outcome.salvage))


@settings(max_examples=TIMES, **COMMON)
@given(response=responses, params=params)
@example(
    response=Response(status=200, body=b'{"a": {"a": {"access_token": 1}}}', sent_at=SENT_AT),
    params={"code": "c", "ticket": "t"},
)
@example(
    response=Response(
        status=200, body=b'{"access_token": "t", "expires_in": 9, "base": "https://evil.example"}', sent_at=SENT_AT
    ),
    params={"ticket": "t", "accounts-server": "https://a.example.com"},
)
def test_any_bytes_in_any_dialect(response: Response, params: dict[str, Any]) -> None:
    """Login, renewal and machine grant: what comes can be stored and sent, and secrets go to hosts that are listed alone."""
    for dialect in DIALECTS:
        user, machine = (attrs.evolve(vendor, dialect=dialect) for vendor in (OTHER, MACHINE))
        first, asked = _hosts(user.exchange(params, PENDING), response)
        held = first if isinstance(first, Token) else CURRENT
        for flow in (user.renew(held), machine.renew(None)):
            outcome, more = _hosts(flow, response)
            asked += more
            _fit(outcome)
        _fit(first)
        assert HOSTS.issuperset(asked), asked
        if isinstance(first, Token):
            host = urlsplit(user.api(first)).hostname or ""
            assert host in HOSTS or host.endswith(".my.example.com")
            assert user.signature(first).isprintable()


@settings(max_examples=TIMES, **COMMON)
@given(response=responses)
def test_a_rotated_refresh_token_is_not_lost(response: Response) -> None:
    """Whatever else is wrong with a 2xx that grants: its new refresh token is in the token, or in what is salvaged."""
    said = wire.as_object(wire.decode(response.body))
    fresh = said.get("refresh_token")
    granting = attrs.evolve(response, status=200, headers={}, body=wire.dump({**said, "access_token": "at 2"}))
    outcome, _ = _hosts(OTHER.renew(CURRENT), granting)
    if isinstance(fresh, str) and fresh and fresh.isprintable():
        kept = outcome if isinstance(outcome, Token) else getattr(outcome, "salvage", None)
        assert kept is not None, outcome
        assert kept.refresh_token == fresh


FIELDS = [field.name for field in attrs.fields(Dialect)]


@settings(max_examples=TIMES * 4, **COMMON)
@given(stated=st.dictionaries(st.sampled_from(FIELDS), values | st.binary(max_size=5) | st.just(len), max_size=4))
@example(stated={"body": []})
@example(stated={"basic": {}})
@example(stated={"renews_by": []})
@example(stated={"scheme": []})
@example(stated={"api_from": {"a": ["https://*.\ud800.com"]}})
@example(stated={"token_extra": {1: "a"}})
@example(stated={"answer_names": {"a": 1}})
@example(stated={"api_from": {"": ["https://a.example.com"]}})
@example(stated={"api_from": {"a": [1]}})
@example(stated={"expired_statuses": [401.0]})
def test_what_is_stated(stated: dict[str, Any]) -> None:
    """A dialect, or a ``ConfigurationError`` of one line; a vendor with it is a value that can be made."""
    try:
        dialect = Dialect(**stated)
    except ConfigurationError as error:
        fit(error)
        return
    vendor = attrs.evolve(OTHER, dialect=dialect)
    assert hash(vendor) == hash(attrs.evolve(OTHER, dialect=dialect))
    repr(vendor)


ARGUMENTS = [field.name for field in attrs.fields(OAuth2) if field.init]
REGISTERED = {"name": "v", "client_id": "c", "client_secret": "s", "token_url": "https://a.example.com/t"}


@settings(max_examples=TIMES * 4, **COMMON)
@given(stated=st.dictionaries(st.sampled_from(ARGUMENTS), values | named, max_size=3))
@example(stated={"client_auth": []})
@example(stated={"extra": {"a": []}})
@example(stated={"token_rate": [{}, []]})
@example(stated={"lifetime": []})
@example(stated={"rotation": {}})
@example(stated={"former": [{"token_url": "x"}]})
@example(stated={"former": 3})
@example(stated={"issuer": []})
def test_what_a_registration_states(stated: dict[str, Any]) -> None:
    """The same of everything else that ``OAuth2`` takes, and of a static key."""
    for kind, given_ in (
        (OAuth2, {**REGISTERED, **stated}),
        (
            ApiKey,
            {
                "name": "v",
                "key": "k",
                "api_url": "https://a.example.com",
                **{one: value for one, value in stated.items() if one in {"name", "api_url"}},
                **({"scheme": stated["scope"], "header": stated["scope"]} if "scope" in stated else {}),
            },
        ),
    ):
        try:
            vendor = kind(**given_)
        except ConfigurationError as error:
            fit(error)
        else:
            hash(vendor)
            repr(vendor)
            vendor.former_identities()


# -- in bounded steps ----------------------------------------------------------------------------------------------

WORST: dict[str, Callable[[int], bytes]] = {
    "fields of a form": lambda size: b"a=b&" * (size // 4),
    "commas": lambda size: b"access_token=a&scope=" + b"," * size,
    "scopes": lambda size: b'{"access_token":"a","expires_in":9,"scope":"' + b"a, " * (size // 3) + b'"}',
    "a list of scopes": lambda size: b'{"access_token":"a","scope":[' + b'"a",' * (size // 4) + b'"a"]}',
    "errors": lambda size: b'{"errors":[' + b'{"a":"b"},' * (size // 10) + b'{}],"error":"x"}',
    "names": lambda size: json.dumps({f"error{number}": "x" for number in range(size // 15)}).encode(),
    "a code": lambda size: b'{"error":"' + b"a-_." * (size // 4) + b'"}',
    "words": lambda size: b'{"message":"' + b"canary-refresh " * (size // 15) + b'"}',
    "digits": lambda size: b'{"access_token":"a","expires":"' + b"9" * size + b'"}',
    "a date": lambda size: b'{"access_token":"a","expires_at":"' + b"2030-01-01T" * (size // 11) + b'"}',
    "nesting": lambda size: b'{"a":' * (size // 5),
    "a page": lambda size: b"<" + b" " * size,
    "other members": lambda size: json.dumps(
        {"access_token": "a", "expires_in": 9, **{f"x{number}": "y" for number in range(size // 12)}}
    ).encode(),
}


def steps(vendor: OAuth2, response: Response) -> int:
    """Lines of Python that are run to read ``response`` as the answer to a renewal."""
    count = 0

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        outcome, _ = _hosts(vendor.renew(CURRENT), response)
    finally:
        sys.settrace(before)
    _fit(outcome)
    return count


@pytest.mark.parametrize("size", [2**16, pytest.param(2**20, marks=pytest.mark.long)])
@pytest.mark.parametrize("what", WORST)
@pytest.mark.parametrize("dialect", [DIALECTS[0], DIALECTS[2]], ids=["plain", "renamed"])
def test_a_megabyte_is_read_in_bounded_steps(what: str, dialect: Dialect, size: int) -> None:
    """For each byte no more steps than for each of a quarter as many: nothing is squared, and nothing is read for ever."""
    vendor = attrs.evolve(OTHER, dialect=attrs.evolve(dialect, dead=("x" * 40, "y")))
    form = {"content-type": "application/x-www-form-urlencoded"}
    for status in (200, 400):
        small, large = (
            steps(vendor, Response(status=status, headers=form, body=WORST[what](most), sent_at=SENT_AT))
            for most in (size // 4, size)
        )
        assert large <= 5 * small + 2000
        assert large <= 8 * size
