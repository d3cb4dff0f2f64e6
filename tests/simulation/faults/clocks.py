"""Wrong engines: the store's clock that jumps, and leases that end too soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkauth.engine.lease import Lease
from linkauth.protocol import state as states
from linkauth.protocol import timing
from linkauth.protocol.freshness import StoreTime, Windows
from tests.simulation.faults.planting import planted
from tests.simulation.faults.schedules import (
    rotating,
    the_stores_clock_is_set_back,
    the_stores_clock_jumps_while_asking,
)
from tests.simulation.store import StoreNode

if TYPE_CHECKING:
    from collections.abc import Iterator


@planted(50, "clocks", the_stores_clock_is_set_back)
def good_for_as_long_as_the_stores_clock_says() -> Iterator[tuple[Any, str, Any]]:
    """What a clock that was set back makes of a token of three seconds is believed: an hour."""
    real = states.windows

    def windows(token: Any, time: StoreTime, ahead: Any, spread: float, first_seen: Any = None) -> Windows:
        placed = real(token, time, ahead, spread, first_seen)
        longer = time.monotonic(token.expires_at) - placed.end
        return Windows(soft=placed.soft + longer, hard=placed.hard + longer, end=placed.end + longer)

    yield states, "windows", windows


@planted(50, "clocks", the_stores_clock_jumps_while_asking)
def nobody_says_that_he_is_asking() -> Iterator[tuple[Any, str, Any]]:
    """Whose lease the store has ended, while the vendor is at work for it, leaves the field to whoever comes."""

    async def silent(self: Lease) -> None:
        self._over = True

    yield Lease, "_reassert", silent


@planted(100, "stall", rotating)
def leases_as_cheap_as_where_nothing_rotates() -> Iterator[tuple[Any, str, Any]]:
    """A lease on what is good for one use ends in a moment, whoever holds it."""
    real = StoreNode.do_claim

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        return real(self, slot, now, owner, min(ttl, timing.LEASE_CHEAP), newer_than, note)

    def do_extend(self: StoreNode, slot: Any, now: float, number: int, ttl: float) -> Any:
        return slot.extend(number, min(ttl, timing.LEASE_CHEAP), now)

    yield StoreNode, "do_claim", do_claim
    yield StoreNode, "do_extend", do_extend
