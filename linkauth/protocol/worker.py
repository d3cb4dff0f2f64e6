"""What a step may ask of the worker whose step it is: at once, without a look at the world outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from linkauth.errors import CorruptRecord, ReauthorizationRequired
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime, Verdict
    from linkauth.protocol.intent import Note
    from linkauth.protocol.lineage import Lineage
    from linkauth.store import Record
    from linkauth.vendors.vendor import Vendor

__all__ = ["Worker"]


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

    def lineage_over(self, record: Record | None) -> Lineage:
        """``lineage``, counted on from ``record`` where that was passed by and is further in the same session."""
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

    def reauthorization(self, otherwise: str) -> ReauthorizationRequired:
        """The error that sends for the user, with the reason that is known, or else ``otherwise``."""
        ...

    def observe(self, record: Record, time: StoreTime) -> None:
        """Take note of a record, whatever it says, if it supersedes what is held."""
        ...

    def check_scope(self, token: Token, asked: str) -> None:
        """Tell where ``token`` has less than the scope that was ``asked`` for."""
        ...

    def unreadable(self, error: CorruptRecord) -> None:
        """Say, once, that the record cannot be read, and that a token is fetched for this process alone."""
        ...

    def tell(self, kind: str, outcome: str = "", duration: float = 0.0) -> None:
        """Tell whoever listens of an event of this credential."""
        ...

    def report(self, message: str) -> None:
        """Log what an operator has to act upon."""
        ...
