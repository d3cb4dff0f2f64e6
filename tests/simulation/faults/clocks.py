"""Wrong engines: the clocks of the store and of the hosts, and what ends too soon or too late by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from linkauth.engine.clock import Clock
from linkauth.engine.lease import Lease
from linkauth.engine.store_client import StoreClient
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


@planted(300, "clocks")
def the_hosts_clock_instead_of_the_stores() -> Iterator[tuple[Any, str, Any]]:
    """Expiry is read by this host's wall clock."""

    async def ask(self: StoreClient, call: Any) -> Any:
        answer, time = await real(self, call)
        return answer, attrs.evolve(time, now=self.clock.wall())

    real = StoreClient.ask
    yield StoreClient, "ask", ask


@planted(1000, "sleep")
def sleep_not_noticed() -> Iterator[tuple[Any, str, Any]]:
    """Only the monotonic clock is looked at, and it stands still while the machine sleeps."""
    yield Clock, "ahead", lambda self: 0.0


@planted(2500, "sleep")
def a_short_sleep_goes_unnoticed() -> Iterator[tuple[Any, str, Any]]:
    """Half a minute may pass unnoticed, however short the token's margin."""
    yield timing, "LEAST_JUMP", 60.0


@planted(300)
def served_past_its_expiry() -> Iterator[tuple[Any, str, Any]]:
    """A token is served for a minute after its end."""

    def windows(*args: Any) -> Windows:
        placed = real(*args)
        return attrs.evolve(placed, soft=placed.soft + 60, hard=placed.hard + 60, end=placed.end + 60)

    real = states.windows
    yield states, "windows", windows
