"""Every answer that the vendors document, and every odd one that they do not, each once, with what must come of it."""

from __future__ import annotations

from typing import Any

import attrs

from linkauth import errors
from linkauth.oauth.exchange import Response
from linkauth.oauth.token import Secret, Token
from linkauth.vendors import OAuth2
from tests.vendors.vendor_answers import BESIDE, BY_NAME, CASES, Case, answer, enveloped, jwt

WORDS = "the vendor's words"


@attrs.frozen
class Documented:
    """One answer to one flow."""

    case: Case
    said: str
    response: Response
    kind: type
    """What comes of it: the class of the result or of the error."""
    told: dict[str, Any] = attrs.field(factory=dict)
    """Attributes that it has."""

    def holds(self, outcome: object) -> bool:
        return type(outcome) is self.kind and all(getattr(outcome, name) == value for name, value in self.told.items())


def flatly(code):
    return {"error": code, "error_description": "the vendor's words"}


def refused(code):
    return {"success": False, "error": {"code": code, "message": "the vendor's words", "details": {}}}


RFC = {
    "invalid_request": errors.InvalidRequest,
    "invalid_client": errors.InvalidClient,
    "invalid_grant": errors.InvalidGrant,
    "unauthorized_client": errors.UnauthorizedClient,
    "invalid_scope": errors.InvalidScope,
    "unsupported_grant_type": errors.OAuthError,
}
LINKXG_CODES = {
    ("INVALID_CREDENTIALS", 401): errors.InvalidGrant,
    ("TOKEN_EXPIRED", 401): errors.InvalidToken,
    ("TOKEN_INVALID", 401): errors.InvalidToken,
    ("REFRESH_TOKEN_REUSED", 401): errors.InvalidGrant,
    ("INSUFFICIENT_SCOPE", 403): errors.InsufficientScope,
    ("INSUFFICIENT_PERMISSIONS", 403): errors.AccessDenied,
    ("MISSING_CAPABILITY", 403): errors.Forbidden,
    ("LIMIT_EXCEEDED", 403): errors.Forbidden,
    ("TENANT_MISMATCH", 403): errors.Forbidden,
    ("VALIDATION_ERROR", 422): errors.UnprocessableContent,
    ("DUPLICATE_SKU", 409): errors.Conflict,
    ("INVALID_FORMAT", 400): errors.InvalidRequest,
    ("REQUIRED_FIELD_MISSING", 400): errors.InvalidRequest,
    ("NOT_FOUND", 404): errors.NotFound,
    ("ALREADY_EXISTS", 409): errors.Conflict,
}
LINKXG_FLAT = {
    ("invalid_request", 400): errors.InvalidRequest,
    ("invalid_client", 401): errors.InvalidClient,
    ("invalid_token", 401): errors.InvalidToken,
    ("insufficient_scope", 403): errors.InsufficientScope,
}
SAGE_SAYS = {
    (400, "Missing required request parameters"): errors.InvalidRequest,
    (400, "Invalid grant type"): errors.InvalidRequest,
    (401, "Unauthorised"): errors.InvalidClient,
    (403, "The application registered on Sage Business Cloud is disabled"): errors.UnauthorizedClient,
    (403, "The pairing request has not been accepted."): errors.AuthorizationPending,
    (403, "The request has expired."): errors.InvalidGrant,
    (403, "Pairing request not found"): errors.InvalidGrant,
    (403, "something new"): errors.AccessDenied,
    (
        404,
        "Could not associate the values with an active application registered on Sage Business Cloud",
    ): errors.InvalidClient,
    (501, "An internal error occurred: "): errors.VendorUnavailable,
}

STATUSES = {
    500: errors.VendorUnavailable,
    501: errors.VendorUnavailable,
    502: errors.NoAnswer,
    503: errors.VendorUnavailable,
    504: errors.NoAnswer,
}
LIMITS = {
    "retry-after": "17",
    "x-ratelimit-limit": "60",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": "1700000017",
}
LIMITED = {"retry_after": 17.0, "limit": 60, "remaining": 0, "reset_at": 1_700_000_017.0}

RAW = {
    "html": b"<html>welcome</html>",
    "nothing": b"",
    "not json": b"access_token=canary-new&expires_in=3600",
    "not text": b"\xff\xfe\x00canary-new",
    "a list": b'["canary-new"]',
    "a string": b'"canary-new"',
    "a number": b"5",
    "null": b"null",
    "an empty object": b"{}",
    "nested too deep": b'{"access_token":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "twenty thousand objects": b"[" + b"{}," * 20_000 + b"{}]",
}
MEMBERS = {
    "no token": {"access_token": None},
    "an empty token": {"access_token": ""},
    "a token that is a number": {"access_token": 12345},
    "a token that is a list": {"access_token": ["canary-new"]},
    "a token that is an object": {"access_token": {"canary-new": 1}},
    "CR LF in the token": {"access_token": "canary-new\r\nX-Evil: 1"},
    "a space in the token": {"access_token": "canary-new and more"},
    "another alphabet in the token": {"access_token": "canary-new\u00e4"},
    "a refresh token that is a number": {"refresh_token": 12345},
    "CR LF in the refresh token": {"refresh_token": "canary-new\r\n"},
}
FLAT_MEMBERS = {
    "expires_in negative": {"expires_in": -1},
    "expires_in 0": {"expires_in": 0},
    "expires_in NaN": {"expires_in": float("nan")},
    "expires_in infinite": {"expires_in": float("inf")},
    "expires_in huge": {"expires_in": 10**30},
    "expires_in of 5,000 digits": {"expires_in": 10**4200},
    "expires_in true": {"expires_in": True},
    "expires_in a list": {"expires_in": [3600]},
    "expires_in in words": {"expires_in": "canary-new"},
    "scope a list": {"scope": ["a"]},
    "CR LF in the scope": {"scope": "a\r\nb"},
    "token_type MAC": {"token_type": "MAC"},
    "token_type a number": {"token_type": 1},
    "refresh expiry negative": {"refresh_token_expires_in": -5},
}

READ = {
    "html": errors.VendorUnavailable,  # a page, so no token endpoint's answer
    "scope a list": Token,
    "refresh expiry negative": Token,
}
"""What ``OAuth2`` makes of answers that the three vendors' readers refuse."""

ALL = [*CASES, *BESIDE]
OF_LINKXG = [case for case in ALL if case.name.startswith(("linkxg", "user"))]
OF_SAGE = [case for case in ALL if case.name.startswith("sage")]
OF_RFC = [case for case in ALL if case.name.startswith(("linkkit", "oauth2"))]

# When the refresh token itself was sent, these speak of it: nothing but a login helps.
AT_REFRESH = dict.fromkeys(["TOKEN_EXPIRED", "TOKEN_INVALID", "invalid_token"], errors.InvalidGrant)


def granted() -> list[Documented]:
    """What the vendors' pages print for a request that succeeds, and where they leave room."""
    token = {"access_token": "at-2"}
    found = [Documented(case, "as documented", case.ok(), Token, token) for case in CASES]
    rotate, logout, revoke = BESIDE
    for body in (
        {"client_secret": "secret-2"},
        {"clientSecret": "secret-2"},
        {"secret": "secret-2"},
        {"success": True, "data": {"clientSecret": "secret-2"}},
    ):
        found += [Documented(rotate, f"{body}", answer(body), Secret)]
    found += [Documented(logout, "an envelope", logout.ok(), type(None))]
    found += [
        Documented(each, "nothing", answer(b"", status), type(None))
        for each in (logout, revoke)
        for status in (200, 204)
    ]
    kept, login, sage = BY_NAME["linkkit-renew"], BY_NAME["user-login"], BY_NAME["sage-renew"]
    found += [
        Documented(kept, "another refresh token", kept.ok(refresh_token="rt-2"), Token, {"refresh_token": "rt-2"})
    ]
    stated = login.ok(access_token=jwt(iat=5, exp=605))
    found += [Documented(login, "a JWT that says until when", stated, Token, {"expires_at": 1_700_000_600.0})]
    alone = {"scope": "api.dataDelivery folder.SEED"}
    return [*found, Documented(sage, "an API that was asked for alone", sage.ok(**alone), Token, alone)]


def refusals() -> list[Documented]:
    """Every documented no, in every shape in which it may come."""
    found: list[Documented] = []
    for case in OF_LINKXG:
        special = AT_REFRESH if case.name == "user-renew" else {}
        for shape, table in ((flatly, LINKXG_FLAT), (refused, LINKXG_CODES)):
            for (code, status), kind in table.items():
                told = {"error": code, "description": WORDS, "status": status}
                found.append(Documented(case, code, answer(shape(code), status), special.get(code, kind), told))
        told = {"error": "LIMIT_EXCEEDED", "status": 200}
        found.append(Documented(case, "a no under 200", answer(refused("LIMIT_EXCEEDED")), errors.Forbidden, told))
    for case in OF_RFC:
        if case.method == "logout":
            continue  # RFC 7009 §2.2: what a revocation endpoint refuses is another matter, and OAuth2's own test's
        for code, kind in RFC.items():
            body = {"error": code, "error_description": "code_invalid_or_expired"}
            told = {"error": code, "description": "code_invalid_or_expired", "status": 400}
            found.append(Documented(case, code, answer(body, 400), kind, told))
    for case in OF_SAGE:
        for (status, message), kind in SAGE_SAYS.items():
            told = {} if status == 501 else {"description": message, "status": status}
            found.append(Documented(case, message, answer({"message": message}, status), kind, told))
    for case in ALL:
        for shape in (
            flatly("rate_limit_exceeded"),
            refused("RATE_LIMIT_EXCEEDED"),
            {"message": "slow"},
            b"<html>slow",
        ):
            response = attrs.evolve(answer(shape, 429), headers=LIMITS)
            found.append(Documented(case, f"429 {shape}", response, errors.RateLimited, LIMITED))
        for status, kind in STATUSES.items():
            found.append(
                Documented(
                    case, f"{status}", answer(b"<html>oops", status, retry_after="3"), kind, {"retry_after": 3.0}
                )
            )
    return found


def comes_of(case: Case, what: str) -> type:
    """The class of what comes of an answer that no vendor documents."""
    return READ.get(what, errors.MalformedResponse) if isinstance(case.vendor, OAuth2) else errors.MalformedResponse


def odd() -> list[Documented]:
    """What no vendor documents, in place of a token."""
    found: list[Documented] = []
    for case in CASES:
        members = MEMBERS if case.wrap is enveloped else {**MEMBERS, **FLAT_MEMBERS}
        answers = {what: answer(body) for what, body in RAW.items()}
        answers |= {what: case.ok(**wrong) for what, wrong in members.items()}
        found += [Documented(case, what, response, comes_of(case, what)) for what, response in answers.items()]
    rotate = BESIDE[0]
    return [*found, Documented(rotate, "no secret", answer({"success": True}), errors.MalformedResponse)]


DOCUMENTED = [*granted(), *refusals(), *odd()]
