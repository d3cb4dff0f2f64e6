"""The keys under which records are kept in a store.

Two credentials never share a key: vendor, registration, scope and account all go into it. No key holds a secret, and
each is short plain ASCII whatever the account is called. A key that was written once is found for ever: a formula that
changes keeps the former one beside it (``token_keys``).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from linkauth.oauth.url import given

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linkauth.vendors.vendor import Vendor

__all__ = [
    "TENANTS",
    "answer_key",
    "first_seen_key",
    "limit_key",
    "named",
    "pending_list_key",
    "probe_key",
    "repair_key",
    "round_key",
    "secret_key",
    "state_key",
    "token_key",
    "token_keys",
]

LONGEST_NAME: Final = 80


def _key(kind: str, name: str, parts: Iterable[str]) -> str:
    # Each part is preceded by its length: ("ab", "c") and ("a", "bc") are two different things.
    told = b"".join(b"%d:" % len(data) + data for data in (part.encode() for part in parts))
    return f"{kind}/{named(name)}{sha256(told).hexdigest()[:40]}"


def named(name: str) -> str:
    """How a vendor of that ``name`` stands in a key, after the kind."""
    return f"{quote(name, safe='')[:LONGEST_NAME]}/"


def _vendor_key(kind: str, vendor: Vendor, *parts: str) -> str:
    return _key(kind, vendor.name, (kind, vendor.name, *parts))


def token_key(vendor: Vendor, account: str) -> str:
    """Where a credential's token is kept."""
    return _vendor_key("token", vendor, *vendor.identity(), account)


def token_keys(vendor: Vendor, account: str) -> tuple[str, ...]:
    """``token_key``, then those under which earlier releases kept this credential's token, where they were others.

    They took a root as it was given, in whatever spelling.
    """
    former = ((*map(given, identity),) for identity in (vendor.identity(), *vendor.former_identities()))
    keys = (_vendor_key("token", vendor, *parts, account) for parts in former)
    return tuple(dict.fromkeys([token_key(vendor, account), *keys]))


def secret_key(vendor: Vendor) -> str:
    """Where a client's newest secret is kept."""
    return _vendor_key("secret", vendor, *_as_given(vendor))


def answer_key(vendor: Vendor) -> str:
    """Where an answer to a rotation is kept in which no secret was recognised."""
    return _vendor_key("answer", vendor, *_as_given(vendor))


def first_seen_key(vendor: Vendor) -> str:
    """Where it is kept since when a client secret is known that has no time of its own."""
    return _vendor_key("first-seen", vendor, *_as_given(vendor))


def _as_given(vendor: Vendor) -> tuple[str, ...]:
    # In the spelling that was given, as ever: a worker of an earlier release that missed a rotation would be locked out.
    return tuple(map(given, vendor.registration()))


def limit_key(vendor: Vendor) -> str:
    """Where it is kept what goes for every account of a client (``LimitRecord``)."""
    return _vendor_key("limit", vendor, *vendor.registration())


def probe_key(vendor: Vendor) -> str:
    """Where the lease is of the one who asks first after the vendor has refused a client."""
    return _vendor_key("first", vendor, *vendor.registration())


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


def pending_list_key(vendor: Vendor, account: str) -> str:
    """Where it is kept which authorizations of a credential are pending."""
    return _vendor_key("begun", vendor, *vendor.identity(), account)
