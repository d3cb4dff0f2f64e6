"""Tokens as the vendors' servers keep them: issued, expiring, spent once, revoked with their whole session."""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.sandbox.clock import Clock

__all__ = ["Issued", "Ledger", "NotGood", "Session", "number", "secret", "signed"]

Reason = Literal["unknown", "expired", "revoked", "reused"]

SWEEP_EVERY: Final = 20_000
"""Tokens after which the ledger is swept."""

REMEMBERED: Final = 3600.0
"""Seconds for which an expired token is remembered: a vendor tells "expired" from "unknown"."""


def secret(what: str) -> str:
    """A new secret that can be told in a log, should one ever get there."""
    return f"sandbox-{what}-{secrets.token_urlsafe(24)}"


class NotGood(Exception):
    """A token that the server does not take, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.define(kw_only=True, eq=False)
class Session:
    """What one login, consent or client request gave rise to. Its tokens are revoked together: the token family."""

    client_id: str = ""
    subject: str = ""
    scope: str = ""
    revoked: bool = False
    data: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    """What the vendor notes beside: a role, the chosen folders, a region."""


@attrs.define(eq=False)
class Issued:
    """One token that was handed out."""

    value: str = attrs.field(repr=False)
    session: Session
    expires_at: float | None
    spent_at: float | None = None
    successor: Issued | None = attrs.field(default=None, repr=False)


class Ledger:
    """All tokens of one vendor."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._access: dict[str, Issued] = {}
        self._refresh: dict[str, Issued] = {}

    def issue(self, session: Session, lifetime: float, value: str | None = None) -> Issued:
        """An access token for ``lifetime`` seconds; ``value``: a JWT, else an opaque one is made."""
        return self._put(self._access, session, lifetime, value)

    def issue_refresh(self, session: Session, lifetime: float | None, value: str | None = None) -> Issued:
        """A refresh token; ``lifetime`` None: it does not expire."""
        return self._put(self._refresh, session, lifetime, value)

    def check(self, value: str) -> Session:
        """The session of an access token. Raises ``NotGood``."""
        return self._living(self._access, value).session

    def redeem(self, value: str, *, replay_window: float = 0.0, reuse_revokes: bool = True) -> Issued:
        """The refresh token that is presented. Raises ``NotGood``; a spent one ends its session if ``reuse_revokes``.

        Within ``replay_window`` seconds a spent one is taken again, as long as its successor was not used.
        """
        issued = self._refresh.get(value)
        if issued is not None and issued.spent_at is not None and not self._replayable(issued, replay_window):
            issued.session.revoked = issued.session.revoked or reuse_revokes
            raise NotGood("reused")
        return self._living(self._refresh, value)

    def rotate(self, issued: Issued, lifetime: float | None, value: str | None = None) -> Issued:
        """Spend ``issued``; its successor. A replay is given the same successor again."""
        if issued.successor is None:
            issued.spent_at = self._clock()
            issued.successor = self.issue_refresh(issued.session, lifetime, value)
        return issued.successor

    def find(self, value: str) -> Session | None:
        """The session of an access or refresh token, whatever its state."""
        issued = self._access.get(value) or self._refresh.get(value)
        return issued.session if issued else None

    def withdraw(self, value: str) -> None:
        """Make one access token unknown, its session untouched."""
        self._access.pop(value, None)

    def end_access(self, session: Session) -> None:
        """Make the access tokens of one session unknown; its refresh token stays."""
        for issued in [each for each in self._access.values() if each.session is session]:
            self.withdraw(issued.value)

    def revoke_access(self) -> None:
        """Make every access token unknown at once: what a vendor's incident looks like. Refresh tokens stay."""
        self._access.clear()

    def _replayable(self, issued: Issued, window: float) -> bool:
        after = issued.successor
        fresh = issued.spent_at is not None and self._clock() <= issued.spent_at + window
        return window > 0 and fresh and after is not None and after.spent_at is None

    def _living(self, book: Mapping[str, Issued], value: str) -> Issued:
        issued = book.get(value)
        if issued is None:
            raise NotGood("unknown")
        if issued.session.revoked:
            raise NotGood("revoked")
        if issued.expires_at is not None and self._clock() >= issued.expires_at:
            raise NotGood("expired")
        return issued

    def _put(self, book: dict[str, Issued], session: Session, lifetime: float | None, value: str | None) -> Issued:
        expires_at = None if lifetime is None else self._clock() + lifetime
        issued = Issued(value or secret("token"), session, expires_at)
        book[issued.value] = issued
        if len(book) % SWEEP_EVERY == 0:
            old = self._clock() - REMEMBERED
            for each in [each for each in book.values() if each.expires_at is not None and each.expires_at < old]:
                del book[each.value]
        return issued


def number(seconds: float) -> float:
    """``seconds`` as JSON should show it: 900, not 900.0."""
    return int(seconds) if float(seconds).is_integer() else seconds


def signed(claims: Mapping[str, object], key: bytes, algorithm: str = "HS256") -> str:
    """A JWT (RFC 7519) with ``claims`` and an id of its own; ``algorithm``: HS256 or HS512."""
    header = {"alg": algorithm, "typ": "JWT"}
    body = {**claims, "jti": secrets.token_urlsafe(12)}
    text = ".".join(_part(json.dumps(each, separators=(",", ":")).encode()) for each in (header, body))
    return f"{text}.{_part(hmac.digest(key, text.encode(), f'sha{algorithm[2:]}'))}"


def _part(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
