"""What linkauth keeps in a store, as values. Under which keys: ``keys``."""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs

from linkauth.oauth.token import OMIT, Token, secret_str, secret_str_or_none
from linkauth.protocol.limits import LimitRecord

__all__ = [
    "KINDS",
    "CheckRecord",
    "CredentialRecord",
    "DeadRecord",
    "FirstSeenRecord",
    "PendingListRecord",
    "PendingRecord",
    "RepairRecord",
    "RoundRecord",
    "SecretRecord",
    "Session",
    "StoredRecord",
    "TokenRecord",
]


@attrs.frozen(order=True)
class Session:
    """One login, pairing or adoption, and all that was renewed since. The later one is greater."""

    at: int
    """The number that its first record was written under: above the store's clock in ms, and every session seen under its key."""
    id: str
    """Chance, for two that were begun at the same moment."""


@attrs.frozen(kw_only=True)
class TokenRecord:
    """A token, whose it is, and where it comes from (``lineage``); older linkauths do not say that."""

    vendor: str
    account: str
    token: Token
    session: Session | None = None
    generation: int | None = None
    """How often it was renewed since the session began; None: not known, for an older linkauth renewed it."""
    client_id: str = attrs.field(default="", metadata=OMIT)
    """The client that it was issued to; empty: there is none, or an older linkauth wrote this."""


@attrs.frozen(kw_only=True)
class DeadRecord:
    """There is no token and no way to one without the user: a record of its own, so that no worker asks in vain."""

    vendor: str
    account: str
    reason: str
    spent: str = ""
    """A digest of the refresh token that was refused."""
    by_user: bool = False
    """The user logged out: a late answer to a renewal does not undo that."""
    session: Session | None = None
    generation: int | None = None
    """Of the token that was refused: one of a later generation lives. None: the whole session is over."""


CredentialRecord: TypeAlias = TokenRecord | DeadRecord
"""What stands under a credential's key."""


@attrs.frozen(kw_only=True)
class PendingRecord:
    """An authorization that the user has yet to answer. Times are Unix seconds by the store's clock."""

    vendor: str
    account: str
    token_key: str
    """The credential that it is for: vendor, registration, scope and account in one."""
    state: str = attrs.field(repr=False, converter=secret_str)
    redirect_uri: str
    scope: str
    verifier: str | None = attrs.field(repr=False, converter=secret_str_or_none)
    nonce: str | None = attrs.field(default=None, repr=False, converter=secret_str_or_none, metadata=OMIT)
    tenant: str = attrs.field(default="", metadata=OMIT)
    """Which of a vendor's tenants the app was asked to connect; empty: the vendor has none."""
    next_path: str = attrs.field(default="", metadata=OMIT)
    """Where in the app the user goes on once that is done; empty: nobody said."""
    expires_at: float


@attrs.frozen(kw_only=True)
class PendingListRecord:
    """The authorizations that a credential's user has begun last, by their keys, the oldest first."""

    states: tuple[str, ...]


@attrs.frozen(kw_only=True)
class SecretRecord:
    """A client's newest secret; or, under its own key, a vendor's answer in which none was recognised."""

    vendor: str
    client_secret: str = attrs.field(repr=False, converter=secret_str)
    client_id: str = attrs.field(default="", metadata=OMIT)
    """Whose it is; empty: an older linkauth wrote this."""
    rotated_at: float | None = attrs.field(default=None, metadata=OMIT)
    """When it was asked for, Unix seconds by the store's clock; None: an older linkauth wrote this, who does not say."""


@attrs.frozen(kw_only=True)
class FirstSeenRecord:
    """Since when a client secret is known whose age nobody wrote down: ``at``, Unix seconds by the store's clock."""

    vendor: str
    at: float


@attrs.frozen(kw_only=True)
class RoundRecord:
    """When keep-alive makes its next round, Unix seconds by the store's clock."""

    next_at: float


@attrs.frozen(kw_only=True)
class CheckRecord:
    """Written to see whether the store can be written. ``at``: when, Unix seconds by the store's clock."""

    at: float


@attrs.frozen(kw_only=True)
class RepairRecord:
    """Until when somebody puts back what the store has lost, Unix seconds by the store's clock.

    Its version says the same in milliseconds: so nobody makes it smaller, and whoever cannot open it understands it.
    """

    until: float


StoredRecord: TypeAlias = (
    TokenRecord
    | DeadRecord
    | PendingRecord
    | PendingListRecord
    | SecretRecord
    | FirstSeenRecord
    | RoundRecord
    | CheckRecord
    | LimitRecord
    | RepairRecord
)

KINDS: Final[dict[str, type[StoredRecord]]] = {
    "token": TokenRecord,
    "reauthorize": DeadRecord,
    "pending": PendingRecord,
    "begun": PendingListRecord,
    "secret": SecretRecord,
    "first-seen": FirstSeenRecord,
    "round": RoundRecord,
    "check": CheckRecord,
    "limit": LimitRecord,
    "repair": RepairRecord,
}
