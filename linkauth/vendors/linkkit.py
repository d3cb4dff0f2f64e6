"""Linkkit: authorization code grant (Linkkit's page "OAuth Applications").

Its answers have no ``token_type``, and a renewal's has neither refresh token nor scope: both stay what they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from linkauth.oauth import authorization, grants
from linkauth.oauth.token import Secret, Token, secret_str
from linkauth.oauth.url import base_url
from linkauth.vendors.vendor import Pending, Vendor, client_secret, flag, printable, required

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Flow

__all__ = ["Linkkit"]

BASE: Final = "https://api.uselinkkit.com"


def _pkce(linkkit: Linkkit) -> bool:
    return linkkit.pkce


@attrs.frozen(kw_only=True)
class Linkkit(Vendor):
    """Linkkit, for one of its users. Tokens live 3600 s, the refresh token stays the same.

    ``scope``: separated by spaces; the names are Linkkit's (Settings, OAuth Apps). ``pkce``: add PKCE (RFC 7636), which
    Linkkit does not document.
    """

    name: str = attrs.field(default="linkkit", init=False)
    client_id: str = attrs.field(validator=required)
    client_secret: Secret = attrs.field(converter=client_secret, validator=required)
    scope: str = attrs.field(default="", validator=printable)
    base_url: str = attrs.field(default=BASE, converter=base_url)
    pkce: bool = attrs.field(default=False, validator=flag)
    uses_pkce: bool = attrs.field(default=attrs.Factory(_pkce, takes_self=True), init=False, repr=False, eq=False)

    needs_user = True

    def identity(self) -> tuple[str, ...]:
        return (*self.registration(), self.scope)

    def registration(self) -> tuple[str, ...]:
        return (self.base_url, self.client_id)

    def api(self, token: Token | None) -> str:
        return self.base_url

    def authorization_url(self, pending: Pending, *, state: str, challenge: str | None) -> str:
        fields = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": pending.redirect_uri,
            "state": state,
            "scope": pending.scope or self.scope,
            "code_challenge": challenge,
            "code_challenge_method": "S256" if challenge else None,
        }
        return authorization.url(f"{self.base_url}/oauth/authorize", fields)

    def exchange(self, params: Mapping[str, Any], pending: Pending) -> Flow[Token]:
        params = authorization.masked(params)
        authorization.raise_if_refused(params)
        fields = {
            "grant_type": "authorization_code",
            "code": authorization.the_code(params, "code"),
            "redirect_uri": pending.redirect_uri,
            "code_verifier": secret_str(pending.verifier or ""),
        }
        return (yield from self._grant(fields, scope=pending.scope or self.scope))

    def renew(self, current: Token | None) -> Flow[Token]:
        keep, refresh_token = grants.kept(current, self.name)
        return (yield from self._grant({"grant_type": "refresh_token", "refresh_token": refresh_token}, keep=keep))

    def _grant(self, fields: dict[str, str], **how: Any) -> Flow[Token]:
        fields = {**fields, "client_id": self.client_id, "client_secret": self.client_secret.reveal()}
        url = f"{self.base_url}/oauth/token"
        return (yield from grants.grant(url, fields, vendor=self.name, default_type="Bearer", **how))
