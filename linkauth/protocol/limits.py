"""What a vendor said of the client, and how much of its stated limit is used: facts that go for every account of a client.

One record for each registration, which every worker reads and writes by comparing and swapping (``LimitRecord``):

- ``rate`` and ``secrets``: the vendor refused the *client*: with a 429 that more than one account met, or for its secret.
  Nobody asks before the time that it says; after it one goes first, in the whole fleet, and a success ends it. What was
  said of a secret holds back those who would send the same one, nobody else.
- ``slots``, ``counts``: how many requests were begun lately, where the vendor states a limit. They are counted before they are sent, in
  slots of time, and a slot counts until everything in it is certainly out of the vendor's window.

Times are Unix seconds by the store's clock.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from linkauth.errors import RateLimited
from linkauth.oauth.token import Secret
from linkauth.protocol import timing
from linkauth.protocol.intent import Note  # cattrs reads the fields' types at run time

if TYPE_CHECKING:
    from linkauth.errors import OAuthError
    from linkauth.vendors.vendor import Vendor

__all__ = ["LimitRecord", "Rate", "free_in", "given_back", "held_for", "reserve", "secret_digest", "used"]

Rate: TypeAlias = tuple[int, float]
"""So many requests in so many seconds."""
SECRETS: Final = 4
"""Refused secrets that are remembered: the constructor's and the store's, of a fleet that is half-way to another configuration."""


def secret_digest(vendor: Vendor) -> str:
    """A digest of a client's secret: enough to recognise it, useless to anybody who finds it. Empty: there is none."""
    secret = getattr(vendor, "client_secret", None)
    if not isinstance(secret, Secret):
        return ""
    return sha256(b"linkauth client secret\0" + secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()[:32]


@attrs.frozen(kw_only=True)
class LimitRecord:
    """What goes for every account of one registration."""

    vendor: str
    by: str = ""
    """Chance, so that no two workers write the same bytes: a store takes equal ones for a repeat."""
    rate: Note = attrs.field(factory=Note)
    secrets: dict[str, Note] = attrs.field(factory=dict)
    """What was said of client secrets that were refused, by their digests; the latest come last."""
    slots: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    """How many requests were begun in each of ``slots``."""

    def refused(self, error: OAuthError, secret: str, sent_at: float, now: float) -> LimitRecord:
        """After a refusal of a request that was sent at ``sent_at`` with a ``secret`` of that digest.

        All refusals of one wave are one: what was sent before the last one's time was over raises nothing.
        """
        if isinstance(error, RateLimited):
            return attrs.evolve(self, rate=_held(self.rate, error, sent_at, now, timing.RATE_HOLD))
        known = _held(self.secrets.get(secret, Note()), error, sent_at, now, timing.CLIENT_HOLD)
        others = [item for item in self.secrets.items() if item[0] != secret]
        return attrs.evolve(self, secrets=dict([*others, (secret, known)][-SECRETS:]))

    def answered(self, secret: str, sent_at: float) -> LimitRecord:
        """After an answer that refuses nobody, to a request that was sent at ``sent_at``: it ends what was said before."""
        rate = Note() if self.rate.failures and sent_at >= self.rate.retry_at else self.rate
        over = secret in self.secrets and sent_at >= self.secrets[secret].retry_at
        secrets = {known: note for known, note in self.secrets.items() if not (over and known == secret)}
        return attrs.evolve(self, rate=rate, secrets=secrets)

    def hold(self, secret: str) -> Note | None:
        """What holds back, or held back last, whoever would send ``secret``; None: nothing."""
        found = [note for note in (self.rate, self.secrets.get(secret, Note())) if note.failures]
        return max((note.plain() for note in found), key=lambda note: note.retry_at, default=None)


def held_for(note: Note, now: float) -> float:
    """Seconds for which nobody asks; never longer than anybody writes, should the store's clock have been set back."""
    return min(max(note.retry_at - now, 0.0), timing.LONGEST_ORDER)


def _held(known: Note, error: OAuthError, sent_at: float, now: float, spans: tuple[float, float]) -> Note:
    ordered = min(getattr(error, "retry_after", None) or 0.0, timing.LONGEST_ORDER)
    if known.failures and sent_at < known.retry_at:
        return attrs.evolve(known, retry_at=max(known.retry_at, now + ordered)) if ordered else known
    gap = min(spans[0] * 2.0 ** min(known.failures, 30), spans[1])
    return known.failing(error, now + max(gap, ordered))


# -- a limit that the vendor states ---------------------------------------------------------------------------------------


def _lately(record: LimitRecord, rate: Rate, now: float) -> dict[int, int]:
    """What still counts at ``now``. What is dated ahead was written by a clock that was set back since: it counts as now."""
    slot = _slot(rate, now)
    counts: dict[int, int] = {}
    for at, count in zip(record.slots, record.counts, strict=False):
        if at > slot - _kept():
            counts[min(at, slot)] = counts.get(min(at, slot), 0) + max(count, 0)
    return counts


def used(record: LimitRecord, rate: Rate, now: float) -> int:
    """How many requests count at ``now``."""
    return sum(_lately(record, rate, now).values())


def reserve(record: LimitRecord, rate: Rate, now: float, wanted: int, owed: int = 0) -> tuple[LimitRecord, int]:
    """The record after ``owed`` requests that were begun already and some of the ``wanted``; and how many those are.

    Not all that is left: those who come a moment later find something, too.
    """
    counts = _lately(record, rate, now)
    left = max(rate[0] - sum(counts.values()) - owed, 0)
    granted = min(wanted, max(left // timing.SHARE_OF_RATE, 1), left)
    if owed + granted:
        slot = _slot(rate, now)
        counts[slot] = counts.get(slot, 0) + owed + granted
    return _counting(record, counts), granted


def given_back(record: LimitRecord, rate: Rate, now: float) -> LimitRecord:
    """The record after one of the requests that were counted last was not begun after all."""
    counts = _lately(record, rate, now)
    last = max(counts, default=0)
    return _counting(record, {slot: count - (slot == last) for slot, count in counts.items() if count > (slot == last)})


def free_in(record: LimitRecord, rate: Rate, now: float) -> float:
    """Seconds until another request may begin."""
    counts = _lately(record, rate, now)
    if sum(counts.values()) < rate[0]:
        return 0.0
    return max((min(counts) + _kept()) * rate[1] / timing.RATE_SLOTS - now, 0.0)


def _counting(record: LimitRecord, counts: dict[int, int]) -> LimitRecord:
    slots = tuple(sorted(counts))
    return attrs.evolve(record, slots=slots, counts=tuple(counts[slot] for slot in slots))


def _slot(rate: Rate, now: float) -> int:
    return int(now * timing.RATE_SLOTS / rate[1])


def _kept() -> int:
    """Slots that count: the window's, this one, and those in which what was counted may still be sent."""
    return timing.RATE_SLOTS + 1 + timing.RESERVED_SLOTS
