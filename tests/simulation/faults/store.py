"""Wrong stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from linkauth.store import Committed, Newer
from linkauth_stores.slot import Lease
from tests.simulation.faults.planting import harmless, planted
from tests.simulation.faults.schedules import (
    asks_right_after_a_failover,
    dies_when_the_clock_is_ahead,
    dies_with_the_answer,
    fails_while_somebody_stalls,
    rotating,
    stalls_with_the_answer,
)
from tests.simulation.fleet import Process
from tests.simulation.store import StoreNode

if TYPE_CHECKING:
    from collections.abc import Iterator


@planted(300, "stall", stalls_with_the_answer)
def no_fence() -> Iterator[tuple[Any, str, Any]]:
    """A commit is written whatever stands there."""

    def do_commit(self: StoreNode, slot: Any, now: float, number: int, value: bytes, ttl: Any) -> Any:
        return slot._written(number, value, None), Committed(now=now)

    yield StoreNode, "do_commit", do_commit


@planted(300, "stall", stalls_with_the_answer)
def numbers_given_twice() -> Iterator[tuple[Any, str, Any]]:
    """A lease is numbered above the record, and not above the leases before it."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        return slot.__class__.claim(attrs.evolve(slot, last=slot.version), owner, ttl, newer_than, note, now)

    yield StoreNode, "do_claim", do_claim


@planted(300, "stall", fails_while_somebody_stalls)
def blind_release() -> Iterator[tuple[Any, str, Any]]:
    """A lease is given back by whoever says so."""

    def do_release(self: StoreNode, slot: Any, now: float, number: int, note: bytes) -> Any:
        return attrs.evolve(slot, lease=None, note=note), True

    yield StoreNode, "do_release", do_release


@harmless(50, "calm", asks_right_after_a_failover)
def another_version_counts_as_newer() -> Iterator[tuple[Any, str, Any]]:
    """Whoever knows a newer record than the store has is handed the older one: it is passed by, wherever it is seen."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        record = slot.record(now)
        if record is not None and record.version != newer_than:
            return slot, Newer(record=record, note=slot.note, now=now)
        return slot.claim(owner, ttl, newer_than, note, now)

    yield StoreNode, "do_claim", do_claim


@planted(300, "crash")
def leases_without_end() -> Iterator[tuple[Any, str, Any]]:
    """The lease of a dead worker is kept for ever."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        return slot.claim(owner, 1e9, newer_than, note, now)

    def do_extend(self: StoreNode, slot: Any, now: float, number: int, ttl: float) -> Any:
        return slot.extend(number, 1e9, now)

    yield StoreNode, "do_claim", do_claim
    yield StoreNode, "do_extend", do_extend
    yield Process, "is_alive", lambda self, name: None  # else whoever waits for a dead process ends its lease


@planted(20, "crash", dies_with_the_answer)
def the_store_forgets_notes() -> Iterator[tuple[Any, str, Any]]:
    """The note of a claim is not kept."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        return slot.claim(owner, ttl, newer_than, b"", now)

    yield StoreNode, "do_claim", do_claim


@planted(300, "store down", rotating)
def a_store_that_pretends() -> Iterator[tuple[Any, str, Any]]:
    """A commit is acknowledged, and not written: a write that no disk has seen."""

    def do_commit(self: StoreNode, slot: Any, now: float, number: int, value: bytes, ttl: Any) -> Any:
        return slot, Committed(now=now)

    yield StoreNode, "do_commit", do_commit


@planted(20, "clocks", dies_when_the_clock_is_ahead)
def a_lease_lasts_until_its_end_whatever_the_clock_did() -> Iterator[tuple[Any, str, Any]]:
    """A lease that was taken from a clock ten minutes ahead is waited for, for ten minutes."""
    yield Lease, "within_its_span", lambda self, now: self
    yield Process, "is_alive", lambda self, name: None
