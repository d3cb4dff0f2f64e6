"""Planted faults: wrong engines and stores, each of a few lines. A simulation that lets one through proves nothing.

Each says what is wrong, which schedules are tried, and within how many of them it must be caught.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs

from linkauth.engine import engine as engines
from linkauth.engine import holding as holdings
from linkauth.engine import keep_alive as keeping
from linkauth.engine import leading as leadings
from linkauth.engine import ledger as ledgers
from linkauth.engine import rotation as rotations
from linkauth.engine import takeover as takeovers
from linkauth.engine.credential import Credential
from linkauth.engine.exchange import Exchange
from linkauth.engine.flight import Flight
from linkauth.engine.holding import Holding
from linkauth.engine.keeper import Keeper
from linkauth.engine.leading import Leading
from linkauth.engine.lease import Lease
from linkauth.engine.ledger import Ledger
from linkauth.engine.note import Note
from linkauth.engine.records import token_key
from linkauth.engine.registrations import Registrations
from linkauth.engine.renewal import Renewal
from linkauth.engine.shelf import Shelf
from linkauth.engine.windows import Windows
from linkauth.engine.world import StoreTime
from linkauth.errors import InvalidGrant, NoAnswer, RateLimited, VendorUnavailable
from linkauth.store import Busy, Committed, Granted, Newer
from tests.simulation.campaign import quiet
from tests.simulation.plan import Ask, Fault, Plan, make
from tests.simulation.store import StoreNode
from tests.simulation.world import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FAULTS", "Planted", "hunt"]


@attrs.frozen
class Planted:
    """``plant`` yields what to replace: ``(owner, name, replacement)``."""

    name: str
    what: str
    plant: Callable[[], Iterator[tuple[Any, str, Any]]]
    within: int
    """Schedules; about ten times as many as it took when this was written."""
    scenario: str | None = None
    bias: Callable[[Plan], None] | None = None
    """Makes of a plan one in which the fault can show."""


FAULTS: list[Planted] = []


def planted(within: int, scenario: str | None = None, bias: Callable[[Plan], None] | None = None) -> Any:
    """Add a fault: the function's name is its name, its docstring says what is wrong."""

    def add(plant: Callable[[], Iterator[tuple[Any, str, Any]]]) -> Any:
        what = (plant.__doc__ or "").strip()
        FAULTS.append(Planted(plant.__name__.replace("_", " "), what, plant, within, scenario, bias))
        return plant

    return add


@contextmanager
def grown(fault: Planted) -> Iterator[None]:
    """While this lasts, the fault is there."""
    with ExitStack() as stack:
        for owner, name, replacement in fault.plant():
            stack.enter_context(patch.object(owner, name, replacement))
        yield


def hunt(fault: Planted, first: int = 0) -> tuple[int, Outcome | None]:
    """After how many schedules it was caught, and by which; None: it was not."""
    with quiet(), grown(fault):
        for tried in range(1, fault.within + 1):
            plan = make(first + tried - 1, fault.scenario)
            if fault.bias is not None:
                fault.bias(plan)
            outcome = run(plan)
            if outcome.problem:
                return tried, outcome
    return fault.within, None


# -- schedules in which a fault can show -------------------------------------------------------------------------------


def rotating(plan: Plan) -> None:
    plan.user = plan.rotates = plan.revokes = True
    plan.window = 0.0
    plan.workers = max(plan.workers, 2)
    plan.accounts = ("default",)
    plan.asks = [attrs.evolve(ask, account="default") for ask in plan.asks]


def lenient(plan: Plan) -> None:
    rotating(plan)
    plan.revokes = False


def two_accounts(plan: Plan) -> None:
    rotating(plan)
    plan.accounts = ("one", "two")
    plan.asks = [attrs.evolve(ask, account=plan.accounts[i % 2]) for i, ask in enumerate(plan.asks)]


def dies_after_answer(plan: Plan) -> None:
    """The worker that has the answer dies before the store has it, and comes back soon."""
    rotating(plan)
    plan.escrow = True
    plan.faults = [Fault(do="cut store", after="answered", seconds=4.0), Fault(do="crash", after="commit", seconds=0.5)]


def stalls_before_sending(plan: Plan) -> None:
    rotating(plan)
    plan.faults = [Fault(do="503", after="claim", seconds=1.0), Fault(do="sleep", after="failed", seconds=17.0)]
    plan.calm += 30.0


def long_lived(plan: Plan) -> None:
    """Between ``soft`` and ``hard`` there is more time than a lease lasts, and somebody always asks."""
    rotating(plan)
    plan.lifetime, plan.lives, plan.calm = 400.0, 1, 405.0
    plan.asks = [
        Ask(at=400 * (0.8 + 0.01 * step + 0.001 * host), host=host)
        for step in range(15)
        for host in range(plan.workers)
    ]


def dies_with_the_answer(plan: Plan) -> None:
    long_lived(plan)
    plan.faults = [Fault(do="crash", after="acted", seconds=1e6)]


def never_answers(plan: Plan) -> None:
    long_lived(plan)
    plan.faults = [Fault(do="cut vendor", after="acted", seconds=1.0)]


def refuses_commits(plan: Plan) -> None:
    rotating(plan)
    plan.workers, plan.loss = 1, 0.0
    plan.faults = [Fault(do="commits refused", after="acted", seconds=25.0)]
    plan.asks = [
        Ask(at=plan.lifetime * 0.85 + 2.0 * step, host=0, how="refresh" if step else "token") for step in range(15)
    ]
    plan.calm += 30.0


def busy_storm(plan: Plan) -> None:
    rotating(plan)
    plan.slow = 0.05
    plan.asks += [Ask(at=plan.faults[0].at + 0.05 * step - 0.3, host=0, how="use") for step in range(12)]


def closes_while_asking(plan: Plan) -> None:
    rotating(plan)
    plan.faults = [Fault(do="close", after="sending", seconds=1.0)]


def lost_between_two(plan: Plan) -> None:
    """One has renewed, the other has not heard of it, and the store loses everything."""
    rotating(plan)
    plan.announces = True
    plan.workers, plan.lifetime, plan.calm = 2, 60.0, 63.0
    plan.asks = [Ask(at=at, host=host) for at, host in ((40, 0), (41, 1), (53, 0), (59, 0), (61, 1))]
    plan.faults = [Fault(do="store restarted empty", at=58.0)]


def stalls_with_the_answer(plan: Plan) -> None:
    """… for longer than its lease, and the vendor takes the spent token once more."""
    rotating(plan)
    plan.window = 1000.0
    plan.faults = [Fault(do="stall", after="answered", steps=plan.seed % 3, seconds=25.0)]
    plan.asks += [Ask(at=plan.lifetime + step, host=host) for step in (8, 16, 24) for host in range(plan.workers)]
    plan.calm += 30.0


def fails_while_somebody_stalls(plan: Plan) -> None:
    """It has no answer, and gives back a lease that is another's by now."""
    rotating(plan)
    plan.faults = [
        Fault(do="cut vendor", after="sending", seconds=1.0),
        Fault(do="stall", after="sending", seconds=16.0),
    ]
    plan.asks += [Ask(at=plan.lifetime + step, host=host) for step in range(12, 18) for host in range(plan.workers)]
    plan.calm += 30.0


def comes_back_in_time(plan: Plan) -> None:
    """Cut off with the answer, it reaches the store again while another asks with the spent token."""
    lenient(plan)
    plan.slow, plan.lifetime, plan.calm = 4.0, 20.0, 60.0
    plan.faults = [Fault(do="cut store", after="answered", seconds=17.0 + plan.seed % 7)]
    plan.asks = [Ask(at=17.0 + step, host=host) for step in range(30) for host in range(plan.workers)]


def stalls_at_the_logout(plan: Plan) -> None:
    """… for longer than its lease, and somebody renews meanwhile."""
    rotating(plan)
    plan.lifetime, plan.lives, plan.calm = 60.0, 1, 45.0
    plan.faults = [
        Fault(do="cut vendor", at=4.0, host=0, seconds=10.0),
        Fault(do="sleep", after="sending", seconds=25.0),
    ]
    plan.asks = [Ask(at=5.0, host=0, how="logout"), Ask(at=12.0, host=1), Ask(at=25.0, host=1, how="refresh")]


def asks_right_after_a_failover(plan: Plan) -> None:
    """… to a replica that was behind, before anybody has put back what was lost."""
    rotating(plan)
    plan.announces = True
    plan.workers, plan.lifetime, plan.calm = 2, 60.0, 75.0
    plan.asks = [Ask(at=at, host=host) for at, host in ((20, 0), (21, 1), (54, 0))]
    plan.asks += [Ask(at=58.01 + 0.1 * step, host=0, how="refresh") for step in range(10)]
    plan.faults = [Fault(do="store fails over", at=58.0, seconds=30.0)]


def outage_longer_than_a_lease(plan: Plan) -> None:
    rotating(plan)
    plan.lifetime = 20.0
    plan.faults = [Fault(do="store down", after="acted", seconds=30.0)]
    plan.asks = [attrs.evolve(ask, patience=None) for ask in plan.asks]
    plan.calm += 40.0


# -- the engine --------------------------------------------------------------------------------------------------------


def wakes_at_the_leases_end(plan: Plan) -> None:
    """The machine sleeps while the lease is granted, and wakes a moment before it ends."""
    rotating(plan)
    plan.lives, plan.slow, plan.workers = 1, 4.0, 2
    plan.faults = [Fault(do="sleep", after="claim", seconds=14.9)]
    plan.calm = 1.2 * plan.lifetime + 30.0
    plan.asks += [Ask(at=plan.lifetime + step, host=host) for step in range(0, 24, 2) for host in range(2)]


def finds_a_window_that_ends(plan: Plan) -> None:
    """Whoever renews is cut off from the store for nearly as long as the vendor's window."""
    rotating(plan)
    plan.window, plan.slow, plan.workers, plan.lives, plan.announces = 30.0, 4.0, 2, 1, False
    plan.faults = [Fault(do="store down", after="answered", seconds=27.0)]
    begun = 0.99 * plan.lifetime
    plan.calm = begun + 60.0
    plan.asks = [Ask(at=1.0, host=0), Ask(at=1.0, host=1), Ask(at=begun, host=0)]
    plan.asks += [Ask(at=begun + 27.5 + 0.1 * step, host=1) for step in range(50)]


def logs_out_while_the_store_comes_back(plan: Plan) -> None:
    """A claim fails for good while another call reaches the store, and finds what another worker has renewed."""
    plan.user, plan.rotates, plan.loss = True, False, 0.0
    plan.workers, plan.accounts, plan.lives = 2, ("default",), 1
    plan.asks = [Ask(at=1.0, host=0), Ask(at=1.0, host=1), Ask(at=plan.lifetime * 0.99, host=1)]
    plan.asks += [Ask(at=plan.lifetime - 0.5, host=0), Ask(at=plan.lifetime + 1.0, host=0, how="login")]
    plan.faults = [Fault(do="cut store", at=plan.lifetime - 0.6, host=0, seconds=2.2)]


@planted(100)
def no_reading_again_under_the_lease() -> Iterator[tuple[Any, str, Any]]:
    """The claim takes the lease whatever has been written since."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        return slot.claim(owner, ttl, max(newer_than, slot.version), note, now)

    yield StoreNode, "do_claim", do_claim


@planted(500)
def handed_out_before_committed() -> Iterator[tuple[Any, str, Any]]:
    """The token is served, and then stored."""

    async def store(self: Ledger, token: Any, number: int, time: Any, *, precious: bool) -> Any:
        self.holding.take(token, number, time)
        return await real(self, token, number, time, precious=precious)

    real = Ledger.store
    yield Ledger, "store", store


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

    async def bury(self: Ledger, lease: Lease, reason: str) -> Any:
        await self.office.shelf.do(self.office.shelf.store.delete(self.key, lease.number))
        self.holding.bury(reason, lease.number)
        raise self.lost(reason)

    yield Ledger, "bury", bury


@planted(200, "calm", comes_back_in_time)
def refusal_believed_without_reading_again() -> Iterator[tuple[Any, str, Any]]:
    """``invalid_grant`` is believed though somebody may have written a newer token meanwhile."""

    async def came_back(self: Leading) -> bool:
        return False

    yield Leading, "_came_back", came_back


@planted(1000)
def the_dead_are_not_written_down() -> Iterator[tuple[Any, str, Any]]:
    """Every worker asks the vendor for itself about a dead refresh token."""

    async def bury(self: Ledger, lease: Lease, reason: str) -> Any:
        await lease.release()
        self.holding.bury(reason, self.holding.version)
        raise self.lost(reason)

    yield Ledger, "bury", bury


@planted(100)
def short_lease_without_extension() -> Iterator[tuple[Any, str, Any]]:
    """A lease shorter than an exchange, and nobody extends it."""

    def lease(self: Ledger, claim: Granted, time: StoreTime, *_: object) -> Lease:
        return Lease(self.office.shelf, self.office.world, self.key, claim.number, 1e6, time)

    async def claim(self: Ledger, *args: Any, **kwargs: Any) -> Any:
        self.ttl = 2.0
        return await real(self, *args, **kwargs)

    real = Ledger.claim
    yield Ledger, "claim", claim
    yield Ledger, "lease", lease


@planted(100, "stall", stalls_before_sending)
def lease_not_looked_at_before_sending() -> Iterator[tuple[Any, str, Any]]:
    """A worker that was stopped for longer than its lease sends all the same."""

    async def held(self: Lease) -> bool:
        return True

    yield Lease, "held", held


@planted(100)
def lease_ignored() -> Iterator[tuple[Any, str, Any]]:
    """Busy is taken for granted."""

    async def claim(self: Ledger, *args: Any, **kwargs: Any) -> Any:
        found, time = await real(self, *args, **kwargs)
        if isinstance(found, Busy):
            number = self.holding.version + 1
            found = Granted(record=found.record, note=b"", now=found.now, number=number)
        return found, time

    real = Ledger.claim
    yield Ledger, "claim", claim


@planted(300, None, rotating)
def jitter_forgotten() -> Iterator[tuple[Any, str, Any]]:
    """All workers begin to renew at the same moment."""
    real = holdings.windows
    yield holdings, "windows", lambda token, time, ahead, spread: real(token, time, ahead, 0.0)


@planted(20, "crash", dies_with_the_answer)
def no_note() -> Iterator[tuple[Any, str, Any]]:
    """Nothing says that a refresh token may have been spent."""
    yield Renewal, "_doubt", lambda self: b""


@planted(20, "calm", never_answers)
def note_cleared_without_an_answer() -> Iterator[tuple[Any, str, Any]]:
    """A worker that had no answer gives the lease back as if it had not sent."""

    async def give_up(self: Leading, error: Any, *, in_doubt: bool) -> None:
        await real(self, error, in_doubt=False)

    real = Leading._give_up
    yield Leading, "_give_up", give_up


@planted(20, "crash", dies_with_the_answer)
def doubt_not_waited_out() -> Iterator[tuple[Any, str, Any]]:
    """A token in doubt is spent though the access token is still good."""
    yield Leading, "_pause", lambda self: 0.0


@planted(2500, "store down", outage_longer_than_a_lease)
def no_grace_after_an_outage() -> Iterator[tuple[Any, str, Any]]:
    """Who comes first after an outage spends at once, while the holder is about to commit."""
    yield leadings, "GRACE", 0.0
    yield ledgers, "GRACE", 0.0


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


@planted(300)
def served_past_its_expiry() -> Iterator[tuple[Any, str, Any]]:
    """A token is served for a minute after its end."""

    def windows(*args: Any) -> Windows:
        placed = real(*args)
        return attrs.evolve(placed, soft=placed.soft + 60, hard=placed.hard + 60, end=placed.end + 60)

    real = holdings.windows
    yield holdings, "windows", windows


@planted(300, "clocks")
def the_hosts_clock_instead_of_the_stores() -> Iterator[tuple[Any, str, Any]]:
    """Expiry is read by this host's wall clock."""

    async def ask(self: Shelf, call: Any) -> Any:
        answer, time = await real(self, call)
        return answer, attrs.evolve(time, now=self._world.wall())

    real = Shelf.ask
    yield Shelf, "ask", ask


@planted(1000, "sleep")
def sleep_not_noticed() -> Iterator[tuple[Any, str, Any]]:
    """Only the monotonic clock is looked at, and it stands still while the machine sleeps."""

    def place(self: Holding, placed: Windows, ahead: float) -> None:
        real(self, placed, ahead)
        self.wall_limit = 1e18

    real = Holding._place
    yield Holding, "_place", place
    yield Holding, "jumped", lambda self: False


@planted(300, None, two_accounts)
def accounts_share_a_key() -> Iterator[tuple[Any, str, Any]]:
    """The key leaves the account out."""
    yield ledgers, "token_key", lambda vendor, account: token_key(vendor, "one")


@planted(300, "store down", rotating)
def answer_dropped_when_the_store_is_down() -> Iterator[tuple[Any, str, Any]]:
    """An answer that the store does not take is served, and forgotten."""

    async def insist(self: Keeper) -> Any:
        self.kept = None
        return None

    yield Keeper, "insist", insist


@planted(20, "store down", refuses_commits)
def spent_while_unsaved() -> Iterator[tuple[Any, str, Any]]:
    """A refresh token is spent that the store has not got yet."""

    async def settle(self: Ledger) -> bool:
        return False

    yield Ledger, "settle", settle


@planted(20, "storm", busy_storm)
def a_storm_is_not_compared() -> Iterator[tuple[Any, str, Any]]:
    """Every 401 renews, whatever token failed."""

    async def replacement(self: Credential, failed: Any) -> Any:
        return await self.refresh()

    yield Credential, "replacement", replacement


@planted(300, None, dies_after_answer)
def escrow_not_looked_into() -> Iterator[tuple[Any, str, Any]]:
    """What an earlier process left in escrow stays there."""

    async def from_escrow(self: Keeper) -> None:
        return None

    async def bring_back(*_: Any) -> None:
        pass

    yield Keeper, "from_escrow", from_escrow
    yield engines, "bring_back", bring_back


@planted(50, "calm", lost_between_two)
def nothing_is_put_back() -> Iterator[tuple[Any, str, Any]]:
    """Who holds something newer than the store keeps it to himself."""

    async def put_back(self: Ledger) -> None:
        pass

    yield Ledger, "put_back", put_back


@planted(50, "calm", closes_while_asking)
def a_flight_waits_for_nobody() -> Iterator[tuple[Any, str, Any]]:
    """Closing cuts off what is in the air."""

    async def aclose(self: Any) -> None:
        for flight in list(self.office.flights._flights):
            flight.task.cancel()

    yield engines.Engine, "aclose", aclose


# -- logins, logouts, client secrets, keep-alive -----------------------------------------------------------------------


@planted(300, "comings and goings")
def a_logout_of_what_was_held_before() -> Iterator[tuple[Any, str, Any]]:
    """A logout revokes what this worker held, and not what others have stored since."""
    yield Ledger, "know", lambda self, record, time: None


@planted(50, "calm", stalls_at_the_logout)
def a_logout_is_undone() -> Iterator[tuple[Any, str, Any]]:
    """A logout that came too late to be written counts as done."""

    async def logout(ledger: Ledger) -> None:
        claim, time = await takeovers._seize(ledger)
        failure = await takeovers._revoke(ledger, ledger.lease(claim, time), time)
        await ledger.forget(claim.number, "logged out")
        if failure is not None:
            raise failure

    yield takeovers, "logout", logout


@planted(300, "comings and goings")
def a_logout_forgets_here_alone() -> Iterator[tuple[Any, str, Any]]:
    """The store is not told of a logout."""

    async def forget(self: Ledger, number: int, reason: str) -> bool:
        self.holding.bury(reason, number)
        return True

    yield Ledger, "forget", forget


@planted(300, "comings and goings")
def a_login_overwrites_nothing() -> Iterator[tuple[Any, str, Any]]:
    """A login serves its token, and leaves the record as it was."""

    async def replace(ledger: Ledger, make: Any) -> Any:
        async def store(token: Any, number: int, time: Any, *, precious: bool) -> Any:
            ledger.holding.take(token, number, time)
            return token

        with patch.object(ledger, "store", store):
            return await real(ledger, make)

    real = takeovers.replace
    yield takeovers, "replace", replace


@planted(100, "new secrets")
def a_secret_used_and_not_stored() -> Iterator[tuple[Any, str, Any]]:
    """A new client secret is used by the process that has it, and nobody else hears of it."""

    async def keep(ledger: Ledger, number: int, secret: Any) -> None:
        ledger.office.registrations.learn(ledger.vendor, secret, number)

    yield rotations, "_keep_secret", keep


@planted(1000, "new secrets")
def a_refused_secret_is_not_looked_up() -> Iterator[tuple[Any, str, Any]]:
    """A worker whose client secret is refused does not ask the store for a newer one."""

    async def newer(self: Registrations, vendor: Any, refused: Any) -> None:
        return None

    yield Registrations, "newer", newer


@planted(300, "new secrets")
def a_rotation_that_gives_up() -> Iterator[tuple[Any, str, Any]]:
    """A new client secret is dropped where the store does not take it at once."""

    async def insist(ledger: Ledger, keeper: Keeper) -> None:
        keeper.kept = None

    yield rotations, "_insist", insist


@planted(100, "keep alive")
def keep_alive_without_its_lease() -> Iterator[tuple[Any, str, Any]]:
    """Every worker makes every round."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        after, answer = slot.claim(owner, ttl, newer_than, note, now)
        if isinstance(answer, Busy) and ttl == keeping.LEASE:
            found = Granted(record=answer.record, note=b"", now=now, number=slot.lease.number)
            return slot, found
        return after, answer

    yield StoreNode, "do_claim", do_claim


@planted(20, "keep alive")
def keep_alive_too_late() -> Iterator[tuple[Any, str, Any]]:
    """Refresh tokens are renewed when they have lapsed."""
    yield keeping, "EARLIEST", 1.01
    yield keeping, "LATEST", 1.02


@planted(100, "keep alive")
def keep_alive_by_the_token_that_is_served() -> Iterator[tuple[Any, str, Any]]:
    """A round asks for a token, and takes one that is good for a renewed one."""

    async def refresh(self: Credential) -> Any:
        return self._holding.token

    yield Credential, "refresh", refresh


@planted(2500, "sleep")
def a_short_sleep_goes_unnoticed() -> Iterator[tuple[Any, str, Any]]:
    """Half a minute may pass unnoticed, however short the token's margin."""
    yield Holding, "_tolerance", lambda self: 30.0


@planted(5000, "comings and goings")
def a_login_under_a_number_that_was_given_before() -> Iterator[tuple[Any, str, Any]]:
    """What has the number of the record that is known as dead is not looked at."""
    yield Ledger, "is_news", lambda self, record: record.version != self.holding.version


@planted(40, "sleep", wakes_at_the_leases_end)
def sending_under_a_lease_that_is_nearly_over() -> Iterator[tuple[Any, str, Any]]:
    """A moment that is left of it is enough."""

    def is_short(self: Lease) -> bool:
        slept = max(self._wall_ahead() - self._ahead, 0.0)
        return self._deadline - self._world.monotonic() - slept <= 0

    yield Lease, "_is_short", is_short


@planted(600, "store down", finds_a_window_that_ends)
def replaying_to_the_windows_very_end() -> Iterator[tuple[Any, str, Any]]:
    """The vendor is given no time to act on what is sent again."""
    yield leadings, "replayable", lambda window, limit: window


@planted(10, "partition", logs_out_while_the_store_comes_back)
def alone_with_what_was_renewed_long_ago() -> Iterator[tuple[Any, str, Any]]:
    """A claim that fails at last is followed by a renewal alone, whatever came meanwhile."""
    alone = Renewal._alone
    yield Renewal, "_alone", lambda self, known: alone(self, self._holding.version)


# -- the store ---------------------------------------------------------------------------------------------------------


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


@planted(50, "calm", asks_right_after_a_failover)
def another_version_counts_as_newer() -> Iterator[tuple[Any, str, Any]]:
    """Whoever knows a newer record than the store has is handed the older one."""

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

    yield StoreNode, "do_claim", do_claim


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
