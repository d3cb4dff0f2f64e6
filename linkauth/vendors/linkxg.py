"""LinkXG: OAuth 2.0 client credentials (docs.linkxg.com, "Authentication").

Every answer may come flat (``{"error", "error_description"}``, the token endpoint's way) or enveloped
(``{"success": false, "error": {"code", "message"}}``, the API's way); both are understood everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import attrs

from linkauth import errors
from linkauth.oauth import grants, wire
from linkauth.oauth.token import Secret, Token, secret
from linkauth.vendors.vendor import Vendor, base_url, required

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Flow, Response

__all__ = ["LinkXG"]

BASE: Final = "https://api.linkxg.com/api/v1"

CODES: Final[dict[str, type[errors.OAuthError]]] = {
    "INVALID_CREDENTIALS": errors.InvalidGrant,
    "TOKEN_EXPIRED": errors.InvalidToken,
    "TOKEN_INVALID": errors.InvalidToken,
    "REFRESH_TOKEN_REUSED": errors.InvalidGrant,
    "INSUFFICIENT_SCOPE": errors.InsufficientScope,
    "INSUFFICIENT_PERMISSIONS": errors.AccessDenied,
    "MISSING_CAPABILITY": errors.AccessDenied,
    "LIMIT_EXCEEDED": errors.AccessDenied,
    "TENANT_MISMATCH": errors.AccessDenied,
}


@attrs.frozen(kw_only=True)
class LinkXG(Vendor):
    """LinkXG, machine to machine. Tokens live 900 s; renewal is the same request again.

    ``scope``: separated by spaces, such as ``"products:read connections:read"``.
    """

    name: str = attrs.field(default="linkxg", init=False)
    client_id: str = attrs.field(validator=required)
    client_secret: Secret = attrs.field(converter=secret, validator=required)  # pyright: ignore[reportGeneralTypeIssues]  # never None: required
    scope: str = ""
    base_url: str = attrs.field(default=BASE, converter=base_url)

    rotates_secret = True

    def identity(self) -> tuple[str, ...]:
        return (*self.registration(), self.scope)

    def registration(self) -> tuple[str, ...]:
        return (self.base_url, self.client_id)

    def api(self, token: Token | None) -> str:
        return self.base_url

    def renew(self, current: Token | None) -> Flow[Token]:
        del current  # there is no refresh token: renewal is the same request again
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret.reveal(),
            "scope": self.scope,
        }
        url = f"{self.base_url}/oauth/token"
        return (yield from grants.grant(url, fields, vendor=self.name, refuse=raise_refusal, scope=self.scope))


def raise_refusal(response: Response, vendor: str, *secrets: str) -> NoReturn:
    """Raise what a refusing LinkXG answer means, in either of its two shapes."""
    value = wire.decode(response.body)
    error = cast("dict[str, Any]", value).get("error") if isinstance(value, dict) else None
    if isinstance(error, dict):
        told = cast("dict[str, Any]", error)
        code, message = wire.words(told.get("code"), *secrets), wire.words(told.get("message"), *secrets)
        raise grants.refusal(response, vendor, code, message, CODES)
    grants.raise_refusal(response, vendor, *secrets)
