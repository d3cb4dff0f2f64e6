"""What no vendor documents, from every vendor: one typed error, who has to act, and no value shown."""

from __future__ import annotations

import traceback

import pytest

from linkauth.errors import MalformedResponse
from linkauth.oauth.token import Token
from tests.vendors.documented import FLAT_MEMBERS, MEMBERS, RAW, comes_of
from tests.vendors.vendor_answers import CASES, CURRENT, SECRETS, answer

FLAT = [case for case in CASES if not case.name.startswith("user")]
IDS = {"ids": lambda value: getattr(value, "name", None)}


def _refused(case, response):
    error = case.outcome(response)
    assert type(error) is MalformedResponse, case.name
    assert error.who == "the vendor"
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for secret in (*SECRETS, "canary-new"):
        assert secret not in str(error) + repr(error) + repr(vars(error))
        assert secret not in shown, "a traceback with locals shows it"
    assert len(str(error)) < 400
    return error


def _refusing(cases, what):
    return [case for case in cases if comes_of(case, what) is MalformedResponse]


@pytest.mark.parametrize("what", RAW)
def test_no_token_answer_at_all(what):
    """HTML, nothing, other formats, other JSON types, and JSON made to hurt."""
    for case in _refusing(CASES, what):
        assert _refused(case, answer(RAW[what])).salvage is None


@pytest.mark.parametrize("what", MEMBERS)
def test_a_member_is_wrong(what):
    """No token, tokens of wrong types, and tokens that would break out of a header."""
    for case in CASES:
        _refused(case, case.ok(**MEMBERS[what]))


@pytest.mark.parametrize("what", FLAT_MEMBERS)
def test_a_lifetime_scope_or_type_is_wrong(what):
    """Lifetimes that are none, scopes and types that are no text: refused, and the field is named."""
    (field,) = FLAT_MEMBERS[what]
    for case in _refusing(FLAT, what):
        assert field in str(_refused(case, case.ok(**FLAT_MEMBERS[what])))


@pytest.mark.parametrize("case", FLAT, **IDS)
def test_expires_in_missing(case):
    """Every vendor that documents it has to send it."""
    assert "expires_in missing" in str(_refused(case, case.ok(expires_in=None)))


@pytest.mark.parametrize("case", [case for case in CASES if case.name[:4] in {"link", "sage"}], **IDS)
def test_expires_in_as_a_string(case):
    """The three vendors document a number, so a string is refused."""
    assert "expires_in" in str(_refused(case, case.ok(expires_in="3600")))


@pytest.mark.parametrize("case", [case for case in CASES if case.name.startswith("oauth2")], **IDS)
def test_any_vendor_may_write_its_seconds_as_a_string(case):
    """PayPal and Microsoft's v1.0 endpoint do: ``OAuth2`` reads it."""
    token = case.outcome(case.ok(expires_in="3600"))
    assert isinstance(token, Token)
    assert token.expires_at - token.issued_at == 3600


@pytest.mark.parametrize("case", CASES, **IDS)
def test_a_new_refresh_token_survives_a_bad_answer(case):
    """The old one may be spent: what the answer brought is salvaged, however bad the rest of it is."""
    faults = [{"access_token": None}, {"access_token": "a\nb"}, {"access_token": 5}]
    if not case.name.startswith("user"):
        faults += [{"expires_in": float("nan")}, {"expires_in": -1}, {"expires_in": 10**4200}, {"scope": 5}]
    for fault in faults:
        salvage = _refused(case, case.ok(refresh_token="canary-new", **fault)).salvage
        assert salvage.refresh_token == "canary-new"
        assert salvage.expires_at == 0
        if case.name in {"user-renew", "sage-renew", "oauth2-renew"}:
            assert (salvage.scope, salvage.extra) == (CURRENT.scope, CURRENT.extra)


@pytest.mark.parametrize("case", CASES, **IDS)
def test_a_success_by_another_number(case):
    """A 201 with a token is a token: the refresh token that it cost is not thrown away for the number."""
    response = case.ok()
    token = case.outcome(type(response)(status=201, body=response.body, sent_at=response.sent_at))
    assert token.access_token == "at-2"


@pytest.mark.parametrize("case", CASES, **IDS)
def test_members_that_nobody_documents(case):
    """Unknown members are kept in ``extra`` and break nothing, not even half a surrogate pair or 1e999."""
    odd = {"note": "\ud800", "many": float("inf"), "deep": {"a": [1]}}
    token = case.outcome(case.ok(**odd))
    assert token.access_token == "at-2"
    assert {"note", "many", "deep"} <= token.extra.keys()
