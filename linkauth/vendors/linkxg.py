"""LinkXG: OAuth 2.0 client credentials (docs.linkxg.com, "Authentication").

Every answer may come flat (``{"error", "error_description"}``, the token endpoint's way) or enveloped
(``{"success": false, "error": {"code", "message"}}``, the API's way); both are understood everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import quote

import attrs

from linkauth import errors
from linkauth.oauth import grants, wire
from linkauth.oauth.exchange import Request
from linkauth.oauth.token import Secret
from linkauth.oauth.url import base_url
from linkauth.vendors.registered import RegisteredClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Flow, Response
    from linkauth.oauth.token import Token

__all__ = ["BASE", "CODES", "LinkXG", "granted", "raise_refusal"]

BASE: Final = "https://api.linkxg.com/api/v1"

CODES: Final[dict[str, type[errors.OAuthError]]] = {
    "INVALID_CREDENTIALS": errors.InvalidGrant,
    "TOKEN_EXPIRED": errors.InvalidToken,
    "TOKEN_INVALID": errors.InvalidToken,
    "REFRESH_TOKEN_REUSED": errors.InvalidGrant,
    "INSUFFICIENT_SCOPE": errors.InsufficientScope,
    "INSUFFICIENT_PERMISSIONS": errors.AccessDenied,
    "MISSING_CAPABILITY": errors.Forbidden,
    "LIMIT_EXCEEDED": errors.Forbidden,
    "TENANT_MISMATCH": errors.Forbidden,
    "VALIDATION_ERROR": errors.UnprocessableContent,
    "DUPLICATE_SKU": errors.Conflict,
    "INVALID_FORMAT": errors.InvalidRequest,
    "REQUIRED_FIELD_MISSING": errors.InvalidRequest,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.Conflict,
}


@attrs.frozen(kw_only=True, cache_hash=True)
class LinkXG(RegisteredClient):
    """LinkXG, machine to machine. Tokens live 900 s; renewal is the same request again.

    ``scope``: such as ``"products:read connections:read"``.
    """

    base_url: str = attrs.field(default=BASE, converter=base_url)
    """The root of LinkXG's API."""

    name = "linkxg"
    rotates_secret = True
    token_rate = (60, 60.0)  # its page on rate limits: 60 calls a minute for each client

    def renew(self, current: Token | None) -> Flow[Token]:
        del current  # there is no refresh token: renewal is the same request again
        fields = {"grant_type": "client_credentials", "scope": self.scope}
        url = f"{self.base_url}/oauth/token"
        return (yield from self.grant(url, fields, refuse=raise_refusal, scope=self.scope))

    def rotate_secret(self, token: Token) -> Flow[Secret]:
        url = f"{self.base_url}/oauth/clients/{quote(self.client_id, safe='')}/rotate"
        response = yield Request(url=url, headers={"Accept": "application/json", **grants.bearer(token)})
        if not granted(response):
            raise_refusal(response, self.name)
        found = _new_secret(response.body)
        if found is None:
            # The old secret is dead by now: whoever operates this must be able to read the new one out of the answer.
            raw = Secret(response.body.decode("utf-8", "replace"))
            raise errors.MalformedResponse(f"{self.name}'s answer to a rotation has no client secret in it", raw=raw)
        return found


def _new_secret(body: bytes) -> Secret | None:
    # A decision: the answer's shape is not documented. These names, at the top or inside "data".
    top = wire.as_object(wire.decode(body))
    for place in (top, wire.as_object(top.get("data"))):
        for name in ("client_secret", "clientSecret", "secret"):
            value = place.get(name)
            if isinstance(value, str) and value.strip() and value.isprintable():
                return Secret(value)
    return None


def granted(response: Response) -> bool:
    """Whether LinkXG did what it was asked: the envelope may say no under any status."""
    return grants.is_success(response) and wire.as_object(wire.decode(response.body)).get("success") is not False


def raise_refusal(
    response: Response,
    vendor: str,
    *,
    by_code: Mapping[str, type[errors.OAuthError]] = CODES,
    by_status: Mapping[int, type[errors.OAuthError]] | None = None,
) -> NoReturn:
    """Raise what a refusing LinkXG answer means, in either of its two shapes."""
    code, words = grants.said(response, ("code", "message"), inside="error", codes=by_code)
    if not code:
        code, words = grants.said(response, ("error", "error_description"))
    raise grants.refusal(response, vendor, code, words, by_code, by_status, grants.details(response))
