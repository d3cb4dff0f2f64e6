"""Sessions as lines of JSON: ``vendor``, ``account``, ``client_id``, and the names that ``Credential.adopt`` takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from linkauth.errors import ConfigurationError
from linkauth.oauth import wire
from linkauth.oauth.token import masked, secret_bytes, secret_str

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.protocol.records import TokenRecord

__all__ = ["Line", "read", "written"]

WHOSE: Final = ("vendor", "account", "client_id")
SESSION: Final = (
    "refresh_token",
    "access_token",
    "expires_at",
    "refresh_expires_at",
    "scope",
    "extra",
    "endpoint",
)


@attrs.frozen(kw_only=True)
class Line:
    """One session. ``vendor``, ``client_id``: empty where the line does not say it."""

    number: int
    vendor: str = ""
    account: str
    client_id: str = ""
    session: Mapping[str, Any] = attrs.field(repr=False)
    """Arguments of ``Credential.adopt``; a name that is null is left out."""


def read(number: int, text: bytes) -> Line:
    """The session in ``text``. Raises ``ConfigurationError``, which says what is wrong and shows nothing of the line."""
    members = wire.as_object(masked(wire.decode(secret_bytes(text))))
    if not members:
        raise ConfigurationError("it is no JSON object")
    if members.keys() - {*WHOSE, *SESSION}:
        raise ConfigurationError(f"it holds other names than {', '.join([*WHOSE, *SESSION])}")
    whose: dict[str, str] = {}
    for name in WHOSE:
        value = cast("object", members.get(name))
        if not isinstance(value, str | None) or not (value or "").isprintable():
            raise ConfigurationError(f"{name} is no printable text")
        whose[name] = str(value or "")
    if not whose["account"]:
        raise ConfigurationError("account is missing")
    session = {name: members[name] for name in SESSION if members.get(name) is not None}
    return Line(number=number, **whose, session=session)


def written(record: TokenRecord) -> str:
    """``record`` as a line; it holds secrets."""
    token = record.token
    session = {
        "refresh_token": token.refresh_token,
        "access_token": token.access_token or None,
        "expires_at": token.expires_at if token.access_token else None,
        "refresh_expires_at": token.refresh_expires_at,
        "scope": token.scope or None,
        "extra": dict(token.extra) or None,
        "endpoint": token.endpoint,
    }
    whole = {"vendor": record.vendor, "account": record.account, "client_id": record.client_id or None, **session}
    return secret_str(json.dumps({name: value for name, value in whole.items() if value is not None}))
