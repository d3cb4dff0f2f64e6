"""The registration at a vendor that speaks OAuth2, as a value: what it is made of, what cannot work, and whose session it is."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # the fields' types are read at run time
from typing import Any, Literal, cast

import attrs

from linkauth.errors import ConfigurationError
from linkauth.oauth.token import Secret  # noqa: TC001  # as above
from linkauth.oauth.url import endpoint_url
from linkauth.vendors.dialect import Dialect, are_texts, copied
from linkauth.vendors.former import former
from linkauth.vendors.seconds import is_ahead, is_lifetime, rate
from linkauth.vendors.vendor import (
    KEEPS,
    ROTATES,
    RotationProfile,
    Vendor,
    flag,
    optional_base_url,
    optional_secret,
    optional_url,
    plain_name,
    printable,
    required,
)

__all__ = ["OAuth2Registration"]


def _profile(vendor: OAuth2Registration) -> RotationProfile:
    return ROTATES if vendor.authorize_url else KEEPS


def _has_page(vendor: OAuth2Registration) -> bool:
    return vendor.authorize_url is not None


def _pkce(vendor: OAuth2Registration) -> bool:
    return vendor.pkce and vendor.authorize_url is not None


@attrs.frozen(kw_only=True, cache_hash=True)
class OAuth2Registration(Vendor):
    """The fields of ``OAuth2``, which says what each means."""

    name: str = attrs.field(validator=plain_name)
    """What it is called in keys, the log and errors: letters, digits, dots, dashes, underscores, at most 64."""
    client_id: str = attrs.field(validator=required)
    """As the vendor gave it to the app."""
    client_secret: Secret | None = attrs.field(
        default=None, converter=optional_secret, validator=attrs.validators.optional(required)
    )
    """A ``str`` or a ``Secret``; None: a public client."""
    token_url: str = attrs.field(converter=endpoint_url)
    """Where tokens are asked for."""
    authorize_url: str | None = attrs.field(default=None, converter=optional_url)
    """The page where users consent; None: client credentials, without a user."""
    revoke_url: str | None = attrs.field(default=None, converter=optional_url)
    """Where a logout revokes tokens (RFC 7009); None: it forgets here alone."""
    scope: str = attrs.field(default="", validator=printable)
    """Separated by spaces; empty: the vendor's own default."""
    api_url: str | None = attrs.field(default=None, converter=optional_base_url)
    """Where calls go; None: the token endpoint's origin."""
    client_auth: Literal["post", "basic", "none"] = attrs.field(default="post", validator=printable)
    """How the secret is shown at the token endpoint (RFC 6749 §2.3.1); without a secret it is not."""
    pkce: bool = attrs.field(default=True, validator=flag)
    """RFC 7636 with S256, where there is an ``authorize_url``."""
    issuer: str | None = attrs.field(default=None, validator=attrs.validators.optional(printable))
    """The vendor's, with which a callback's ``iss`` is compared (RFC 9207); None: nothing to compare with."""
    iss_required: bool = attrs.field(default=False, validator=flag)
    """A callback without ``iss`` is refused."""
    lifetime: float | None = None
    """Seconds that an access token lives whose answer does not say; ``math.inf``: for ever; None: such an answer is refused."""
    refresh_lifetime: float | None = None
    """Seconds that an unused refresh token lives, anew with each renewal, where the answer does not say; None: unknown, or for ever."""
    session_lifetime: float | None = None
    """Seconds from the user's consent to the next one, whatever is renewed; None: unknown, or for ever."""
    refresh_ahead: float | None = None
    """Seconds before expiry at which renewal begins; None: as the engine has it."""
    token_rate: tuple[int, float] | None = attrs.field(default=None, converter=rate)
    """``(requests, seconds)`` that the vendor allows a client at its token endpoint, which the fleet keeps to; None: unknown."""
    extra: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=copied, hash=False)
    """Parameters of authorization and token requests, such as ``audience``; no secrets."""
    authorize_extra: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=copied, hash=False)
    """Parameters of authorization requests alone, such as ``prompt``; no secrets."""
    rotation: RotationProfile = attrs.field(default=attrs.Factory(_profile, takes_self=True))
    """What becomes of a used refresh token; unless stated, with an ``authorize_url``, it is good for one use."""
    dialect: Dialect = attrs.field(factory=Dialect)
    """What the vendor does otherwise than RFC 6749."""
    former: tuple[Mapping[str, Any], ...] = attrs.field(default=(), converter=former, eq=False, repr=False)
    """Arguments that were others before: sessions stored under those are found."""

    needs_user: bool = attrs.field(default=attrs.Factory(_has_page, takes_self=True), init=False, repr=False, eq=False)
    """There is an ``authorize_url``: only the user can bring a first token."""
    uses_pkce: bool = attrs.field(default=attrs.Factory(_pkce, takes_self=True), init=False, repr=False, eq=False)
    """``pkce``, and there is an ``authorize_url``."""

    def __attrs_post_init__(self) -> None:
        for fault in self._faults():
            raise ConfigurationError(f"OAuth2: {fault}")
        self.former_identities()  # what cannot be made is told now

    def _faults(self) -> list[str]:
        secretless = self.client_secret is None
        checks = {
            "client_auth is one of post, basic and none": self.client_auth not in {"post", "basic", "none"},
            "client_auth='basic' needs a client_secret": self.client_auth == "basic" and secretless,
            "client_auth='none' has no use for a client_secret": self.client_auth == "none" and not secretless,
            "client credentials need a client_secret (RFC 6749 §4.4)": self.authorize_url is None and secretless,
            "a client without a secret needs PKCE (RFC 9700 §2.1.1)": _has_page(self) and secretless and not self.pkce,
            "iss_required needs the issuer to compare with": self.iss_required and self.issuer is None,
            "lifetime is seconds, above 0": not is_lifetime(self.lifetime, endless=True),
            "rotation is a RotationProfile": not isinstance(cast("object", self.rotation), RotationProfile),
            "extra holds texts, and none of the protocol's own parameters": not (
                are_texts(self.extra) and are_texts(self.authorize_extra)
            ),
            "dialect is a Dialect": not isinstance(cast("object", self.dialect), Dialect),
            "refresh_lifetime is seconds, above 0": not is_lifetime(self.refresh_lifetime),
            "session_lifetime is seconds, above 0": not is_lifetime(self.session_lifetime),
            "refresh_ahead is seconds, from 0 up": not is_ahead(self.refresh_ahead),
        }
        return [fault for fault, found in checks.items() if found]

    def identity(self) -> tuple[str, ...]:
        plain = (*self.registration(), self.authorize_url or "", self.scope)
        if not self.extra and not self.authorize_extra:
            return plain
        # With a count before them, for no two pairs of mappings may read alike.
        pairs = (*sorted(self.extra.items()), *sorted(self.authorize_extra.items()))
        return (*plain, f"{len(self.extra)} extra", *(text for pair in pairs for text in pair))

    def former_identities(self) -> tuple[tuple[str, ...], ...]:
        # An earlier release merged the two, so that one session served whoever had the parameters in either place.
        merged = (f"{name}={value}" for name, value in sorted({**self.authorize_extra, **self.extra}.items()))
        others = (attrs.evolve(self, **changed, former=()) for changed in self.former)
        return (
            (*self.registration(), self.authorize_url or "", self.scope, *merged),
            *(one.identity() for one in others),
        )

    def registration(self) -> tuple[str, ...]:
        return (self.token_url, self.client_id)
