"""What happens in a schedule: the vendor, the network, who asks when, and what goes wrong. All of it from a seed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCENARIOS", "Ask", "Fault", "Plan", "make"]

ADOPTIONS = ("adopt", "adopt both", "adopt dead", "replace")
"""Sessions that were made elsewhere come in: a refresh token alone, or beside an access token; one that is dead; in another's place."""
TIMEOUT = 10.0
"""The engine's ``timeout`` in every schedule; leases last 5 s more."""


@attrs.frozen(kw_only=True)
class Ask:
    """A caller: at which time, at which worker, for which account, how."""

    at: float
    host: int
    account: str = "default"
    how: str = "token"
    """``token``, ``refresh``, or ``use``: take a token, call the API, and on a 401 ask for its replacement.

    Or ``login``, ``logout``, ``rotate the secret``: what a user and an operator do; or one of ``ADOPTIONS``.
    """
    patience: float | None = None
    """Seconds after which the caller is cancelled."""

    def __str__(self) -> str:
        until = "" if self.patience is None else f", cancelled after {self.patience:.2f} s"
        return f"{self.at:7.2f} a caller on w{self.host}: {self.how} for {self.account}{until}"


@attrs.frozen(kw_only=True)
class Fault:
    """``do`` at a time, or some steps after something happened for the so-manieth time."""

    do: str
    at: float | None = None
    after: str = ""
    """``sending``, ``acted``, ``answered`` (by the vendor); ``claim``, ``commit`` … sent, ``commit answered`` …"""
    count: int = 1
    steps: int = 0
    host: int | None = None
    """None: whoever was at the event."""
    seconds: float = 0.0
    """How long it lasts; for a crash, until the restart."""

    def __str__(self) -> str:
        when = (
            f"at {self.at:.2f}" if self.at is not None else f"{self.steps} steps after “{self.after}” no. {self.count}"
        )
        where = "" if self.host is None else f" w{self.host}"
        return f"{when}:{where} {self.do} ({self.seconds:.1f} s)"


@attrs.define(kw_only=True)
class Plan:
    """One schedule before it is run."""

    seed: int
    scenario: str
    workers: int = 3
    accounts: tuple[str, ...] = ("default",)
    user: bool = True
    """A refresh token is needed; else client credentials."""
    rotates: bool = True
    window: float = 0.0
    """The vendor's replay window, seconds; the engine is told the same."""
    revokes: bool = True
    lifetime: float = 60.0
    slow: float = 0.2
    """Seconds that the vendor needs, about."""
    slowest: float = 0.02
    """Seconds that a message needs, at the most."""
    loss: float = 0.0
    twice: float = 0.0
    escrow: bool = False
    one_machine: bool = False
    """The workers run on one machine, where they see one another die and have one escrow; else each has its own."""
    announces: bool = False
    """The store tells of changes (``linkauth.store.Announcing``), as those must that can lose data."""
    sealed: bool = False
    """What is stored is encrypted."""
    wrong: float = 0.0
    """By how much the store's clock is wrong, seconds."""
    secrets: bool = False
    """The client's secret can be replaced."""
    nobody: bool = False
    """Nobody has a session when it begins."""
    lapse: float = 0.0
    """Seconds that an unused refresh token lives, and every worker keeps it alive; 0: for ever."""
    lives: int = 2
    asks: list[Ask] = attrs.field(factory=list)
    faults: list[Fault] = attrs.field(factory=list)
    calm: float = 0.0
    """From this time on nothing goes wrong any more."""

    def __str__(self) -> str:
        kind = "client credentials" if not self.user else "a rotating vendor" if self.rotates else "a keeping vendor"
        if self.user and self.rotates:
            kind += f", replay window {self.window:g} s, reuse {'revokes' if self.revokes else 'is refused'}"
        head = (
            f"seed {self.seed}, {self.scenario}: {self.workers} workers, {kind}, tokens of {self.lifetime:g} s, "
            f"vendor {self.slow:g} s, network {self.slowest:g} s"
            + (f", {self.loss:.0%} of the store's messages lost" if self.loss else "")
            + (f", {self.twice:.0%} delivered twice" if self.twice else "")
            + (", an announcing store" if self.announces else "")
            + (", with escrow" if self.escrow else "")
            + (", one machine" if self.one_machine else "")
            + (", encrypted" if self.sealed else "")
            + (f", the store's clock is wrong by {self.wrong:g} s" if self.wrong else "")
            + (f", refresh tokens of {self.lapse:g} s" if self.lapse else "")
            + (", nobody connected" if self.nobody else "")
        )
        return "\n".join([head, *(f"  fault {fault}" for fault in self.faults), f"  calm from {self.calm:.1f} on"])


def make(seed: int, scenario: str | None = None) -> Plan:
    """The plan of ``seed``; ``scenario``: None lets the seed choose."""
    rng = Random(f"plan {seed}")
    name = scenario or rng.choice(NAMES)
    if name == "keep alive" and not scenario and rng.random() < 0.9:  # five times as long as the others
        name = "calm"
    plan = Plan(seed=seed, scenario=name)
    _vendor(plan, rng)
    plan.workers = rng.choice((1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4))
    plan.lives = rng.choice((1, 1, 1, 1, 1, 1, 1, 1, 2))
    plan.lifetime = rng.choice((20.0, 40.0, 60.0, 90.0))
    plan.slow = rng.choice((0.05, 0.2, 0.2, 1.0, 4.0))
    plan.slowest = rng.choice((0.005, 0.02, 0.2))
    plan.loss = rng.choice((0.0, 0.0, 0.0, 0.05))
    plan.twice = rng.choice((0.0, 0.0, 0.1))
    plan.announces = rng.random() < 0.15
    plan.sealed = rng.random() < 0.1
    plan.wrong = rng.choice((-1e8, -90.0, 40.0, 1e8)) if rng.random() < 0.15 else 0.0
    if plan.user and rng.random() < 0.03:
        plan.accounts = ("one", "two")
    plan.one_machine = Random(f"machines {seed}").random() < 0.5  # drawn apart: the plans of before stay as they were
    SCENARIOS[name](plan, rng)
    plan.calm = plan.lives * plan.lifetime + rng.uniform(2.0, 10.0)
    plan.asks += _asks(plan, rng)
    plan.asks.sort(key=lambda ask: ask.at)
    return plan


def _vendor(plan: Plan, rng: Random) -> None:
    kind = rng.choice(("rotates", "rotates", "rotates", "window", "short window", "lenient", "keeps", "client"))
    plan.rotates = kind not in {"keeps", "client"}
    plan.user = kind != "client"
    plan.window = {"window": 1000.0, "short window": 30.0}.get(kind, 0.0)
    plan.revokes = kind != "lenient"


def _asks(plan: Plan, rng: Random) -> list[Ask]:
    """Each worker asks now and then, and more often where tokens come to their end."""
    asks: list[Ask] = []
    if plan.lapse:
        return asks
    for host in range(plan.workers):
        for account in plan.accounts:
            times = [rng.uniform(0, plan.lives * plan.lifetime)] if rng.random() < 0.3 else []
            for life in range(plan.lives):
                times += [(life + rng.uniform(0.8, 1.1)) * plan.lifetime for _ in range(rng.choice((1, 1, 1, 2)))]
            for at in times:
                how = rng.choice(
                    ("token", "token", "token", "token", "use", "refresh" if rng.random() < 0.2 else "token")
                )
                patience = rng.choice((0.0, 0.01, 0.1, 0.5, 2.0)) if rng.random() < 0.1 else None
                asks.append(Ask(at=at, host=host, account=account, how=how, patience=patience))
    return asks


USUAL = ("claim", "claim answered", "sending", "acted", "answered", "commit", "commit answered")
AROUND = (*USUAL * 3, "extend", "release")
"""What comes in nearly every schedule, and what comes in few: a fault that waits for the latter mostly waits in vain."""


def _hooked(rng: Random, do: str, *, events: tuple[str, ...] = AROUND, seconds: float = 0.0) -> Fault:
    return Fault(
        do=do,
        after=rng.choice(events),
        count=rng.choice((1, 1, 1, 1, 1, 2, 2, 3)),
        steps=rng.choice((0, 0, 1, 2, 3, 5, 8, 13)),
        seconds=seconds,
    )


def _timed(plan: Plan, rng: Random, do: str, *, seconds: float = 0.0, somebody: bool = True) -> Fault:
    host = rng.randrange(plan.workers) if somebody else None
    at = (rng.randrange(plan.lives) + rng.choice((rng.uniform(0.78, 1.1), rng.random()))) * plan.lifetime
    return Fault(do=do, at=at, host=host, seconds=seconds)


def _either(plan: Plan, rng: Random, do: str, seconds: float = 0.0) -> Fault:
    return _hooked(rng, do, seconds=seconds) if rng.random() < 0.75 else _timed(plan, rng, do, seconds=seconds)


def _calm(plan: Plan, rng: Random) -> None:
    pass


def _crash(plan: Plan, rng: Random) -> None:
    plan.escrow = rng.random() < 0.3
    for _ in range(rng.choice((1, 1, 2))):
        plan.faults.append(_either(plan, rng, "crash", rng.choice((0.0, 1.0, 5.0, 20.0, 1e6))))


def _stall(plan: Plan, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 2))):
        plan.faults.append(_either(plan, rng, "stall", rng.choice((0.5, 3.0, 12.0, 16.0, 25.0, 60.0))))


def _close(plan: Plan, rng: Random) -> None:
    for _ in range(rng.choice((1, 2))):
        plan.faults.append(_either(plan, rng, "close", rng.choice((0.0, 1.0, 10.0))))


def _sleep(plan: Plan, rng: Random) -> None:
    plan.faults.append(_either(plan, rng, "sleep", rng.choice((3.0, 16.0, 60.0, 200.0))))


def _partition(plan: Plan, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 2))):
        do = rng.choice(("cut store", "cut vendor"))
        plan.faults.append(_either(plan, rng, do, rng.choice((0.1, 1.0, 5.0, 12.0, 20.0, 40.0))))


def _store_down(plan: Plan, rng: Random) -> None:
    plan.escrow = rng.random() < 0.3
    for _ in range(rng.choice((1, 1, 2))):
        plan.faults.append(_either(plan, rng, "store down", rng.choice((0.5, 3.0, 10.0, 20.0, 30.0, 60.0))))


def _store_lost(plan: Plan, rng: Random) -> None:
    plan.announces = True
    do = rng.choice(("store restarted empty", "store flushed", "store fails over"))
    plan.faults.append(_either(plan, rng, do, rng.choice((0.1, 1.0, 5.0, 30.0))))


def _vendor_trouble(plan: Plan, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 2))):
        do = rng.choice(("500", "503", "502", "429", "hang"))
        seconds = rng.choice((0.3, 2.0, 8.0, 15.0, 30.0))
        events = ("claim", "claim answered", "sending")
        plan.faults.append(
            _hooked(rng, do, events=events, seconds=seconds)
            if rng.random() < 0.5
            else _timed(plan, rng, do, seconds=seconds, somebody=False)
        )


def _clocks(plan: Plan, rng: Random) -> None:
    for host in range(plan.workers):
        if rng.random() < 0.5:
            plan.faults.append(Fault(do="clock", at=0.0, host=host, seconds=rng.choice((-3600.0, 3600.0, 20.0))))
    for _ in range(rng.choice((0, 1, 2))):
        plan.faults.append(_either(plan, rng, "clock", rng.choice((-3600.0, -5.0, 5.0, 45.0, 3600.0))))


def _cancel(plan: Plan, rng: Random) -> None:
    for _ in range(rng.choice((1, 2, 3))):
        plan.faults.append(_either(plan, rng, "cancel callers"))


def _storm(plan: Plan, rng: Random) -> None:
    """The vendor revokes the access tokens that are out; everybody's request fails at the same moment."""
    at = rng.uniform(0.1, 0.7) * plan.lifetime
    plan.faults.append(Fault(do="revoke", at=at))
    for host in range(plan.workers):
        for account in plan.accounts:
            for _ in range(2):
                plan.asks.append(Ask(at=at + rng.uniform(0.01, 0.3), host=host, account=account, how="use"))


def _comings_and_goings(plan: Plan, rng: Random) -> None:
    """Users log in and out while everything else goes on."""
    plan.user = True
    for account in plan.accounts:
        for _ in range(rng.choice((1, 2, 2, 3))):
            at = (rng.randrange(plan.lives) + rng.choice((rng.uniform(0.78, 1.1), rng.random()))) * plan.lifetime
            patience = rng.choice((0.01, 0.5)) if rng.random() < 0.1 else None
            for how in rng.choice((("login",), ("logout",), ("logout", "login"), ("login", "login"))):
                host = rng.randrange(plan.workers)
                plan.asks.append(Ask(at=at, host=host, account=account, how=how, patience=patience))
                at += rng.choice((0.0, 0.01, 0.3, 3.0, 20.0))


def _from_elsewhere(plan: Plan, rng: Random) -> None:
    """Sessions that were made elsewhere come in, beside logins, logouts and renewals."""
    plan.user, plan.nobody = True, rng.random() < 0.5
    for account in plan.accounts:
        for _ in range(rng.choice((1, 2, 2))):
            at = (rng.randrange(plan.lives) + rng.choice((rng.uniform(0.78, 1.1), rng.random()))) * plan.lifetime
            patience = rng.choice((0.01, 0.5)) if rng.random() < 0.1 else None
            first = rng.choice((*ADOPTIONS, "adopt dead", "logout", "login"))
            for how in (first, rng.choice(ADOPTIONS)) if rng.random() < 0.6 or first[0] == "l" else (first,):
                plan.asks.append(
                    Ask(at=at, host=rng.randrange(plan.workers), account=account, how=how, patience=patience)
                )
                at += rng.choice((0.0, 0.01, 0.3, 3.0, 20.0))
    parts = (_crash, _crash, _close, _stall, _vendor_trouble, _cancel)
    for part in rng.sample(parts, k=rng.choice((0, 1, 1))):
        part(plan, rng)


def _new_secrets(plan: Plan, rng: Random) -> None:
    """An operator replaces the client's secret."""
    plan.rotates, plan.secrets, plan.window = False, True, 0.0
    plan.escrow = rng.random() < 0.3
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = (rng.randrange(plan.lives) + rng.choice((rng.uniform(0.78, 1.1), rng.random()))) * plan.lifetime
        for host in rng.sample(range(plan.workers), k=rng.choice((1, 1, min(2, plan.workers)))):
            plan.asks.append(Ask(at=at, host=host, account=plan.accounts[0], how="rotate the secret"))


def _troubled(part: Callable[[Plan, Random], None]) -> Callable[[Plan, Random], None]:
    """``part``, and in most schedules something that goes wrong meanwhile."""

    def scenario(plan: Plan, rng: Random) -> None:
        part(plan, rng)
        kinds = (
            _crash,
            _stall,
            _close,
            _partition,
            _store_down,
            _vendor_trouble,
            _clocks,
            _cancel,
            _sleep,
            _store_lost,
        )
        for other in rng.sample(kinds, k=rng.choice((0, 1, 1, 1, 2))):
            other(plan, rng)

    return scenario


def _keep_alive(plan: Plan, rng: Random) -> None:
    """Nobody asks for anything until the refresh token's end has come near and gone by."""
    plan.user = plan.rotates = True
    plan.lapse, plan.lives, plan.lifetime = 500.0, 9, 60.0  # a round that failed, and its lease, fit in
    plan.workers, plan.accounts = max(plan.workers, 2), ("default",)
    do = rng.choice(("crash", "stall", "close", "store down", "cut store", ""))
    at = rng.uniform(240.0, 385.0)
    if do:
        plan.faults.append(Fault(do=do, at=at, host=rng.randrange(plan.workers), seconds=rng.choice((1.0, 10.0, 20.0))))


def _mixed(plan: Plan, rng: Random) -> None:
    parts = (
        _crash,
        _stall,
        _close,
        _partition,
        _store_down,
        _vendor_trouble,
        _clocks,
        _cancel,
        _storm,
        _sleep,
        _store_lost,
    )
    for part in rng.sample(parts, k=rng.choice((2, 2, 3))):
        part(plan, rng)


SCENARIOS: dict[str, Callable[[Plan, Random], None]] = {
    "calm": _calm,
    "crash": _crash,
    "stall": _stall,
    "sleep": _sleep,
    "close": _close,
    "partition": _partition,
    "store down": _store_down,
    "store lost": _store_lost,
    "vendor trouble": _vendor_trouble,
    "clocks": _clocks,
    "cancel": _cancel,
    "storm": _storm,
    "comings and goings": _troubled(_comings_and_goings),
    "new secrets": _troubled(_new_secrets),
    "keep alive": _keep_alive,
    "mixed": _mixed,
    "sessions from elsewhere": _from_elsewhere,
}
NAMES = tuple(name for name in SCENARIOS if name != "sessions from elsewhere")
"""Those among which a seed chooses: its plan stays the same, whatever scenarios come."""
