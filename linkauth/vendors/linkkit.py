"""Linkkit: authorization code grant (Linkkit's page "OAuth Applications").

Its answers have no ``token_type``, and a renewal's has neither refresh token nor scope: both stay what they were.
"""

from __future__ import annotations

from typing import Final

import attrs

from linkauth.oauth.url import base_url
from linkauth.vendors.registered import CodeGrantClient
from linkauth.vendors.vendor import flag

__all__ = ["Linkkit"]

BASE: Final = "https://api.uselinkkit.com"


def _pkce(linkkit: Linkkit) -> bool:
    return linkkit.pkce


@attrs.frozen(kw_only=True, cache_hash=True)
class Linkkit(CodeGrantClient):
    """Linkkit, for one of its users. Tokens live 3600 s, the refresh token stays the same.

    ``scope``: the names are Linkkit's (Settings, OAuth Apps). ``pkce``: add PKCE (RFC 7636), which Linkkit does not document.
    """

    base_url: str = attrs.field(default=BASE, converter=base_url)
    """The root of Linkkit's API."""
    pkce: bool = attrs.field(default=False, validator=flag)
    """Add PKCE (RFC 7636), which Linkkit does not document."""
    uses_pkce: bool = attrs.field(default=attrs.Factory(_pkce, takes_self=True), init=False, repr=False, eq=False)
    """As ``pkce``."""

    name = "linkkit"
    lifetime = 3600.0
    authorize_path = "/oauth/authorize"
    token_path = "/oauth/token"
    check_path = "/v1/auth/test"
    default_type = "Bearer"
