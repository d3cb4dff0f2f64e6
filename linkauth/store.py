"""What the engine needs of a store: a versioned, leasable map of bytes.

A store knows nothing of tokens, OAuth or encryption. Versions, leases and bytes are all there is:

- A **record** has a value, and a version that only grows. Versions are the numbers of the leases under which the
  values were written.
- A **lease** is a claim on a key for some seconds. Its number is one above every number given for this key before, and
  above every version that the claimant has seen. Numbers **fence**: whoever claimed later wins, and whoever wakes up
  late overwrites nothing.
- A **note** is left with the claim for whoever comes after a crash, and cleared by the commit.
- **Time** is the store's: every answer carries its clock (Unix seconds), so a host with a wrong clock does no harm.

Every method is one atomic step. A repeat after a lost answer changes nothing: ``claim`` by the same owner gives the same
answer again (number, note as it was found, ``inherited``), ``commit`` of the very value that already stands under that
number succeeds (of another it does not: a store that lost its data may have given the number twice), ``delete`` under the number that deleted it too. A cancelled call has either
happened or not, and leaves the store usable. Whatever keeps a store from answering is raised as ``StoreUnavailable``;
a record that it cannot read as ``CorruptRecord``.

Keys are ASCII without white space, at most 200 characters, of the form ``kind/name/digest``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, cast, runtime_checkable
from urllib.parse import urlsplit

import attrs

from linkauth.errors import ConfigurationError
from linkauth.oauth.token import secret_str
from linkauth.plugins import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from linkauth.errors import CorruptRecord

__all__ = [
    "Advising",
    "Announcing",
    "Batching",
    "Bound",
    "Busy",
    "Change",
    "Claim",
    "Commit",
    "Committed",
    "Existing",
    "Finding",
    "Granted",
    "Lasting",
    "Newer",
    "Reading",
    "Record",
    "Restarting",
    "Superseded",
    "TokenStore",
    "open_store",
]


@attrs.frozen
class Record:
    """A value and the version under which it was written. The value stays out of ``repr``."""

    version: int
    """The number of the lease under which the value was written."""
    value: bytes = attrs.field(repr=False)
    """As it was given to ``commit``."""


@attrs.frozen(kw_only=True)
class Reading:
    """What a key holds: its record and note, and the store's clock (Unix seconds)."""

    record: Record | None
    """None: there is none."""
    note: bytes = attrs.field(default=b"", repr=False)
    """What the last claimant left and nobody cleared; empty: nothing."""
    now: float
    """The store's clock, Unix seconds."""


@attrs.frozen(kw_only=True)
class Newer(Reading):
    """The record's version is above the one that the claimant knows. Nothing was claimed."""

    record: Record
    """The one that is newer."""


@attrs.frozen(kw_only=True)
class Granted(Reading):
    """The lease is the claimant's. ``record`` and ``note`` are as they were found, before the claim's own note."""

    number: int
    """Of the lease, with which the claimant commits, extends and releases."""
    inherited: bool = False
    """The lease before this one ended without a release: its holder died, stalls, or lost the store."""


@attrs.frozen(kw_only=True)
class Busy(Reading):
    """Somebody else holds the lease, for ``remaining`` seconds more unless it is extended."""

    holder: str
    """The owner under which he claimed it."""
    remaining: float
    """Seconds that the lease has left."""
    number: int = 0
    """Of his lease, for who knows that he is dead gives it back; 0, of a store that does not tell: then he is waited out."""


@attrs.frozen(kw_only=True)
class Committed:
    """The value stands, and the lease was given back. ``now``: the store's clock."""

    now: float
    """The store's clock, Unix seconds."""


@attrs.frozen(kw_only=True)
class Superseded:
    """Somebody who claimed later has written, or deleted. Nothing was changed."""

    record: Record | None
    """The one that won; None: it was deleted, or taken."""
    now: float
    """The store's clock, Unix seconds."""


Claim: TypeAlias = Newer | Granted | Busy
Commit: TypeAlias = Committed | Superseded


@runtime_checkable
class TokenStore(Protocol):
    """The protocol that a store implements; ``linkauth.testing.StoreContract`` is its definition in tests."""

    async def read(self, key: str) -> Reading:
        """What ``key`` holds."""
        ...

    async def claim(self, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Claim:
        """Take the lease on ``key`` for ``ttl`` seconds, unless its record is newer than ``newer_than``.

        ``owner``: a fresh id for each acquisition. The number granted is above every number given for this key
        before and above ``newer_than`` (a store that lost its data goes on from there). ``note`` replaces the note
        that stood there (which the answer carries).
        """
        ...

    async def commit(self, key: str, number: int, value: bytes, ttl: float | None = None) -> Commit:
        """Write ``value`` as version ``number`` if that is above the record's version.

        Clears the note, gives the lease back if it is still held under ``number``, wakes who waits. It needs no live
        lease: a late answer that nobody has overtaken is still worth having. Where another lease was granted since and
        not given back, the value is written, and that lease and its note stay. A number under which, or above which,
        the record was deleted or taken is ``Superseded``: nothing comes back from the dead. ``ttl``: seconds after
        which the store may forget the record (its numbers too, but later), None: never.
        """
        ...

    async def extend(self, key: str, number: int, ttl: float) -> bool:
        """Make the lease last ``ttl`` seconds from now. False, and no change: it is not held under ``number`` any more."""
        ...

    async def release(self, key: str, number: int, note: bytes = b"") -> bool:
        """Give the lease back and leave ``note`` (empty: clear it); wakes who waits.

        False, and no change: the lease ended, or was passed on, or given back before.
        """
        ...

    async def wait_for_change(self, key: str, newer_than: int, timeout: float) -> None:
        """Return when ``key``'s record is newer than ``newer_than``, its lease was given back, or after ``timeout`` s.

        At once where that is so already, and where nobody holds the lease. May return early. Costs the store next to
        nothing while nothing happens.
        """
        ...

    async def take(self, key: str) -> Reading:
        """Read and delete in one step: of any number of callers one gets the record. For single-use state.

        Lease and note stay as they are. Numbers go on growing.
        """
        ...

    async def delete(self, key: str, number: int) -> bool:
        """Delete the record if ``number`` is above its version; note, lease and waiters as in ``commit``.

        Numbers go on growing. True also where there was no record; False, and no change: it is newer.
        """
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """The keys of the records that begin with ``prefix``, in no order, without loading them all."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and files. Idempotent. Leases are left to their holders."""
        ...


@attrs.frozen
class Change:
    """An announcement: ``key``'s record now has ``version`` (0: there is none any more)."""

    key: str
    """Whose record has changed."""
    version: int
    """The record's now; 0: there is none any more."""


@runtime_checkable
class Announcing(Protocol):
    """What a store may offer besides: telling of changes, and of having been away.

    It matters to stores that can lose what they had (a server restarted empty, a failover to a replica that lagged):
    whoever still holds something newer in memory hears of it, and puts it back.
    """

    def changes(self) -> AsyncIterator[Change | None]:
        """Every change that anybody makes, as it happens. None: some may have been missed, and data may be lost.

        Begins with None. Ends only when the store is closed; costs the store one subscription, and no calls. While the
        connection is lost a claim waits for it, as long as a call may take: what it finds might be old, and be spent again.
        It listens again within 1.5 s once its server answers.
        """
        ...


@runtime_checkable
class Batching(Protocol):
    """What a store may offer besides: to read many keys at the cost of few round trips, for those who look at all that it holds."""

    async def read_many(self, keys: Sequence[str]) -> list[Reading | CorruptRecord]:
        """What each of ``keys`` holds, in their order; a record that cannot be read is told in its place, and hides no other.

        Each reading is one that ``read`` could have given; any two may be of different moments. A few hundred keys at a time.
        """
        ...


@runtime_checkable
class Existing(Protocol):
    """What a store may offer besides that begins to exist when it is first used: whether it does, without making it."""

    async def exists(self) -> bool:
        """Whether anybody has used it before. False where a mistyped name leads."""
        ...


@attrs.frozen
class Finding:
    """One thing that an operator may want to know: ``what`` is so, and what to do about it. Neither holds a secret."""

    what: str
    """What is so."""
    advice: str = ""
    """Empty: it is well."""


@runtime_checkable
class Advising(Protocol):
    """What a store may offer besides: to look at where it lives, for ``linkauth doctor``."""

    async def findings(self) -> list[Finding]:
        """Settings and modes on which it hangs whether what is stored stays, and stays secret. Raises ``StoreUnavailable``."""
        ...


@runtime_checkable
class Restarting(Protocol):
    """What a store may offer besides that announces and whose server may come back with older data: how long it is up.

    Who begins to listen hears of no loss before that. Where the server was started a moment ago there may have been one.
    """

    async def uptime(self) -> float:
        """Seconds since the server was started, infinity where that is not known. Raises ``StoreUnavailable``."""
        ...


@runtime_checkable
class Bound(Protocol):
    """What a store may offer besides that cannot be used from every event loop: to say so before it is used."""

    def bind(self) -> None:
        """Be used from the running loop from now on. Raises ``ConfigurationError`` where that is not possible."""
        ...


@runtime_checkable
class Lasting(Protocol):
    """What a store may offer besides: to say that what it holds ends with this process. One that does not say so lasts."""

    outlives_process: bool
    """False: nothing is put here that cannot be had again, such as a client secret that a schedule rotated."""


def open_store(url: str) -> TokenStore:
    """The store that ``url`` names, such as ``memory:``, ``file:~/.linkauth`` or ``redis://localhost:6379/0``.

    Schemes are entry points of the group ``linkauth.stores``: name = scheme, value = a callable from URL to store, which
    is given the URL with its scheme in lower case (RFC 3986, section 3.1). No I/O happens here. Raises
    ``ConfigurationError`` for an unknown scheme, for one that several distributions offer, for a store whose package is not
    installed or cannot be imported, and for a URL that the store cannot read; the message never shows the URL, which may
    hold a password.
    """
    url = secret_str(url)
    scheme = _scheme(url)
    if scheme is None:
        raise ConfigurationError("the store's URL cannot be read: look at its brackets")
    if not scheme:
        raise ConfigurationError("the store's URL begins with no scheme; a folder is file:PATH, a server redis://HOST")
    opener = load("linkauth.stores", scheme, what="store", named="the scheme")
    return cast("TokenStore", opener(secret_str(scheme + url[len(scheme) :])))


def _scheme(url: str) -> str | None:
    try:
        return urlsplit(url).scheme
    except ValueError:  # its words, and its frames, hold the URL: they must not travel on
        return None
