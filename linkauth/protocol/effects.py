"""What a step may want of the world. A step yields one of these and is sent what came of it: the words after ``->``.

Every ``yield`` is a place where the worker may die, be stopped for any time, or be overtaken by others. An effect whose
store fails raises ``StoreError`` where the step stands. ``engine.runtime`` performs them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import attrs

from linkauth.errors import CorruptRecord, LinkAuthError, ReauthorizationRequired

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Secret, Token
    from linkauth.protocol.freshness import StoreTime, Verdict
    from linkauth.protocol.intent import Note
    from linkauth.protocol.lineage import Lineage
    from linkauth.protocol.records import Session
    from linkauth.store import Record
    from linkauth.vendors.vendor import Vendor

__all__ = [
    "Adopt",
    "Ask",
    "Authorize",
    "Claim",
    "Commit",
    "CommitSecret",
    "Confirm",
    "DropAnswer",
    "Effect",
    "Enter",
    "Failed",
    "Forget",
    "Held",
    "KeepAnswer",
    "LeaseLost",
    "Leave",
    "Newest",
    "Read",
    "Release",
    "Repair",
    "Revoke",
    "Serve",
    "Settle",
    "Sleep",
    "Steps",
    "Suspicion",
    "Wait",
    "Worker",
]

T = TypeVar("T")


class LeaseLost(LinkAuthError):
    """The lease ended before anything was sent, or somebody else was faster. Never leaves the engine."""


class Worker(Protocol):
    """What a worker knows, and every effect may change: another loop of its process works on the same credential."""

    vendor: Vendor
    ttl: float
    """Seconds that a lease lasts."""
    timeout: float
    """Seconds in which a try at the vendor may begin."""

    @property
    def token(self) -> Token | None:
        """The token that is held, expired or not."""
        ...

    @property
    def lineage(self) -> Lineage:
        """Where it comes from."""
        ...

    @property
    def version(self) -> int:
        """The version of the newest record that is known."""
        ...

    @property
    def new_until(self) -> float:
        """Who asked for a new token up to this moment (monotonic) has it with the one that is held."""
        ...

    def now(self) -> float:
        """The monotonic clock."""
        ...

    def store_now(self) -> float:
        """The store's clock by the last look at it, Unix seconds."""
        ...

    def chance(self) -> float:
        """From 0 up to 1."""
        ...

    def entropy(self, count: int, /) -> bytes:
        """So many bytes of cryptographic randomness."""
        ...

    def verdict(self) -> Verdict:
        """What the token is good for now."""
        ...

    def unexpired(self) -> bool:
        """Whether the token may still be used when nothing better can be had."""
        ...

    def supersedes(self, record: Record) -> bool:
        """Whether ``record`` comes after what is held (``lineage``)."""
        ...

    def lacks(self, record: Record | None) -> bool:
        """Whether a store that has ``record`` has lost what is held."""
        ...

    def suspects(self) -> bool:
        """Whether the store may have lost data, and others may still put it back, as far as is known (``Suspicion``)."""
        ...

    def note(self, found: bytes) -> Note:
        """What stands beside a record."""
        ...

    def crowded(self) -> bool:
        """Whether more want to ask this client's vendor than may: who wants to ask as well will have to wait."""
        ...

    def current(self) -> Token:
        """The token that is held. Raises ``ReauthorizationRequired`` where there is none."""
        ...

    def lost(self, otherwise: str) -> ReauthorizationRequired:
        """The error that sends for the user, with the reason that is known, or else ``otherwise``."""
        ...

    def observe(self, record: Record, time: StoreTime) -> None:
        """Take note of a record, whatever it says, if it supersedes what is held."""
        ...

    def granted(self, token: Token, asked: str) -> None:
        """Tell where ``token`` has less than the scope that was ``asked`` for."""
        ...

    def unreadable(self, error: CorruptRecord) -> None:
        """Say, once, that the record cannot be read, and that a token is fetched for this process alone."""
        ...

    def tell(self, kind: str, outcome: str = "", duration: float = 0.0) -> None:
        """Tell whoever listens of an event of this credential."""
        ...

    def report(self, words: str) -> None:
        """Log what an operator has to act upon."""
        ...


@attrs.frozen
class Settle:
    """Have the store take what it has yet to take. -> whether there was something, so that a token may be here."""


@attrs.frozen
class Read:
    """-> ``(Reading, StoreTime)``."""


@attrs.frozen
class Claim:
    """Ask for the lease. -> ``(Newer | Busy | Granted, StoreTime)``. A lease that is granted is extended from then on."""

    newer_than: int
    note: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class Enter:
    """Wait for leave to ask the vendor, for it bears only so many requests of one client. Nothing where it is had already.

    Raises the vendor's refusal of the client, ``RateLimited`` or ``VendorUnavailable`` where none comes in time.
    """


@attrs.frozen
class Leave:
    """Let somebody else ask. So does the end of the steps, and a claim that is not granted."""


@attrs.frozen
class Wait:
    """For a change of the record or of its lease, ``seconds`` at the most."""

    seconds: float
    newer_than: int


@attrs.frozen
class Sleep:
    """Wait for others. Closing may call it off."""

    seconds: float


@attrs.frozen
class Adopt:
    """Take what the store has. Raises ``ReauthorizationRequired`` where that says that only the user can help."""

    record: Record
    time: StoreTime
    awaited: bool = False
    """It was in the air until now, and waited for: so it is new to who asked meanwhile, whenever it was sent for."""


@attrs.frozen
class Repair:
    """Put back what the store has lost and this worker holds."""


@attrs.frozen
class Suspicion:
    """-> seconds for which others may still put back what the store has lost; 0: nothing is suspected any more.

    Where the time is over that all are given, the store is asked for the word of whoever needs longer. To be asked before
    the store is looked at for what to act on: the other way round somebody may write in between, and be done.
    """

    anew: bool = False
    """This worker was cut off from the store meanwhile, and so may the others have been: they are given their time again."""


@attrs.frozen
class Confirm:
    """Ask the store, by owner, whether the lease is ours. -> whether it is, and was all the time."""


@attrs.frozen
class Ask:
    """One exchange with the vendor, under the lease if there is one, with the newest client secret. -> what it brings.

    Or ``Failed``; or ``LeaseLost`` is raised, and nothing was sent.
    """

    flow: Callable[[Vendor], Flow[Any]]
    single_use: bool = False
    """What is sent is good for one use: it is not repeated where the vendor may have acted on it."""
    answer: float = 0.0
    """Seconds that an answer is waited for at least, once something is sent."""


@attrs.frozen
class Failed:
    """What came of an exchange that failed."""

    error: Exception
    in_doubt: bool
    """The vendor may have acted on it."""


@attrs.frozen
class Commit:
    """Write under the lease's number, then hand out. -> the token that holds from now on: another's, if it came later.

    What the store does not take is kept and offered on, if it is ``irreplaceable``.
    """

    token: Token
    lineage: Lineage
    irreplaceable: bool
    number: int = 0
    """0: the lease's."""


@attrs.frozen
class Revoke:
    """Write down, for all, that only the user can help, and raise it. -> a token, only if a later one stood in the way."""

    reason: str
    number: int = 0
    """One above what was last looked at, so that what has come since stands; 0: the lease's."""


@attrs.frozen
class Held:
    """-> whether the lease is this worker's, and for long enough; or was not needed."""


@attrs.frozen
class Forget:
    """Leave nothing of the token behind, here and in the store. -> False: a later one stands there, and was adopted."""

    reason: str
    number: int
    session: Session | None


@attrs.frozen
class Serve:
    """Serve a token that the store has not got, in this process alone."""

    token: Token
    lineage: Lineage


@attrs.frozen
class Release:
    """Give the lease back and leave ``note``: as it was found, or a new one."""

    note: bytes | Note = attrs.field(default=b"", repr=False)


# -- of a client's secret ------------------------------------------------------------------------------------------------


@attrs.frozen
class Newest:
    """Know the newest secret: what an earlier process left in escrow, then what the store has. Raises ``StoreError``."""


@attrs.frozen
class Authorize:
    """-> the token in whose name the secret is replaced. Raises what renewing it raises."""


@attrs.frozen
class CommitSecret:
    """Write under the lease's number, or above what is older. -> whether it stands in the store; else a later one does.

    What is ``irreplaceable`` is used by this process from now on, and kept and offered on if the store does not take it.
    """

    secret: Secret
    irreplaceable: bool


@attrs.frozen
class KeepAnswer:
    """Put a vendor's answer where an operator finds it, and offer it on until the store has it. -> where it is, in words."""

    answer: Secret


@attrs.frozen
class DropAnswer:
    """Let go of such an answer: what it may hold is dead by now."""


Effect: TypeAlias = (
    Settle
    | Read
    | Claim
    | Enter
    | Leave
    | Wait
    | Sleep
    | Adopt
    | Repair
    | Suspicion
    | Confirm
    | Ask
    | Commit
    | Revoke
    | Held
    | Forget
    | Serve
    | Release
    | Newest
    | Authorize
    | CommitSecret
    | KeepAnswer
    | DropAnswer
)
Steps: TypeAlias = Generator[Effect, Any, T]
