"""A static key as a value: what it is made of, how it is signed with, and that it gives nothing away."""

from __future__ import annotations

import math

import pytest

from linkauth.errors import ConfigurationError, UnsupportedGrant
from linkauth.vendors import ApiKey
from tests.vendors.vendor_answers import CURRENT, PENDING


def _key(**how):
    return ApiKey(**{"name": "acme", "key": "canary-key", "api_url": "https://api.example.com/v1", **how})


@pytest.mark.parametrize(
    ("how", "signed"),
    [
        ({}, "Bearer canary-key"),
        ({"scheme": "Token"}, "Token canary-key"),
        ({"scheme": ""}, "canary-key"),
        ({"header": "authorization"}, "Bearer canary-key"),
        ({"header": "X-Api-Key"}, "canary-key"),
        ({"header": "X-Api-Key", "scheme": "Key"}, "Key canary-key"),
    ],
    ids=str,
)
def test_how_it_is_signed_with(how, signed):
    """As a dialect's ``scheme`` and ``header`` have it; the token that it makes is for ever, and leads to ``api_url``."""
    vendor = _key(**how)
    token = vendor.static_token()
    assert (vendor.signature(token), vendor.header) == (signed, how.get("header", "Authorization"))
    assert (token.expires_at, token.refresh_token) == (math.inf, None)
    assert vendor.api(token) == vendor.api(None) == "https://api.example.com/v1"
    assert vendor.may_serve(("https", "api.example.com", 443))
    assert not vendor.may_serve(("https", "example.com", 443))


def test_a_401_tells_of_nothing_that_could_be_renewed():
    """No status means that the key has expired, no flow would bring another, and a logout ends nothing."""
    vendor = _key()
    assert vendor.expired_statuses == ()
    assert "withdrawn where it was made" in vendor.leaves_open
    for flow in (lambda: vendor.renew(CURRENT), lambda: vendor.exchange({}, PENDING)):
        with pytest.raises(UnsupportedGrant, match="acme"):
            flow()


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": "canary\n"},
        {"key": 5},
        {"name": "a/b"},
        {"name": ""},
        {"api_url": "http://example.com"},
        {"header": "Content-Length"},
        {"header": "X Key"},
        {"header": None},
        {"scheme": "two words"},
        {"scheme": 5},
    ],
    ids=str,
)
def test_what_cannot_work_is_said_when_it_is_made(wrong):
    """And shows no key."""
    with pytest.raises(ConfigurationError) as caught:
        ApiKey(**{"name": "acme", "key": "canary-key", "api_url": "https://api.example.com", **wrong})
    assert "canary" not in str(caught.value)


def test_it_is_a_value():
    """Equal by what it holds, its key masked, and not in what tells credentials apart."""
    one, same, other = (ApiKey(name="a", key=key, api_url="https://A.example.com/") for key in ("k-1", "k-1", "k-2"))
    assert one == same != other
    assert (hash(one), one.identity()) == (hash(same), other.identity())
    assert "k-1" not in repr(one) + str(one.identity())


def test_an_argument_too_many_shows_no_key():
    """The frames of the traceback have the key as a secret, as they have a client's."""
    with pytest.raises(TypeError) as caught:
        ApiKey(name="a", key="canary-key", api_url="https://a.example.com", keys="x")
    frame = caught.tb
    while frame is not None:
        assert frame.tb_frame.f_code.co_name.startswith("test_") or "canary-key" not in repr(frame.tb_frame.f_locals)
        frame = frame.tb_next
