"""What is wrong with a dialect, or with a vendor's facts, is said when it is made."""

from __future__ import annotations

import attrs
import pytest

from linkauth.errors import ConfigurationError
from linkauth.vendors import Dialect
from tests.vendors.vendor_answers import OTHER

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
