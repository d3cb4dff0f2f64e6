"""Wrong engines: renewal, its note and its lease, serving, the vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from linkauth.engine import engine as engines
from linkauth.engine import token_replica as replicas
from linkauth.engine.credential import Credential
from linkauth.engine.exchange import Exchange
from linkauth.engine.flight import Flight
from linkauth.engine.lease import Lease
from linkauth.engine.runtime import Runtime
from linkauth.engine.token_replica import TokenReplica
from linkauth.errors import InvalidGrant, NoAnswer, RateLimited, VendorUnavailable
from linkauth.protocol import effects
from linkauth.protocol import patience as patiences
from linkauth.protocol import renewal as renewals
from linkauth.protocol import state as states
from linkauth.protocol.effects import Claim, Commit, MarkDead, Read, Release
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.intent import Note
from linkauth.protocol.keys import token_keys
from linkauth.protocol.state import CredentialState
from linkauth.store import Busy, Granted, Reading
from tests.simulation.faults.planting import Instead, give_up, harmless, planted, rewriting, serve
from tests.simulation.faults.schedules import (
    busy_storm,
    closes_while_asking,
    comes_back_in_time,
    dies_with_the_answer,
    finds_a_window_that_ends,
    never_answers,
    on_one_machine,
    rotating,
    stalls_before_sending,
    two_accounts,
    wakes_at_the_leases_end,
)
from tests.simulation.fleet import Process
from tests.simulation.store import StoreNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkauth.protocol.effects import Effect


@harmless(100)
def no_reading_again_under_the_lease() -> Iterator[tuple[Any, str, Any]]:
    """The claim takes the lease whatever has been written since: what comes with it is looked at before anything is sent."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        return slot.claim(owner, ttl, max(newer_than, slot.version), note, now)

    yield StoreNode, "do_claim", do_claim


@planted(500)
def handed_out_before_committed() -> Iterator[tuple[Any, str, Any]]:
    """The token is served, and then stored."""

    def rewrite(self: Runtime, effect: Effect) -> Effect:
        if isinstance(effect, Commit):
            serve(self, effect.token, self._lease.number, self._granted[1])
        return effect

    yield rewriting(rewrite)


@planted(300)
def cancelled_with_a_caller() -> Iterator[tuple[Any, str, Any]]:
    """A caller that is cancelled takes the flight down with it."""

    async def join(self: Flight[Any], timeout: float | None = None) -> Any:
        import asyncio

        await asyncio.wait_for(self.task, timeout)
        return self.result()

    yield Flight, "join", join


@planted(300, "vendor trouble")
def any_4xx_is_the_end() -> Iterator[tuple[Any, str, Any]]:
    """A 429 counts as a refused refresh token."""

    async def once(self: Exchange[Any]) -> Any:
        try:
            return await real(self)
        except RateLimited as error:
            raise InvalidGrant("slow_down", str(error)) from None

    real = Exchange._once
    yield Exchange, "_once", once


@planted(1000)
def deleted_on_invalid_grant() -> Iterator[tuple[Any, str, Any]]:
    """A refused refresh token has its record deleted."""

    async def revoke(self: Runtime, effect: MarkDead) -> Any:
        replica = self._replica
        await replica.context.store_client.do(
            replica.context.store_client.store.delete(replica.key, self._lease.number)
        )
        give_up(replica, effect.reason, self._lease.number)
        raise replica.reauthorization(effect.reason)

    yield Runtime, "_mark_dead", revoke


@planted(200, "calm", comes_back_in_time)
def refusal_believed_without_reading_again() -> Iterator[tuple[Any, str, Any]]:
    """``invalid_grant`` is believed though somebody may have written a newer token meanwhile."""

    def rewrite(self: Runtime, effect: Effect) -> Effect | Instead:
        if isinstance(effect, Read) and self._granted is not None:
            return Instead((Reading(record=None, now=self.store_now()), self._granted[1]))
        return effect

    yield rewriting(rewrite)


@planted(1000)
def the_dead_are_not_written_down() -> Iterator[tuple[Any, str, Any]]:
    """Every worker asks the vendor for itself about a dead refresh token."""

    async def revoke(self: Runtime, effect: MarkDead) -> Any:
        await self._release(Release())
        give_up(self._replica, effect.reason, self._replica.state.version)
        raise self._replica.reauthorization(effect.reason)

    yield Runtime, "_mark_dead", revoke


@planted(100)
def short_lease_without_extension() -> Iterator[tuple[Any, str, Any]]:
    """A lease shorter than an exchange, and nobody extends it."""

    def lease(self: TokenReplica, claim: Granted, time: StoreTime, *_: object) -> Lease:
        return Lease(self.context.store_client, self.key, claim.number, 1e6, time)

    async def claim(self: TokenReplica, *args: Any, **kwargs: Any) -> Any:
        self.ttl = 2.0
        return await real(self, *args, **kwargs)

    real = TokenReplica.claim
    yield TokenReplica, "claim", claim
    yield TokenReplica, "lease", lease


@planted(100, "stall", stalls_before_sending)
def lease_not_looked_at_before_sending() -> Iterator[tuple[Any, str, Any]]:
    """A worker that was stopped for longer than its lease sends all the same."""

    async def held(self: Lease) -> bool:
        return True

    yield Lease, "held", held


@planted(100)
def lease_ignored() -> Iterator[tuple[Any, str, Any]]:
    """Busy is taken for granted."""

    async def claim(self: TokenReplica, *args: Any, **kwargs: Any) -> Any:
        found, time = await real(self, *args, **kwargs)
        if isinstance(found, Busy):
            number = self.state.version + 1
            found = Granted(record=found.record, note=b"", now=found.now, number=number)
        return found, time

    real = TokenReplica.claim
    yield TokenReplica, "claim", claim


@planted(300, None, rotating)
def jitter_forgotten() -> Iterator[tuple[Any, str, Any]]:
    """All workers begin to renew at the same moment."""
    real = states.windows
    yield states, "windows", lambda token, time, ahead, spread: real(token, time, ahead, 0.0)


@planted(20, "crash", dies_with_the_answer)
def no_note() -> Iterator[tuple[Any, str, Any]]:
    """Nothing says that a refresh token may have been spent."""
    yield rewriting(lambda _, effect: attrs.evolve(effect, note=b"") if isinstance(effect, Claim) else effect)


@planted(20, "calm", never_answers)
def note_cleared_without_an_answer() -> Iterator[tuple[Any, str, Any]]:
    """A worker that had no answer gives the lease back as if it had not sent."""

    def rewrite(_: Runtime, effect: Effect) -> Effect:
        if isinstance(effect, Release) and isinstance(effect.note, Note):
            return Release(attrs.evolve(effect.note, doubt="", since=0.0))
        return effect

    yield rewriting(rewrite)


@planted(20, "crash", dies_with_the_answer)
def doubt_not_waited_out() -> Iterator[tuple[Any, str, Any]]:
    """A token in doubt is spent though the access token is still good."""
    yield renewals, "pause", lambda *_: 0.0


@planted(300, "vendor trouble", rotating)
def sent_again_without_an_answer() -> Iterator[tuple[Any, str, Any]]:
    """No answer, no replay window: sent again at once."""

    def wait(self: Exchange[Any], error: Any, tries: int) -> float | None:
        return 0.0 if isinstance(error, NoAnswer) else real(self, error, tries)

    real = Exchange._wait
    yield Exchange, "_wait", wait


@planted(300, "vendor trouble", rotating)
def no_backoff() -> Iterator[tuple[Any, str, Any]]:
    """A vendor that fails is asked again at once."""

    def wait(self: Exchange[Any], error: Any, tries: int) -> float | None:
        return 0.0 if isinstance(error, RateLimited | VendorUnavailable) else real(self, error, tries)

    real = Exchange._wait
    yield Exchange, "_wait", wait


@planted(300, "vendor trouble", rotating)
def distance_kept_by_each_worker_alone() -> Iterator[tuple[Any, str, Any]]:
    """What the fleet agreed on about a failing vendor is not read."""

    def decode(note: bytes) -> Note:
        return attrs.evolve(real(note), retry_at=0.0)

    real = Note.decode
    yield Note, "decode", staticmethod(decode)


@planted(300, None, two_accounts)
def accounts_share_a_key() -> Iterator[tuple[Any, str, Any]]:
    """The key leaves the account out."""
    yield replicas, "token_keys", lambda vendor, account: token_keys(vendor, "one")


@planted(20, "storm", busy_storm)
def a_storm_is_not_compared() -> Iterator[tuple[Any, str, Any]]:
    """Every 401 renews, whatever token failed."""

    async def replacement(self: Credential, failed: Any) -> Any:
        return await self.refresh()

    yield Credential, "replacement", replacement


@planted(50, "calm", closes_while_asking)
def a_flight_waits_for_nobody() -> Iterator[tuple[Any, str, Any]]:
    """Closing cuts off what is in the air."""

    async def aclose(self: Any) -> None:
        for flight in list(self.context.flights._flights):
            if flight._work is not None:
                flight._work.cancel()

    yield engines.Engine, "aclose", aclose


@harmless(100, "comings and goings")
def a_login_under_a_number_that_was_given_before() -> Iterator[tuple[Any, str, Any]]:
    """What has the number of the record that is known as dead is not looked at: what the user does has a number of its own."""
    real = CredentialState.supersedes
    yield CredentialState, "supersedes", lambda self, entry, now: entry.number > self.version and real(self, entry, now)


@harmless(40, "sleep", wakes_at_the_leases_end)
def sending_under_a_lease_that_is_nearly_over() -> Iterator[tuple[Any, str, Any]]:
    """A moment that is left of it is enough: should it end, the holder says so, and whoever has it then waits."""

    def is_short(self: Lease) -> bool:
        clock = self._store_client.clock
        return self._deadline - clock.monotonic() <= 0 or self._epoch != clock.epoch

    yield Lease, "_is_short", is_short


@planted(600, "store down", finds_a_window_that_ends)
def replaying_to_the_windows_very_end() -> Iterator[tuple[Any, str, Any]]:
    """The vendor is given no time to act on what is sent again."""
    yield patiences, "replayable", lambda window, limit: window


@planted(50, "vendor trouble", rotating)
def slow_answers_are_not_waited_for() -> Iterator[tuple[Any, str, Any]]:
    """An answer that is the session is waited for no longer than a caller waits."""
    yield rewriting(
        lambda _, effect: attrs.evolve(effect, answer=0.0) if isinstance(effect, effects.Exchange) else effect
    )


@planted(100, "stall", on_one_machine)
def who_is_stopped_counts_as_dead() -> Iterator[Any]:
    """A process that is stopped has its lease taken away, and goes on with a request in the air."""

    def is_alive(self: Process, name: str) -> bool | None:
        node = self.machine.nodes.get(name)
        return None if node is None else node.alive and not node.frozen

    yield Process, "is_alive", is_alive
