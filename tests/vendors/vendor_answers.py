"""Every vendor with every flow that it has, and the answers that its documentation prints."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

import attrs

from linkauth.errors import LinkAuthError
from linkauth.oauth.exchange import Flow, Request, Response
from linkauth.oauth.token import Secret, Token
from linkauth.testing import play
from linkauth.vendors import Dialect, Linkkit, LinkXG, LinkXGUser, OAuth2, Pending, SageX3, Vendor

SENT_AT = 1_700_000_000.0
REDIRECT = "https://app.example.com/callback"
PENDING = Pending(redirect_uri=REDIRECT)
ROOT = "https://api.eu-prod-sagex3.com/v1"

LINKXG = LinkXG(client_id="the-client", client_secret="canary-secret", scope="products:read")
USER = LinkXGUser()
LINKKIT = Linkkit(client_id="the-client", client_secret="canary-secret", scope="links")
SAGE = SageX3(
    client_id="the-client",
    client_secret="canary-secret",
    base_url=ROOT,
    customer="https://x3.customer.com",
    regions=["us-prod"],
)
OTHER = OAuth2(
    name="other",
    client_id="the-client",
    client_secret="canary-secret",
    token_url="https://auth.example.com/token",
    authorize_url="https://auth.example.com/authorize",
    revoke_url="https://auth.example.com/revoke",
    client_auth="basic",
)
MACHINE = OAuth2(
    name="machine", client_id="the-client", client_secret="canary-secret", token_url="https://auth.example.com/token"
)

DIALECT = OAuth2(
    name="dialect",
    client_id="the-client",
    client_secret="canary-secret",
    token_url="https://auth.example.com/token",
    authorize_url="https://auth.example.com/authorize",
    dialect=Dialect(
        body="json",
        answer_in="body",
        answer_names={"accessToken": "access_token", "refreshToken": "refresh_token"},
        ask=lambda request: request.with_fields(request.fields),
        hear=dict,
    ),
)

CURRENT = Token(
    access_token="canary-access",
    scope="granted before",
    expires_at=SENT_AT + 1,
    refresh_token="canary-refresh",
    refresh_expires_at=SENT_AT + 1000,
    extra={"user": {"id": "1"}},
)

SECRETS = ("canary-secret", "canary-access", "canary-refresh", "canary-code", "canary-password", "canary-verifier")


def answer(body: object = b"", status: int = 200, **headers: str) -> Response:
    """An answer with ``body`` (JSON unless it is bytes) to a request that went out at ``SENT_AT``."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, body=raw, headers=names, sent_at=SENT_AT)


SIGNED: Final = {"alg": "HS256"}


def jwt(header: dict[str, Any] = SIGNED, /, **claims: object) -> str:
    """A token that looks like a JWT with ``claims`` and is signed by nobody."""
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".c2lnbmF0dXJl"


def id_token(now: float, **claims: object) -> str:
    """An ID Token that was made at ``now`` (Unix seconds) for an hour; ``claims``: all others that it has (OIDC Core §2)."""
    return jwt(**{"iss": "https://auth.example.com", "iat": now, "exp": now + 3600, **claims})


def flat(**members: Any) -> dict[str, Any]:
    """A token answer of RFC 6749 §5.1; None leaves a member out."""
    return {name: value for name, value in members.items() if value is not None}


def enveloped(**members: Any) -> dict[str, Any]:
    """The same in LinkXG's envelope and camelCase."""
    names = {"access_token": "accessToken", "refresh_token": "refreshToken"}
    return {"success": True, "data": {names.get(n, n): v for n, v in members.items() if v is not None}}


def nested(**members: Any) -> dict[str, Any]:
    """The same where ``DIALECT`` has it."""
    return {"status": 0, "body": enveloped(**members)["data"]}


@attrs.frozen
class Case:
    """A vendor's flow with its arguments, and the members of the answer that is documented, under RFC 6749's names."""

    name: str
    vendor: Vendor
    method: str
    given: tuple[Any, ...] = attrs.field(repr=False)  # secrets, as a frame of a traceback would show them
    good: dict[str, Any]
    wrap: Callable[..., dict[str, Any]] = flat

    def flow(self) -> Flow[Any]:
        return getattr(self.vendor, self.method)(*self.given)

    def ok(self, **changed: Any) -> Response:
        return answer(self.wrap(**{**self.good, **changed}))

    def outcome(self, response: Response) -> Any:
        """What comes of ``response``: a result or one of the documented errors. Anything else is the test's failure."""
        try:
            return play(self.flow(), response)[0]
        except LinkAuthError as error:
            return error


CALLBACK = {"code": "canary-code"}
_LINKKIT = {"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 3600, "scope": "granted scopes"}
_SAGE = {
    "access_token": "at-2",
    "scope": "businessDomain.ALL api.graphQL folder.SEED",
    "token_type": "bearer",
    "expires_in": 300,
    "refresh_token": "rt-2",
    "refresh_token_expires_in": 2678400,
}
_RFC = {"access_token": "at-2", "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt-2"}
_USER = {
    "access_token": "at-2",
    "refresh_token": "rt-2",
    "user": {"id": "7", "email": "a@example.com", "role": "ADMIN"},
}
_VERIFIED = attrs.evolve(PENDING, verifier="canary-verifier")

_XG = {"access_token": "at-2", "token_type": "Bearer", "expires_in": 900, "scope": "products:read"}
_LOGIN = ("a@example.com", Secret("canary-password"))
_IDLE = attrs.evolve(CURRENT, refresh_token=None)

CASES = [
    Case("linkxg", LINKXG, "renew", (None,), _XG),
    Case("user-login", USER, "login", _LOGIN, _USER, enveloped),
    Case("user-renew", USER, "renew", (CURRENT,), {**_USER, "user": None}, enveloped),
    Case("linkkit-exchange", LINKKIT, "exchange", (CALLBACK, PENDING), _LINKKIT),
    Case("linkkit-renew", LINKKIT, "renew", (CURRENT,), {"access_token": "at-2", "expires_in": 3600}),
    Case("sage-exchange", SAGE, "exchange", ({"authorizationCode": "canary-code"}, PENDING), _SAGE),
    Case("sage-renew", SAGE, "renew", (CURRENT,), _SAGE),
    Case("oauth2-exchange", OTHER, "exchange", (CALLBACK, _VERIFIED), _RFC),
    Case("oauth2-renew", OTHER, "renew", (CURRENT,), _RFC),
    Case("oauth2-dialect", DIALECT, "renew", (CURRENT,), _RFC, nested),
    Case("oauth2-client", MACHINE, "renew", (None,), {**_RFC, "refresh_token": None}),
]
"""Every flow that ends in a token."""

BESIDE = [
    Case("linkxg-rotate", LINKXG, "rotate_secret", (CURRENT,), {"client_secret": "secret-2"}),
    Case("user-logout", USER, "logout", (_IDLE,), {"success": True}),
    Case("oauth2-logout", OTHER, "logout", (_IDLE,), {}),
]
"""Every flow that ends in something else."""

BY_NAME = {case.name: case for case in CASES}


def first(flow: Flow[Any]) -> Request:
    """The first request of ``flow``."""
    return next(flow)


def nothing_sent(flow: Flow[Any], kind: type[LinkAuthError]) -> LinkAuthError:
    """What ``flow`` raises before its first request, which must be a ``kind``."""
    try:
        request = next(flow)
    except kind as error:
        return error
    raise AssertionError(f"sent {request}")
