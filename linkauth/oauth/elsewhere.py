"""A session that was made elsewhere, as whoever has it hands it over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import attrs

from linkauth.errors import ConfigurationError
from linkauth.oauth import wire
from linkauth.oauth.extra import extra as fitted
from linkauth.oauth.grants import NEVER, may_be_sent
from linkauth.oauth.token import Masked, Token, bare, discreet, secret_str

__all__ = ["Elsewhere"]


def _hidden(value: Any) -> Any:
    """attrs converter: a text that no ``repr`` shows. What is no text is refused later, by name."""
    return secret_str(value) if isinstance(value, str) else value


def _discreet(value: Any) -> Any:
    """attrs converter: ``extra`` as a login would bring it, in a form that no ``repr`` shows."""
    return Masked(discreet(bare(dict(cast("Mapping[str, Any]", value))))) if isinstance(value, Mapping) else value


@attrs.frozen(kw_only=True)
class Elsewhere:
    """What is handed over. Times are Unix seconds, ``math.inf`` is never.

    Raises ``ConfigurationError`` when made of what cannot be a session; it shows no value.
    """

    access_token: str | None = attrs.field(converter=_hidden)
    refresh_token: str | None = attrs.field(converter=_hidden)
    expires_at: float | None
    """When the access token expires; None: as late as the vendor's ones do."""
    refresh_expires_at: float | None
    """When the refresh token lapses; None: not known."""
    scope: str
    extra: Mapping[str, Any] = attrs.field(converter=_discreet)
    endpoint: str | None

    def __attrs_post_init__(self) -> None:
        for fault in self._faults():
            raise ConfigurationError(f"adopt: {fault}")

    def token(self, now: float, lifetime: float | None) -> Token:
        """The token that comes in at ``now``. ``lifetime``: seconds, of an access token whose expiry nobody knows.

        A refresh token alone makes a token that is over. Raises ``ConfigurationError`` where no expiry is to be had.
        """
        expires_at = self.expires_at
        if self.access_token is None:
            expires_at = 0.0
        elif expires_at is None:
            if lifetime is None:
                raise ConfigurationError("adopt: expires_at is needed: no lifetime is known of this vendor's tokens")
            expires_at = now + lifetime
        lapses = self.refresh_expires_at
        return Token(
            access_token=self.access_token or "",
            scope=self.scope,
            issued_at=now,
            expires_at=min(expires_at, NEVER),
            refresh_token=self.refresh_token,
            refresh_expires_at=None if lapses == math.inf else lapses,
            endpoint=self.endpoint,
            **fitted(self.extra, None),
        )

    def _faults(self) -> list[str]:
        access, refresh = self.access_token, self.refresh_token
        checks = {
            "an access token or a refresh token is needed": access is None and refresh is None,
            "access_token is empty, or holds what no header may carry": access is not None and not may_be_sent(access),
            "refresh_token is empty, or not printable": refresh is not None and not _is_text(refresh),
            "expires_at and refresh_expires_at are Unix seconds": not (
                _is_moment(self.expires_at) and _is_moment(self.refresh_expires_at)
            ),
            "scope is not a printable text": not _is_text(self.scope) and self.scope != "",
            "endpoint is not a URL": self.endpoint is not None and not _is_text(self.endpoint),
            "extra is no JSON object, or too deep": not _is_storable(self.extra),
        }
        return [fault for fault, found in checks.items() if found]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_moment(value: object) -> bool:
    """Whether ``value`` is in Unix seconds, or None. Milliseconds are not: they would be thousands of years away."""
    if value is None or value == math.inf:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= NEVER


def _is_storable(extra: object) -> bool:
    """Whether ``extra`` comes out of a store as it went in, as deep in a record as it lies there."""
    record = Masked(token=Masked(extra=extra))
    try:
        return isinstance(extra, dict) and wire.as_object(wire.decode(wire.dump(record))) == record
    except (TypeError, ValueError, RecursionError):
        return False
