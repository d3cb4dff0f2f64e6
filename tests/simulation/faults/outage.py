"""Wrong engines: what is kept while the store is away, and what is put back when it has lost data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkauth.engine import engine as engines
from linkauth.engine.outbox import Outbox
from linkauth.engine.read_repair import ReadRepair
from linkauth.engine.runtime import Runtime
from linkauth.engine.token_replica import TokenReplica
from linkauth.protocol import renewal as renewals
from linkauth.protocol import timing
from tests.simulation.faults.planting import harmless, planted
from tests.simulation.faults.schedules import (
    asks_for_what_was_written_first,
    asks_for_what_was_written_last,
    born_while_the_store_is_away,
    dies_after_answer,
    logs_out_while_the_store_comes_back,
    lost_between_two,
    outage_longer_than_a_lease,
    refuses_commits,
    rotating,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@planted(2500, "store down", outage_longer_than_a_lease)
def no_grace_after_an_outage() -> Iterator[tuple[Any, str, Any]]:
    """Who comes first after an outage spends at once, while the holder is about to commit."""
    yield timing, "GRACE", 0.0


@planted(10, "store down", born_while_the_store_is_away)
def sends_for_the_user_when_the_store_comes_back_empty() -> Iterator[tuple[Any, str, Any]]:
    """A worker just born that finds nothing there does not wait for those who hold the session."""
    suspects = Runtime.suspects
    yield Runtime, "suspects", lambda self: self.token is not None and suspects(self)


@planted(300, "store lost", rotating)
def claims_in_suspicion() -> Iterator[tuple[Any, str, Any]]:
    """Who heard that the store may have lost data claims at once, though others are about to put it back."""
    yield Runtime, "suspects", lambda self: False


def one_by_one(*, newest_first: bool, says_so: bool) -> Iterator[tuple[Any, str, Any]]:
    """Putting back takes longer than the others wait without a notice."""

    async def silent(*_: Any) -> None:
        pass

    yield timing, "REPAIR_AT_ONCE", 1
    if not says_so:
        yield ReadRepair, "_say_so", silent
    if not newest_first:
        yield TokenReplica, "written_at", property(lambda self: -self.state.token.issued_at)


@planted(10, "calm", asks_for_what_was_written_first)
def no_notice_of_who_needs_longer() -> Iterator[tuple[Any, str, Any]]:
    """Who is not done in time does not say so."""
    yield from one_by_one(newest_first=True, says_so=False)


@harmless(10, "calm", asks_for_what_was_written_first)
def one_by_one_with_a_notice() -> Iterator[tuple[Any, str, Any]]:
    """It takes long, and the others wait for that."""
    yield from one_by_one(newest_first=True, says_so=True)


@planted(10, "calm", asks_for_what_was_written_last)
def the_oldest_first() -> Iterator[tuple[Any, str, Any]]:
    """What is asked for next is put back last, and too late."""
    yield from one_by_one(newest_first=False, says_so=False)


@harmless(10, "calm", asks_for_what_was_written_last)
def one_by_one_the_newest_first() -> Iterator[tuple[Any, str, Any]]:
    """What is asked for next is there in time."""
    yield from one_by_one(newest_first=True, says_so=False)


@planted(300, "store down", rotating)
def answer_dropped_when_the_store_is_down() -> Iterator[tuple[Any, str, Any]]:
    """An answer that the store does not take is served, and forgotten."""

    async def insist(self: Outbox) -> Any:
        self.kept = None
        return None

    yield Outbox, "insist", insist


def not_settled() -> tuple[Any, str, Any]:
    """A worker spends what it knows to be unsaved."""

    async def settle(self: TokenReplica, **_: Any) -> bool:
        return False

    return TokenReplica, "settle", settle


def lease_not_kept() -> tuple[Any, str, Any]:
    """The lease under which an unsaved answer came is let end."""

    async def extend(self: Outbox, kept: Any) -> bool:
        return False

    return Outbox, "_extend", extend


@planted(20, "store down", refuses_commits)
def spent_while_unsaved() -> Iterator[tuple[Any, str, Any]]:
    """A refresh token is spent that the store has not got yet."""
    yield not_settled()
    yield lease_not_kept()


@harmless(40, "store down", refuses_commits)
def not_settled_before_spending() -> Iterator[tuple[Any, str, Any]]:
    """The lease of the unsaved answer is still there, and nobody gets another."""
    yield not_settled()


@planted(300, None, dies_after_answer)
def escrow_not_looked_into() -> Iterator[tuple[Any, str, Any]]:
    """What an earlier process left in escrow stays there."""

    async def from_escrow(self: Outbox) -> None:
        return None

    async def bring_back(*_: Any) -> None:
        pass

    yield Outbox, "from_escrow", from_escrow
    yield engines, "bring_back", bring_back


@planted(50, "calm", lost_between_two)
def nothing_is_put_back() -> Iterator[tuple[Any, str, Any]]:
    """Who holds something newer than the store keeps it to himself."""

    async def put_back(self: TokenReplica) -> None:
        pass

    yield TokenReplica, "put_back", put_back


@planted(10, "partition", logs_out_while_the_store_comes_back)
def alone_with_what_was_renewed_long_ago() -> Iterator[tuple[Any, str, Any]]:
    """A claim that fails at last is followed by a renewal alone, whatever came meanwhile."""
    alone = renewals._alone
    yield renewals, "_alone", lambda me, known: alone(me, me.version)
