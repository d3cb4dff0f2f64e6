"""What refusals have in common, whoever refuses; each documented one stands in ``documented``."""

from __future__ import annotations

import base64
import traceback

import attrs
import pytest

from linkauth import errors
from linkauth.testing import play
from tests.vendors.documented import flatly, refused
from tests.vendors.vendor_answers import (
    BY_NAME,
    CASES,
    CURRENT,
    LINKXG,
    OTHER,
    PENDING,
    SAGE,
    SECRETS,
    USER,
    answer,
    nothing_sent,
)


@pytest.mark.parametrize("body", [refused("TOKEN_EXPIRED"), refused("TOKEN_INVALID"), flatly("invalid_token")])
def test_a_dead_refresh_token_of_a_linkxg_user_needs_the_user(body):
    """TOKEN_EXPIRED at /auth/refresh speaks of the refresh token: nothing but a login helps."""
    assert type(BY_NAME["user-renew"].outcome(answer(body, 401))) is errors.InvalidGrant


def test_the_envelope_may_refuse_under_any_status():
    """``success: false`` is a refusal, though the status says 200."""
    error = BY_NAME["user-renew"].outcome(answer(refused("REFRESH_TOKEN_REUSED"), 200))
    assert type(error) is errors.InvalidGrant
    with pytest.raises(errors.InvalidToken):
        play(USER.logout(attrs.evolve(CURRENT, refresh_token=None)), answer(refused("TOKEN_INVALID"), 401))
    with pytest.raises(errors.InsufficientScope):
        play(LINKXG.rotate_secret(CURRENT), answer(refused("INSUFFICIENT_SCOPE"), 403))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_429_carries_retry_after(case):
    """However the body is worded, or if it is a proxy's page."""
    for body in (flatly("rate_limit_exceeded"), refused("RATE_LIMITED"), {"message": "slow"}, b"<html>slow</html>"):
        error = case.outcome(answer(body, 429, retry_after="17"))
        assert type(error) is errors.RateLimited
        assert error.retry_after == 17
    assert case.outcome(answer(b"", 429)).retry_after is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_5xx_is_nobodys_fault(case):
    """A 5xx is unavailable; a gateway's 502 and 504 may have delivered the request, and say so."""
    for status, kind in {500: errors.VendorUnavailable, 502: errors.NoAnswer, 503: errors.VendorUnavailable}.items():
        error = case.outcome(answer(b"<html>oops</html>", status, retry_after="3"))
        assert type(error) is kind
        assert error.retry_after == 3


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_proxys_page_ends_no_session(case):
    """HTML under any status is an error, but none that says that the user's grant is gone."""
    for status in (301, 400, 401, 403, 404, 418):
        error = case.outcome(answer(b"<html>blocked</html>", status))
        assert isinstance(error, errors.LinkAuthError)
        assert not isinstance(error, errors.InvalidGrant | errors.InvalidToken | errors.ReauthorizationRequired)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_words_give_nothing_away(case):
    """A vendor that repeats what it was sent: masked; a long or hostile text: one short printable line."""
    said = " ".join(SECRETS) + "\r\n\x1b[31m" + "x" * 5000
    bodies = [{"error": "invalid_grant", "error_description": said}, {"error": said}, {"message": said}]
    bodies += [{"error": {"code": "VALIDATION_ERROR", "message": said, "details": {said: [{"field": said}]}}}]
    for body in bodies:
        error = case.outcome(answer(body, 400))
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        sent = _sent(case)
        assert sent
        assert not [secret for secret in sent if secret in str(error) + repr(vars(error))]
        assert not [secret for secret in sent if secret in shown]
        assert str(error).isprintable()
        assert len(str(error)) < 700


def _sent(case):
    request = next(case.flow())
    basic = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
    return {secret for secret in SECRETS if secret in request.body.decode() + basic}


@pytest.mark.parametrize("vendor", ["linkkit-exchange", "sage-exchange", "oauth2-exchange"])
@pytest.mark.parametrize(
    ("code", "kind"),
    {
        "access_denied": errors.AccessDenied,
        "invalid_scope": errors.InvalidScope,
        "unauthorized_client": errors.UnauthorizedClient,
        "server_error": errors.OAuthError,
    }.items(),
)
def test_a_refusal_in_the_callback(vendor, code, kind):
    """``error`` in the callback (RFC 6749 §4.1.2.1) is raised before anything is sent."""
    flow = BY_NAME[vendor].vendor.exchange({"error": code, "error_description": "no\nway"}, PENDING)
    error = nothing_sent(flow, errors.OAuthError)
    assert type(error) is kind
    assert (error.error, error.description, error.status) == (code, "no way", 0)


def test_a_pairing_that_was_refused():
    """Sage documents no callback for a refusal: RFC 6749's names are understood, and Sage's own ``message``."""
    said = {
        "Rejected by the user": errors.AccessDenied,
        "The pairing request has not been accepted.": errors.AuthorizationPending,
        "The request has expired.": errors.InvalidGrant,
    }
    for message, kind in said.items():
        error = nothing_sent(SAGE.exchange({"message": message, "state": "s"}, PENDING), kind)
        assert type(error) is kind
        assert error.description == message


@pytest.mark.parametrize("vendor", ["linkkit-exchange", "sage-exchange", "oauth2-exchange"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"code": ""},
        {"code": None},
        {"code": 5},
        {"code": ["a"]},
        {"code": {"a": "b"}},
        {"code": "x" * 10_000},
        {"code": "a\r\nb"},
        {"error": ["access_denied"], "code": "c"},
    ],
    ids=str,
)
def test_a_callback_that_no_vendor_sends(vendor, params):
    """Missing, empty, not a text, too long, unprintable: ``InvalidRequest`` without the value, nothing sent."""
    error = nothing_sent(BY_NAME[vendor].vendor.exchange(params, PENDING), errors.InvalidRequest)
    assert type(error) is errors.InvalidRequest
    assert "x" * 20 not in str(error)


@pytest.mark.parametrize("vendor", ["linkkit-exchange", "sage-exchange", "oauth2-exchange"])
def test_a_parameter_that_comes_twice(vendor):
    """RFC 6749 §3.1: parameters come once. Of two codes neither is taken."""
    multidict = pytest.importorskip("multidict")
    twice = multidict.MultiDict([("code", "a"), ("code", "b")])
    nothing_sent(BY_NAME[vendor].vendor.exchange(twice, PENDING), errors.InvalidRequest)
    once = multidict.MultiDict([("code", "a"), ("state", "s"), ("state", "s")])
    assert next(BY_NAME[vendor].vendor.exchange(once, PENDING)).body


@pytest.mark.parametrize("vendor", [BY_NAME["user-renew"].vendor, BY_NAME["linkkit-renew"].vendor, SAGE, OTHER])
@pytest.mark.parametrize("current", [None, attrs.evolve(CURRENT, refresh_token=None)], ids=["none", "no refresh token"])
def test_nothing_to_renew_with(vendor, current):
    """Without a refresh token nothing is sent: the user has to come."""
    nothing_sent(vendor.renew(current), errors.ReauthorizationRequired)


def test_a_bare_401_at_a_login_is_about_no_client():
    """LinkXG's users have no client whose secret could be wrong."""
    error = BY_NAME["user-login"].outcome(answer(b"", 401))
    assert type(error) is errors.OAuthError
    assert "client" not in str(error)


@pytest.mark.parametrize("vendor", ["linkkit-exchange", "sage-exchange", "oauth2-exchange"])
def test_a_refusing_callback_does_not_repeat_state_and_code(vendor):
    """Words of a callback that hold its own state or code, as a vendor's error page may: stars in their place."""
    state, code = "canary-state-b7Qx9Lm2", "canary-code-Kp4Vw8Rt"
    said = {
        "error": f"bad_{state}",
        "error_description": f"{state} and {code}",
        "state": state,
        "authorizationCode": code,
    }
    error = nothing_sent(BY_NAME[vendor].vendor.exchange(said, PENDING), errors.OAuthError)
    assert (error.error, error.description) == ("bad_****", "**** and ****")
