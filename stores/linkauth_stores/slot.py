"""The rules of ``linkauth.store.TokenStore`` as a value, for every store that can read, change and write in one step.

A ``Slot`` is all that a key holds. Each method takes the store's clock (Unix seconds) and gives the answer together with
the slot that must stand afterwards: the same object where nothing changed, so that a store need not write it. Nothing
here waits, locks or looks at a clock. ``dump`` and ``load`` make bytes of it and back.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from math import isfinite
from typing import Any, TypeVar, cast

import attrs

from linkauth.errors import CorruptRecord
from linkauth.store import Busy, Claim, Commit, Committed, Granted, Newer, Reading, Record, Superseded

__all__ = ["Lease", "Slot"]

FORMAT = 1
FORGOTTEN_AFTER = 3600.0
"""Seconds for which the numbers of a record outlive its ``ttl``: longer than any lease, so that they still fence."""
LONGEST_LEASE = 600.0
"""Seconds that a lease may have left whose own span is not known: an earlier linkauth took it."""

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Lease:
    """Who works on a key. It stays here after its end, which is how the next claimant knows that it inherits."""

    number: int
    owner: str
    until: float
    """The end, by the store's clock (Unix seconds)."""
    found: bytes = attrs.field(default=b"", repr=False)
    """The note that stood before this claim: what a repeated claim is told again."""
    inherited: bool = False
    process: str = ""
    """What the store knows its process by, if it can tell a dead one."""
    span: float = LONGEST_LEASE
    """Seconds for which it was claimed or extended last: it never has more than that left, whatever the clock did."""

    def lasting(self, seconds: float, now: float) -> Lease:
        """Until ``seconds`` from now."""
        return attrs.evolve(self, until=now + seconds, span=seconds)

    def within_its_span(self, now: float) -> Lease:
        """The same, unless the store's clock was set back since: then its end comes nearer, or nobody could have it for so long."""
        return self.lasting(self.span, now) if self.until > now + self.span else self


@attrs.frozen(kw_only=True)
class Slot:
    """What a key holds."""

    last: int = 0
    """The highest number ever given or written."""
    version: int = 0
    """The number under which the record was last written, deleted or taken: nothing at or below it is written again."""
    value: bytes | None = attrs.field(default=None, repr=False)
    expires: float | None = None
    note: bytes = attrs.field(default=b"", repr=False)
    lease: Lease | None = None

    def record(self, now: float) -> Record | None:
        if self.value is None or (self.expires is not None and self.expires <= now):
            return None
        return Record(self.version, self.value)

    def held(self, now: float) -> bool:
        return self.lease is not None and self.lease.until > now

    def quiet(self, newer_than: int, now: float) -> bool:
        """Whether somebody holds the lease, and nothing newer is there: what ``wait_for_change`` waits out."""
        return self.held(now) and (self.version <= newer_than or self.record(now) is None)

    def forgettable(self, now: float) -> bool:
        return self.expires is not None and self.expires + FORGOTTEN_AFTER <= now and not self.held(now)

    def read(self, now: float) -> Reading:
        return Reading(record=self.record(now), note=self.note, now=now)

    def claim(
        self, owner: str, ttl: float, newer_than: int, note: bytes, now: float, process: str = ""
    ) -> tuple[Slot, Claim]:
        record, lease = self.record(now), self.lease
        if record is not None and record.version > newer_than:
            return self, Newer(record=record, note=self.note, now=now)
        lease = None if lease is None else lease.within_its_span(now)
        if lease is not None and lease.owner == owner:  # a repeat
            lease = lease if lease.until > now + ttl else lease.lasting(ttl, now)
            return attrs.evolve(self, lease=lease, note=note), self._granted(lease, now)
        if lease is not None and lease.until > now:
            stands = self if lease is self.lease else attrs.evolve(self, lease=lease)
            return stands, self._busy(lease, now)
        number = max(self.last, newer_than) + 1
        lease = Lease(
            number=number,
            owner=owner,
            until=now + ttl,
            span=ttl,
            found=self.note,
            inherited=lease is not None,
            process=process,
        )
        return attrs.evolve(self, last=number, lease=lease, note=note), self._granted(lease, now)

    def _granted(self, lease: Lease, now: float) -> Granted:
        return Granted(
            record=self.record(now), note=lease.found, now=now, number=lease.number, inherited=lease.inherited
        )

    def _busy(self, lease: Lease, now: float) -> Busy:
        left = lease.until - now
        return Busy(
            record=self.record(now), note=self.note, now=now, holder=lease.owner, remaining=left, number=lease.number
        )

    def commit(self, number: int, value: bytes, ttl: float | None, now: float) -> tuple[Slot, Commit]:
        record = self.record(now)
        if record == Record(number, value):  # a repeat
            return self, Committed(now=now)
        if number <= self.version:
            return self, Superseded(record=record, now=now)
        expires = None if ttl is None else now + ttl
        return self._written(number, value, expires), Committed(now=now)

    def delete(self, number: int, now: float) -> tuple[Slot, bool]:
        if number <= self.version:
            return self, self.record(now) is None
        return self._written(number, None, self.expires), True

    def _written(self, number: int, value: bytes | None, expires: float | None) -> Slot:
        written = attrs.evolve(self, last=max(self.last, number), version=number, value=value, expires=expires)
        if self.lease is not None and self.lease.number != number:
            return written
        return attrs.evolve(written, lease=None, note=b"")

    def extend(self, number: int, ttl: float, now: float) -> tuple[Slot, bool]:
        lease = self.lease
        if lease is None or lease.number != number or lease.until <= now:
            return self, False
        return attrs.evolve(self, lease=lease.lasting(ttl, now)), True

    def release(self, number: int, note: bytes, now: float) -> tuple[Slot, bool]:
        lease = self.lease
        if lease is None or lease.number != number or lease.until <= now:
            return self, False
        return attrs.evolve(self, lease=None, note=note), True

    def take(self, now: float) -> tuple[Slot, Reading]:
        found = self.read(now)
        return (self if found.record is None else attrs.evolve(self, value=None)), found

    def lapse(self) -> Slot:
        """Its holder is dead: the lease has ended, and the next claim inherits it."""
        return self if self.lease is None else attrs.evolve(self, lease=attrs.evolve(self.lease, until=0.0))

    def unclaim(self, number: int) -> Slot:
        """As if ``number`` had not been claimed, but for the number itself: for a claim that nobody waits for."""
        lease = self.lease
        if lease is None or lease.number != number:
            return self
        before = self if lease.inherited else attrs.evolve(self, lease=None)
        return attrs.evolve(before.lapse(), note=lease.found)

    def dump(self, key: str) -> bytes:
        """A line of JSON that tells everything but the value, and a line with the value in base64."""
        lease = self.lease
        head = {
            "format": FORMAT,
            "key": key,
            "last": self.last,
            "version": self.version,
            "size": None if self.value is None else len(self.value),
            "expires": self.expires,
            "note": _text(self.note),
            "lease": None if lease is None else {**attrs.asdict(lease), "found": _text(lease.found)},
        }
        return b"%b\n%b\n" % (json.dumps(head).encode(), b64encode(self.value or b""))

    @classmethod
    def load(cls, raw: bytes, key: str, where: str) -> Slot:
        """What ``dump`` wrote. Raises ``CorruptRecord``, which names ``where`` and shows nothing of ``raw``."""
        return cls._load(raw, key, where, whole=True)

    @classmethod
    def load_head(cls, raw: bytes, key: str | None, where: str) -> tuple[str, Slot]:
        """The key and the slot that the first line tells, with an empty value for whatever it holds. Raises as ``load``."""
        slot = cls._load(raw, key, where, whole=False)
        return str(json.loads(raw.partition(b"\n")[0])["key"]), slot

    @classmethod
    def _load(cls, raw: bytes, key: str | None, where: str, *, whole: bool) -> Slot:
        first, _, rest = raw.partition(b"\n")
        try:
            head = cast("dict[str, Any]", _typed(json.loads(first), dict))
            written_as = _typed(head["format"], int)
            slot = _slot(head, rest if whole else None) if written_as == FORMAT else None
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise CorruptRecord(f"{where} cannot be read: it is broken, or not a record") from None
        if slot is None:
            raise CorruptRecord(f"{where} has format {written_as}, this linkauth reads {FORMAT}: update linkauth")
        if key is not None and head["key"] != key:
            raise CorruptRecord(f"{where} holds the record of another key")
        return slot


def _slot(head: dict[str, Any], rest: bytes | None) -> Slot:
    """Raises ``ValueError``, ``TypeError``, ``KeyError`` or ``OverflowError`` for anything that ``dump`` does not write."""
    _typed(head["key"], str)
    size = head["size"]
    value = None
    if size is not None:
        value = b"" if rest is None else b64decode(rest.rstrip(b"\n"), validate=True)
        if rest is not None and len(value) != _typed(size, int):
            raise ValueError
    lease = None if head["lease"] is None else cast("dict[str, Any]", _typed(head["lease"], dict))
    return Slot(
        last=_typed(head["last"], int),
        version=_typed(head["version"], int),
        value=value,
        expires=None if head["expires"] is None else _seconds(head["expires"]),
        note=_bytes(head["note"]),
        lease=None if lease is None else _lease(lease),
    )


def _lease(found: dict[str, Any]) -> Lease:
    return Lease(
        number=_typed(found["number"], int),
        owner=_typed(found["owner"], str),
        until=_seconds(found["until"]),
        found=_bytes(found["found"]),
        inherited=_typed(found["inherited"], bool),
        process=_typed(found["process"], str),
        span=_seconds(found.get("span", LONGEST_LEASE)),
    )


def _typed(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def _seconds(value: Any) -> float:
    if type(value) not in {int, float} or not isfinite(value):
        raise TypeError
    return float(value)


def _bytes(value: Any) -> bytes:
    return b64decode(_typed(value, str), validate=True)


def _text(value: bytes) -> str:
    return b64encode(value).decode()
