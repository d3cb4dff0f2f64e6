"""Schedules in which a fault can show: each makes of a plan one that leads to the place."""

from __future__ import annotations

import attrs

from tests.simulation.plan import Ask, Fault, Plan


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


def _many_behind_a_snapshot(plan: Plan, asked: str) -> None:
    """One has renewed many, the store falls back to what was before, and another, who knows of none, is asked for one."""
    rotating(plan)
    plan.announces, plan.escrow, plan.loss, plan.twice = True, False, 0.0, 0.0
    plan.accounts = tuple(f"user{number:02}" for number in range(40))
    plan.workers, plan.lifetime, plan.lives, plan.calm = 2, 90.0, 1, 90.0
    plan.slow, plan.slowest = 0.05, 0.2
    plan.asks = [Ask(at=20.0, host=1, account="user20")]
    plan.asks += [Ask(at=20.0, host=0, account=account) for account in plan.accounts]
    plan.asks += [Ask(at=40.0 + 0.2 * n, host=0, account=name, how="refresh") for n, name in enumerate(plan.accounts)]
    plan.asks += [Ask(at=58.5, host=1, account=asked, how="refresh")]
    plan.faults = [Fault(do="store fails over", at=58.0, seconds=25.0)]


def asks_for_what_was_written_first(plan: Plan) -> None:
    _many_behind_a_snapshot(plan, "user00")


def asks_for_what_was_written_last(plan: Plan) -> None:
    _many_behind_a_snapshot(plan, "user39")


def born_while_the_store_is_away(plan: Plan) -> None:
    """… and comes back empty: who is asked first holds nothing, the others hold the session."""
    rotating(plan)
    plan.announces = True
    plan.workers, plan.lifetime, plan.calm = 2, 60.0, 75.0
    plan.faults = [
        Fault(do="crash", at=50.0, host=1, seconds=6.0),
        Fault(do="store down", at=54.0, seconds=6.0),
        Fault(do="store restarted empty", at=55.0),
    ]
    plan.asks = [Ask(at=at, host=host) for at, host in ((20, 0), (21, 1), (56.5, 1))]
    plan.asks += [Ask(at=60.0 + 0.1 * step, host=1) for step in range(10)]


def outage_longer_than_a_lease(plan: Plan) -> None:
    rotating(plan)
    plan.lifetime = 20.0
    plan.faults = [Fault(do="store down", after="acted", seconds=30.0)]
    plan.asks = [attrs.evolve(ask, patience=None) for ask in plan.asks]
    plan.calm += 40.0


def wakes_at_the_leases_end(plan: Plan) -> None:
    """The machine sleeps while the lease is granted, and wakes a moment before it ends."""
    rotating(plan)
    plan.lives, plan.slow, plan.workers = 1, 4.0, 2
    plan.faults = [Fault(do="sleep", after="claim", seconds=14.9)]
    plan.calm = 1.2 * plan.lifetime + 30.0
    plan.asks += [Ask(at=plan.lifetime + step, host=host) for step in range(0, 24, 2) for host in range(2)]


def stalls_with_a_logins_answer(plan: Plan) -> None:
    """… for longer than its lease; when it wakes, somebody who renews has claimed, and waits for a vendor that takes its time."""
    rotating(plan)
    plan.workers, plan.lifetime, plan.slow, plan.lives, plan.calm = 2, 60.0, 8.0, 1, 70.0
    plan.faults = [Fault(do="stall", after="answered", seconds=18.0 + plan.seed % 7)]
    plan.asks = [Ask(at=1.0, host=0), Ask(at=1.0, host=1), Ask(at=5.0, host=0, how="login")]
    plan.asks += [Ask(at=22.0 + 2.0 * step, host=1, how="refresh") for step in range(8)]


def the_stores_clock_is_set_back(plan: Plan) -> None:
    """… and a worker that has never seen the token reads it, a few seconds before its end, and asks for it long after."""
    rotating(plan)
    plan.workers, plan.lifetime, plan.lives, plan.calm, plan.loss = 2, 20.0, 4, 75.0, 0.0
    plan.faults = [
        Fault(do="store clock", at=10.0, seconds=-3600.0),
        Fault(do="cut vendor", at=18.5, host=1, seconds=50.0),
    ]
    plan.asks = [Ask(at=17.0, host=1), *(Ask(at=19.0 + 2.0 * step, host=1) for step in range(25))]


def the_stores_clock_jumps_while_asking(plan: Plan) -> None:
    """… a vendor that takes its time: the store ends the lease, and another asks for a token."""
    rotating(plan)
    plan.workers, plan.lifetime, plan.slow, plan.lives, plan.calm = 2, 60.0, 8.0, 1, 110.0
    plan.faults = [Fault(do="store clock", after="sending", seconds=60.0)]
    plan.asks = [Ask(at=1.0, host=0), Ask(at=1.0, host=1), Ask(at=61.0, host=0)]
    plan.asks += [Ask(at=61.5 + 0.5 * step, host=1) for step in range(30)]


def dies_when_the_clock_is_ahead(plan: Plan) -> None:
    """Its lease was taken from a clock that is ten minutes ahead, and set right a moment later."""
    rotating(plan)
    plan.workers, plan.lifetime, plan.slow, plan.lives, plan.calm, plan.loss = 2, 60.0, 1.0, 1, 100.0, 0.0
    plan.faults = [
        Fault(do="store clock", after="claim", seconds=600.0),
        Fault(do="store clock", after="claim answered", seconds=-600.0),
        Fault(do="crash", after="claim answered", steps=1, seconds=1e6),
    ]
    plan.asks = [Ask(at=1.0, host=0), Ask(at=1.0, host=1), Ask(at=61.0, host=0)]
    plan.asks += [Ask(at=61.5 + 2.0 * step, host=1) for step in range(15)]


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


def on_one_machine(plan: Plan) -> None:
    """Two workers at least that see one another die."""
    plan.one_machine, plan.workers = True, max(plan.workers, 2)
