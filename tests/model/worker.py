"""What a worker knows: a fake of ``protocol.Worker``; and what its effects and its steps come to, as values."""

from __future__ import annotations

import math
from typing import Final

import attrs

from linkauth.errors import (
    InvalidGrant,
    LinkAuthError,
    MalformedResponse,
    NoAnswer,
    NotSent,
    RateLimited,
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.oauth.token import Secret, Token
from linkauth.protocol import lineage, timing
from linkauth.protocol.effects import Failed, LeaseLost
from linkauth.protocol.freshness import StoreTime, Verdict
from linkauth.protocol.intent import Note
from linkauth.protocol.lineage import Entry, Lineage
from linkauth.protocol.patience import InDoubt
from linkauth.protocol.records import DeadRecord, SecretRecord, TokenRecord
from linkauth.store import Record
from tests.model.values import Content, content, evolve, windows_of
from tests.model.vendor import Kind

__all__ = ["DONE", "TIMEOUT", "TTL", "Ended", "Fake", "Known", "Outcome", "Raises", "adopt", "pause", "supersedes"]

TIMEOUT = 10.0
TTL = TIMEOUT + timing.LEASE_MORE


@attrs.frozen(cache_hash=True)
class Known:
    """What a worker has in its memory of the credential."""

    record: Content | None = None
    version: int = 0
    stored: bool = True
    heard_at: float | None = None
    """When it heard that the store may have lost data; None: it did not, or all is put back that ever will be."""
    until: float = -math.inf
    """Until then it is known without asking that somebody may put something back."""
    new_until: float = -math.inf

    @property
    def token(self) -> Token | None:
        return self.record.token if isinstance(self.record, TokenRecord) else None

    @property
    def lineage(self) -> Lineage:
        if self.record is None or isinstance(self.record, SecretRecord):
            return Lineage()
        return Lineage(self.record.session, self.record.generation)

    @property
    def dead(self) -> str:
        return self.record.reason if isinstance(self.record, DeadRecord) else ""

    @property
    def entry(self) -> Entry | None:
        return None if self.record is None else Entry(self.record, self.version)

    def take(self, entry: Entry, *, stored: bool = True) -> Known:
        new = entry.record.token.issued_at if isinstance(entry.record, TokenRecord) else self.new_until
        return evolve(self, record=entry.record, version=entry.number, stored=stored, new_until=new)

    def is_latest(self, entry: Entry) -> bool:
        """Whether nothing is known that comes after ``entry``."""
        if self.entry is None or (isinstance(self.record, TokenRecord | DeadRecord) and self.lineage.session is None):
            return True
        return not lineage.supersedes(self.entry, entry)

    def lacks(self, record: Record | None) -> bool:
        return self.record is not None and self.stored and self.version > (0 if record is None else record.version)

    def suspecting(self, now: float) -> Known:
        return evolve(self, heard_at=now, until=now + timing.GRACE)


def supersedes(record: Record, known: Known, kind: Kind, now: float) -> bool:
    """Whether ``record`` comes after what is known: as ``engine.replica`` asks ``lineage``."""
    found = content(record)
    if isinstance(found, SecretRecord) and known.entry is not None:  # as ``engine.client_secrets``
        entry = Entry(found, record.version)
        return entry != known.entry and not lineage.supersedes(known.entry, entry)
    alone = known.token is not None and not kind.rotation.rotates
    if isinstance(found, TokenRecord) and not known.stored and alone:
        return record.version > known.version and found.token.expires_at > now
    return lineage.supersedes(Entry(found, record.version), known.entry)


def adopt(record: Record, known: Known) -> Known:
    return known.take(Entry(content(record), record.version))


class Fake:
    """``protocol.Worker`` over what is known. Between two effects no time passes."""

    ttl = TTL
    timeout = TIMEOUT

    def __init__(self, vendor: Kind) -> None:
        self.vendor = vendor
        self.known = Known()
        self.clock = 0.0

    @property
    def token(self) -> Token | None:
        return self.known.token

    @property
    def version(self) -> int:
        return self.known.version

    @property
    def new_until(self) -> float:
        return self.known.new_until

    def now(self) -> float:
        return self.clock

    def crowded(self) -> bool:
        return False

    def store_now(self) -> float:
        return self.clock

    def chance(self) -> float:
        return 0.0

    def verdict(self) -> Verdict:
        token = self.known.token
        return Verdict.WAIT if token is None else windows_of(token).judge(self.clock)

    def unexpired(self) -> bool:
        token = self.known.token
        return token is not None and self.clock < token.expires_at

    def supersedes(self, record: Record) -> bool:
        return supersedes(record, self.known, self.vendor, self.clock)

    @property
    def lineage(self) -> Lineage:
        return self.known.lineage

    def lineage_over(self, record: Record | None) -> Lineage:
        own = self.known.lineage
        return own if record is None or record.version <= self.known.version else own.over(content(record))

    def entropy(self, count: int) -> bytes:
        return bytes(count)

    def lacks(self, record: Record | None) -> bool:
        return self.known.lacks(record)

    def suspects(self) -> bool:
        return self.known.heard_at is not None

    def note(self, found: bytes) -> Note:
        return Note.decode(found)

    def current(self) -> Token:
        if self.known.token is None:
            raise self.reauthorization(self.known.dead or "there is no token")
        return self.known.token

    def reauthorization(self, otherwise: str) -> ReauthorizationRequired:
        return ReauthorizationRequired(self.known.dead or otherwise)

    def observe(self, record: Record, _: StoreTime) -> None:
        if self.supersedes(record):
            self.known = adopt(record, self.known)

    def check_scope(self, token: Token, asked: str) -> None:
        pass

    def report(self, message: str) -> None:
        pass

    def tell(self, kind: str, outcome: str = "", duration: float = 0.0) -> None:
        pass


# -- answers as values: what an error is made of, for errors are not equal and may be written on -------------------------


@attrs.frozen(cache_hash=True)
class Raises:
    """An effect that failed."""

    kind: str
    reason: str = ""

    def error(self) -> Exception:
        match self.kind:
            case "StoreUnavailable":
                return StoreUnavailable("the store is away")
            case "LeaseLost":
                return LeaseLost()
            case "ReauthorizationRequired":
                return ReauthorizationRequired(self.reason)
        raise AssertionError(f"the model has no {self.kind}: worker.Raises")


@attrs.frozen(cache_hash=True)
class Outcome:
    """What came of an exchange that brought no token."""

    kind: str
    salvage: Token | None = None
    raw: Secret | None = None

    def failed(self) -> Failed:
        match self.kind:
            case "refused":
                return Failed(InvalidGrant("invalid_grant", "no good"), in_doubt=False)
            case "not sent":
                return Failed(NotSent("no connection"), in_doubt=False)
            case "no answer":
                return Failed(NoAnswer("no answer"), in_doubt=True)
            case "rate limited":
                return Failed(RateLimited("slow_down", "", status=429), in_doubt=False)
            case "unusable" | "unreadable":
                return Failed(MalformedResponse("no access token", salvage=self.salvage, raw=self.raw), in_doubt=True)
        raise AssertionError(f"the model has no {self.kind}: worker.Outcome")


DONE: Final = Outcome("done")
"""It brought nothing, and was not to."""


@attrs.frozen(cache_hash=True)
class Ended:
    """How a run of steps ended, and after how many seconds a caller may begin another."""

    words: str
    token: Token | None = None
    pause: float = 0.0


def pause(error: LinkAuthError, me: Fake) -> float:
    """As ``engine.credential`` keeps its distance after a failure."""
    match error:
        case InDoubt() if me.token is not None:  # looking every two seconds until then brings nothing new here
            return max(windows_of(me.token).hard - me.clock, timing.DOUBT_AGAIN)
        case ReauthorizationRequired() | StoreUnavailable():
            return timing.FAILED_AGAIN
        case VendorUnavailable(retry_after=float() as seconds):
            return max(seconds, timing.FAILED_AGAIN)
    return timing.RENEW_FIRST
