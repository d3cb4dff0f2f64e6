"""A static key: nothing is fetched, renewed or stored; the middleware and its guard of the origin are as for every vendor."""

from __future__ import annotations

import math

import attrs

from linkauth.errors import ConfigurationError
from linkauth.oauth.token import Secret, Token
from linkauth.oauth.url import base_url
from linkauth.vendors.signing import is_header, is_word, signature
from linkauth.vendors.vendor import Vendor, client_secret, plain_name, required

__all__ = ["ApiKey"]


@attrs.frozen(kw_only=True, cache_hash=True)
class ApiKey(Vendor):
    """An API that takes one key for ever. A 401 is the caller's, for there is no other key to try.

    ``api_url``: where calls go; the key goes to this origin alone. ``scheme``: what stands before the key; None: ``Bearer`` in
    ``Authorization``, nothing in another header. ``header``: what carries it, such as ``"X-Api-Key"``.

    Raises ``ConfigurationError`` when made of what cannot work.
    """

    secret_argument = "key"

    name: str = attrs.field(validator=plain_name)
    """What it is called in the log and in an error: letters, digits, dots, dashes, underscores, at most 64."""
    key: Secret = attrs.field(converter=client_secret, validator=required)
    """The key itself, a ``str`` or a ``Secret``."""
    api_url: str = attrs.field(converter=base_url)
    """Where calls go, and the only origin that the key goes to."""
    scheme: str | None = None
    """One word before the key; None: ``Bearer`` in ``Authorization``, nothing in another header; empty: nothing."""
    header: str = "Authorization"  # pyright: ignore[reportIncompatibleMethodOverride]  # a field where others compute it
    """The header that carries it."""

    def __attrs_post_init__(self) -> None:
        if not is_header(self.header):
            raise ConfigurationError("ApiKey: header is the name of a header")
        if self.scheme not in (None, "") and not is_word(self.scheme):
            raise ConfigurationError("ApiKey: scheme is one word")

    @property
    def expired_statuses(self) -> tuple[int, ...]:
        return ()

    @property
    def leaves_open(self) -> str:
        return f"{self.name} knows a key, which is withdrawn where it was made"

    def identity(self) -> tuple[str, ...]:
        return self.registration()

    def registration(self) -> tuple[str, ...]:
        return (self.api_url,)

    def api(self, token: Token | None) -> str:
        return self.api_url

    def static_token(self) -> Token:
        return Token(access_token=self.key.reveal(), expires_at=math.inf)

    def signature(self, token: Token) -> str:
        return signature(token, self.header, self.scheme)
