"""Linkkit: authorization code grant (Linkkit's page "OAuth Applications").

Its answers have no ``token_type``, and a renewal's has neither refresh token nor scope: both stay what they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from linkauth.oauth.url import base_url
from linkauth.vendors.registered import RegisteredClient
from linkauth.vendors.vendor import flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token
    from linkauth.vendors.vendor import Pending

__all__ = ["Linkkit"]

BASE: Final = "https://api.uselinkkit.com"


def _pkce(linkkit: Linkkit) -> bool:
    return linkkit.pkce


@attrs.frozen(kw_only=True)
class Linkkit(RegisteredClient):
    """Linkkit, for one of its users. Tokens live 3600 s, the refresh token stays the same.

    ``scope``: the names are Linkkit's (Settings, OAuth Apps). ``pkce``: add PKCE (RFC 7636), which Linkkit does not document.
    """

    base_url: str = attrs.field(default=BASE, converter=base_url)
    pkce: bool = attrs.field(default=False, validator=flag)
    uses_pkce: bool = attrs.field(default=attrs.Factory(_pkce, takes_self=True), init=False, repr=False, eq=False)

    name = "linkkit"
    needs_user = True
    lifetime = 3600.0

    def authorization_url(self, pending: Pending, *, state: str, challenge: str | None) -> str:
        return self.page(f"{self.base_url}/oauth/authorize", pending, state=state, challenge=challenge)

    def exchange(self, params: Mapping[str, Any], pending: Pending) -> Flow[Token]:
        return self.code_grant(self._token_url, params, pending, default_type="Bearer")

    def renew(self, current: Token | None) -> Flow[Token]:
        return self.refresh_grant(self._token_url, current, default_type="Bearer")

    @property
    def _token_url(self) -> str:
        return f"{self.base_url}/oauth/token"
