"""What linkauth keeps in a store, as values, and the keys under which it is kept.

Two credentials never share a key: vendor, registration, scope and account all go into it. No key holds a secret, and
each is short plain ASCII whatever the account is called. A key that was written once is found for ever: a formula that
changes keeps the former one beside it (``token_keys``).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

import attrs

from linkauth.oauth.token import OMIT, Secret, Token, secret_str, secret_str_or_none
from linkauth.oauth.url import given
from linkauth.protocol.limits import LimitRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linkauth.vendors.vendor import Vendor

__all__ = [
    "KINDS",
    "TENANTS",
    "BegunRecord",
    "CheckRecord",
    "DeadRecord",
    "FirstSeenRecord",
    "PendingRecord",
    "RepairRecord",
    "RoundRecord",
    "SecretRecord",
    "Session",
    "StoredRecord",
    "TokenRecord",
    "answer_key",
    "begun_key",
    "first_seen_key",
    "limit_key",
    "named",
    "probe_key",
    "repair_key",
    "round_key",
    "secret_digest",
    "secret_key",
    "state_key",
    "token_key",
    "token_keys",
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
class BegunRecord:
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
    """When it was stored, Unix seconds by the store's clock; None: an older linkauth wrote this, who does not say."""


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
    | BegunRecord
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
    "begun": BegunRecord,
    "secret": SecretRecord,
    "first-seen": FirstSeenRecord,
    "round": RoundRecord,
    "check": CheckRecord,
    "limit": LimitRecord,
    "repair": RepairRecord,
}

LONGEST_NAME: Final = 80


def _key(kind: str, name: str, parts: Iterable[str]) -> str:
    # Each part is preceded by its length: ("ab", "c") and ("a", "bc") are two different things.
    told = b"".join(b"%d:" % len(data) + data for data in (part.encode() for part in parts))
    return f"{kind}/{named(name)}{sha256(told).hexdigest()[:40]}"


def named(name: str) -> str:
    """How a vendor of that ``name`` stands in a key, after the kind."""
    return f"{quote(name, safe='')[:LONGEST_NAME]}/"


def token_key(vendor: Vendor, account: str) -> str:
    """Where a credential's token is kept."""
    return _key("token", vendor.name, ("token", vendor.name, *vendor.identity(), account))


def token_keys(vendor: Vendor, account: str) -> tuple[str, ...]:
    """``token_key``, then those under which earlier releases kept this credential's token, where they were others.

    They took a root as it was given, in whatever spelling.
    """
    former = ((*map(given, identity),) for identity in (vendor.identity(), *vendor.former_identities()))
    keys = (_key("token", vendor.name, ("token", vendor.name, *parts, account)) for parts in former)
    return tuple(dict.fromkeys([token_key(vendor, account), *keys]))


def secret_digest(vendor: Vendor) -> str:
    """A digest of a client's secret: enough to recognise it, useless to anybody who finds it. Empty: there is none."""
    secret = getattr(vendor, "client_secret", None)
    if not isinstance(secret, Secret):
        return ""
    return sha256(b"linkauth client secret\0" + secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()[:32]


def secret_key(vendor: Vendor) -> str:
    """Where a client's newest secret is kept."""
    return _key("secret", vendor.name, ("secret", vendor.name, *_as_given(vendor)))


def answer_key(vendor: Vendor) -> str:
    """Where an answer to a rotation is kept in which no secret was recognised."""
    return _key("answer", vendor.name, ("answer", vendor.name, *_as_given(vendor)))


def first_seen_key(vendor: Vendor) -> str:
    """Where it is kept since when a client secret is known that has no time of its own."""
    return _key("first-seen", vendor.name, ("first-seen", vendor.name, *_as_given(vendor)))


def _as_given(vendor: Vendor) -> tuple[str, ...]:
    # In the spelling that was given, as ever: a worker of an earlier release that missed a rotation would be locked out.
    return tuple(map(given, vendor.registration()))


def limit_key(vendor: Vendor) -> str:
    """Where it is kept what goes for every account of a client: refusals of the client, and how much of a limit is used."""
    return _key("limit", vendor.name, ("limit", vendor.name, *vendor.registration()))


def probe_key(vendor: Vendor) -> str:
    """Where the lease is of the one who asks first after the vendor has refused a client."""
    return _key("first", vendor.name, ("first", vendor.name, *vendor.registration()))


def repair_key() -> str:
    """Where it is said until when somebody puts back what the store has lost: one for all that share the store."""
    return _key("repair", "store", ("repair",))


def round_key(vendors: Iterable[Vendor], functions: Iterable[str] = ()) -> str:
    """Where the keep-alive rounds over these registrations are agreed on, and over what ``functions``, by name, find."""
    registrations = sorted("\0".join((vendor.name, *vendor.identity())) for vendor in vendors)
    return _key("round", "keep-alive", ("round", *registrations, *(f"\0{name}" for name in sorted(functions))))


TENANTS: Final = "~"
"""Begins the state of an authorization at a tenant's vendor, and no other state."""


def state_key(vendor_name: str, state: str) -> str:
    """Where a pending authorization is kept. The state itself is not in it.

    A tenant's is found by its state alone: which vendor it is for is known when it has been read.
    """
    return _key("state", "tenant" if state.startswith(TENANTS) else vendor_name, ("state", state))


def begun_key(vendor: Vendor, account: str) -> str:
    """Where it is kept which authorizations of a credential are pending."""
    return _key("begun", vendor.name, ("begun", vendor.name, *vendor.identity(), account))
