"""Answers that refuse, in vendors' own words and shapes, and those that come from no token endpoint at all."""

from __future__ import annotations

import traceback

import attrs
import pytest

from linkauth import errors
from linkauth.testing import play
from tests.vendors.vendor_answers import BY_NAME, CURRENT, MACHINE, OTHER, answer

RENEW, CLIENT, EXCHANGE = (BY_NAME[f"oauth2-{flow}"] for flow in ("renew", "client", "exchange"))


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (
            401,
            {"errors": [{"errorType": "invalid_grant", "message": "Refresh token invalid"}], "success": False},
            "invalid_grant",
            "Refresh token invalid",
        ),
        (
            200,
            {"error": "bad_refresh_token", "error_description": "incorrect or expired"},
            "bad_refresh_token",
            "incorrect or expired",
        ),
        (200, {"ok": False, "error": "invalid_refresh_token"}, "invalid_refresh_token", ""),
        (400, {"error": {"code": "invalid_grant", "message": "gone"}}, "invalid_grant", "gone"),
        (400, {"errorCode": "INVALID_GRANT", "errorMessage": "gone"}, "INVALID_GRANT", "gone"),
        (400, {"code": 400, "error_type": "InvalidGrant", "detail": "gone"}, "InvalidGrant", "gone"),
        (
            401,
            {"fault": {"faultstring": "gone", "detail": {"errorcode": "oauth.v2.InvalidRefreshToken"}}},
            "oauth.v2.InvalidRefreshToken",
            "gone",
        ),
        (400, {"error": [{"type": "invalid_grant", "reason": "gone"}]}, "invalid_grant", "gone"),
        (400, {"message": "gone", "error": "refresh_token_expired"}, "refresh_token_expired", "gone"),
        (400, [{"errorCode": "INVALID_GRANT", "message": "gone"}], "INVALID_GRANT", "gone"),
        (400, [{"message": "gone"}, {"code": "invalid_grant"}], "invalid_grant", "gone"),
        (400, "invalid_grant", "invalid_grant", ""),
        (200, {"access_token": None, "error": "invalid_grant", "error_description": "gone"}, "invalid_grant", "gone"),
        (200, {"access_token": "", "code": "invalid_grant", "message": "gone"}, "invalid_grant", "gone"),
        (200, {"status": "invalid_grant", "message": "gone"}, "invalid_grant", "gone"),
        (
            200,
            {"code": 20010, "data": {"reason": "gone", "error_code": "expired_refresh_token"}},
            "expired_refresh_token",
            "gone",
        ),
        (400, {"error": "Invalid grant"}, "Invalid grant", ""),
        (401, {"error": {"code": "Refresh token expired."}}, "Refresh token expired.", ""),
        (400, {"error": "interaction_required", "error_description": "gone"}, "interaction_required", "gone"),
        (400, {"error": "login_required", "error_description": "gone"}, "login_required", "gone"),
        (409, {"error": "bad_refresh_token", "message": "gone"}, "bad_refresh_token", "gone"),
    ],
    ids=str,
)
def test_the_grant_is_dead(status, body, code, words):
    """Fitbit, GitHub, Slack, Apigee and their like: only the user can help, whatever the status and the shape."""
    error = RENEW.outcome(answer(body, status))
    assert type(error) is errors.InvalidGrant
    assert (error.error, error.description, error.status) == (code, words, status)


@pytest.mark.parametrize("code", ["bad_verification_code", "invalid_code", "code_already_used"])
def test_a_dead_code(code):
    """GitHub and Slack say so under 200."""
    assert type(EXCHANGE.outcome(answer({"error": code}))) is errors.InvalidGrant


@pytest.mark.parametrize(
    "code", ["incorrect_client_credentials", "bad_client_secret", "invalid_client_id", "INVALID_CLIENT"]
)
def test_the_client_is_wrong(code):
    """Whoever wrote the registration has to act, and no session ends of it."""
    assert type(RENEW.outcome(answer({"error": code}))) is errors.InvalidClient


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "the words"}, "the words"),
        ({"msg": "the words"}, "the words"),
        ({"error": "the words"}, "the words"),
        ({"errors": ["the words", "more"]}, "the words"),
        ({"errors": {"refresh": ["the words"]}}, "the words"),
        ({"error": {"message": "the words", "type": "OAuthException", "code": 190}}, "the words"),
        ({"errorSummary": "the words", "errorCode": "E0000011"}, "the words"),
        ({"fault": {"faultstring": "the words"}}, "the words"),
        ({"error_description": ["the words"]}, "the words"),
        ({"type": "about:blank", "title": "Bad", "detail": "the words"}, "the words"),
    ],
    ids=str,
)
def test_words_reach_the_reader(body, words):
    """Lists, objects, ``message``, ``fault``: whoever has to act reads what the vendor said."""
    error = RENEW.outcome(answer(body, 400))
    assert isinstance(error, errors.OAuthError)
    assert error.description == words
    assert not isinstance(error, errors.InvalidGrant)


@pytest.mark.parametrize("status", [200, 201, 400, 402, 406, 409, 412, 418, 422, 423, 451, 498])
@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "message": "no"},
        {"status": "error", "message": "no"},
        {"ok": 0, "msg": "no"},
        {"error": "no"},
    ],
    ids=str,
)
def test_a_no_leaves_nothing_in_doubt(status, body):
    """Under whatever status it comes: nothing was granted, so nothing was spent, and the words reach the reader."""
    error = RENEW.outcome(answer(body, status))
    assert isinstance(error, errors.OAuthError)
    assert not isinstance(error, errors.InvalidGrant)
    assert (error.error == "no" or error.description == "no", error.status) == (True, status)


@pytest.mark.parametrize(
    "code", ["temporarily_unavailable", "server_error", "SERVICE_UNAVAILABLE", "InternalServerError"]
)
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_server_that_could_not_answer(code, status):
    """Nobody's refusal, whatever its status: tried again later, as the vendor asks."""
    error = RENEW.outcome(answer({"error": code, "error_description": "later"}, status, retry_after="9"))
    assert (type(error), error.who, error.retry_after) == (errors.VendorUnavailable, "nobody", 9)
    assert "later" in str(error)


def test_a_code_that_is_plain_text():
    """One word alone is the vendor's code, as it would be in JSON; and a form says no as it grants."""
    assert type(RENEW.outcome(answer(b"invalid_grant\n", 400, content_type="text/plain"))) is errors.InvalidGrant
    form = answer(b"error=invalid_grant&error_description=gone", 400, content_type="text/html")
    assert (type(RENEW.outcome(form)), RENEW.outcome(form).description) == (errors.InvalidGrant, "gone")


def test_words_that_are_plain_text():
    """A text that is no page is the vendor's word."""
    error = RENEW.outcome(answer(b"Your app is suspended", 403, content_type="text/plain; charset=utf-8"))
    assert (type(error), error.description) == (errors.AccessDenied, "Your app is suspended")


SHAPES = [
    lambda said: {"message": said},
    lambda said: {"errors": [{"errorType": said, "message": said}]},
    lambda said: {"error": {said: {said: [said]}}},
    lambda said: {"fault": {"faultstring": said, "detail": {"errorcode": said}}},
    lambda said: {"error": said, "refresh_token": said, "hint": said},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_its_shape_a_secret_is_masked(shape):
    """A vendor that repeats what it was sent, in a code or in words, shows it to nobody."""
    for said in ("canary-refresh", "canary-secret", "bad canary-refresh and canary-secret"):
        error = RENEW.outcome(answer(shape(said), 400))
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        assert "canary-refresh" not in shown + repr(vars(error))
        assert "canary-secret" not in shown + repr(vars(error))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://login.example/oauth/token?code=canary-refresh#x", "points to https://login.example/oauth/token"),
        ("/login?back=x", "points to https://auth.example.com/login"),
        ("https://user:canary-secret@login.example:8443/", "points to https://login.example:8443/"),
        ("https://login.example/canary-refresh", "points to https://login.example/****"),
        ("https://[bad", "HTTP 30"),
        ("", "HTTP 30"),
    ],
)
def test_a_moved_endpoint(status, location, told):
    """Nothing was granted and nobody is blamed; where it points is told, as origin and path alone."""
    error = RENEW.outcome(answer(b"<html>moved</html>", status, location=location))
    assert type(error) is errors.VendorUnavailable
    assert error.who == "nobody"
    assert "no token endpoint answered at https://auth.example.com/token" in str(error)
    assert told in str(error)
    assert "canary" not in str(error)
    assert "?" not in str(error)


@pytest.mark.parametrize("case", [RENEW, CLIENT, EXCHANGE], ids=lambda case: case.name)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 405, 410, 418])
@pytest.mark.parametrize(
    "kind", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml", "application/xml", ""]
)
def test_a_page_is_nobodys_answer(case, status, kind):
    """A firewall's 403, a portal's login page: tried again later, no user is sent for, no secret is called wrong."""
    error = case.outcome(answer(b"\n<html><body>blocked</body></html>", status, content_type=kind))
    assert type(error) is errors.VendorUnavailable
    assert "no token endpoint answered" in str(error)


@pytest.mark.parametrize(
    "body", [b"", {"message": "Not Found"}, {"error": "Not Found", "statusCode": 404}, b"not found"]
)
def test_a_404_is_no_token_endpoint(body):
    """With a gateway's words, or with none."""
    assert type(RENEW.outcome(answer(body, 404))) is errors.VendorUnavailable


def test_a_404_that_speaks_of_the_grant_is_heard():
    """A status of the vendor's own choice takes nothing from a code that is known."""
    assert type(RENEW.outcome(answer({"error": "invalid_grant"}, 404))) is errors.InvalidGrant


@pytest.mark.parametrize("body", [b"", {}, {"message": "no"}, {"error": "access_denied"}])
def test_of_a_machine_client_no_user_is_asked(body):
    """There is none: the application's owner has to act."""
    error = play_error(MACHINE, answer(body, 403))
    assert type(error) is errors.Forbidden
    assert error.who == "you"
    assert type(RENEW.outcome(answer(body, 403))) is errors.AccessDenied


@pytest.mark.parametrize("status", [429, 500, 503])
def test_limits_and_failures_stay_what_they_are(status):
    """Whatever words stand in them: proxies send them too."""
    error = RENEW.outcome(answer({"error": "bad_refresh_token"}, status, retry_after="7"))
    assert isinstance(error, errors.RateLimited if status == 429 else errors.VendorUnavailable)
    assert error.retry_after == 7


def test_an_answer_with_a_token_is_a_grant_whatever_stands_beside_it():
    """A refresh token may have been spent for it."""
    for beside in ({"error": ""}, {"error": None}, {"errors": []}, {"error": "x"}, {"success": False}, {"ok": True}):
        assert play(OTHER.renew(CURRENT), RENEW.ok(**beside))[0].access_token == "at-2"


def test_a_revocation_is_heard_likewise():
    """Its words in any shape, and a page is nobody's."""
    idle = attrs.evolve(CURRENT, refresh_token=None)
    with pytest.raises(errors.InvalidClient, match="who are you"):
        play(OTHER.logout(idle), answer({"error": {"code": "invalid_client", "message": "who are you"}}, 401))
    with pytest.raises(errors.VendorUnavailable, match="no token endpoint"):
        play(OTHER.logout(idle), answer(b"<html>", 403, content_type="text/html"))


def play_error(vendor, response):
    with pytest.raises(errors.LinkAuthError) as caught:
        play(vendor.renew(None), response)
    return caught.value
