"""One schedule: workers with the real engine, a store, a vendor, callers, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import attrs

from linkauth.engine.codec import Codec
from linkauth.engine.credential import Credential
from linkauth.engine.encryption import Sealer
from linkauth.engine.engine import Engine
from linkauth.engine.events import Event
from linkauth.engine.world import World
from linkauth.oauth.token import Token
from linkauth.protocol.keys import token_key
from linkauth.protocol.records import TokenRecord
from linkauth.vendors.vendor import RotationProfile
from linkauth_stores.slot import Slot
from tests.simulation import vendor as vendors
from tests.simulation.callers import Callers
from tests.simulation.fleet import Host, Machine, Worker
from tests.simulation.judge import Judge
from tests.simulation.loop import Node, SimLoop, Stuck
from tests.simulation.mischief import Mischief
from tests.simulation.net import Net
from tests.simulation.plan import ADOPTIONS, TIMEOUT, Plan
from tests.simulation.store import EPOCH, AnnouncingClient, StoreClient, StoreNode

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Request, Response

__all__ = ["Outcome", "Simulation", "run"]

KEY = "c2ltdWxhdGlvbiBzaW11bGF0aW9uIHNpbXVsYXRpb24="
"""Of the stores that are encrypted."""
LIMIT = 20_000
"""Steps; a schedule has a hundred or two."""
TRIES = 60
"""How often a worker asks at the end, every 3 s, before it counts as a loop."""
APART = 10.0
"""Seconds at the end after which another worker is asked, though the one before it has no token yet."""
_REGISTRATIONS: dict[tuple[bool, bool, float, bool, bool], vendors.Registration] = {}


def _registration(plan: Plan) -> vendors.Registration:
    known = (plan.user, plan.rotates, plan.window, plan.revokes, plan.secrets)
    if known not in _REGISTRATIONS:
        kind = vendors.Replaceable if plan.secrets else vendors.Registration
        _REGISTRATIONS[known] = kind(
            name="sim",
            client_id="client",
            client_secret="secret-0",
            token_url=f"{vendors.HOST}/token",
            authorize_url=f"{vendors.HOST}/authorize" if plan.user else None,
            revoke_url=f"{vendors.HOST}/revoke",
            rotation=RotationProfile(rotates=plan.rotates, replay_window=plan.window, reuse_revokes=plan.revokes),
        )
    return _REGISTRATIONS[known]


_KEYS: dict[tuple[int, str], str] = {}


def _key(registration: vendors.Registration, account: str) -> str:
    known = (id(registration), account)
    if known not in _KEYS:
        _KEYS[known] = token_key(registration, account)
    return _KEYS[known]


@attrs.frozen
class Outcome:
    """What became of a schedule."""

    seed: int
    scenario: str
    steps: int
    problem: str = ""
    lost: bool = False
    """A session was lost, and that was excused."""
    tally: Counter[str] = attrs.field(factory=Counter)
    """What happened: steps, callers, exchanges, everything that went wrong."""
    story: str = ""


class Simulation:
    """See the module."""

    def __init__(self, plan: Plan, *, telling: bool = False) -> None:
        self.plan = plan
        self.loop = SimLoop(Random(f"run {plan.seed}"), LIMIT)
        self.director = Node("director")
        self.told: list[str] = []
        self.telling = telling
        self.net = Net(self.loop, self.tell, plan.slowest, plan.loss, plan.twice)
        self.judge = Judge(self)
        self.store = StoreNode(self)
        self.vendor = vendors.VendorNode(self)
        self.longest = 1e9
        self.refusals = 0
        self.problem = ""
        self.tally: Counter[str] = Counter()
        self.keepers: list[asyncio.Task[None]] = []
        self.registration = _registration(plan)
        self.elsewhere = any(ask.how in ADOPTIONS for ask in plan.asks)
        self.comings = self.elsewhere or any(ask.how in {"login", "logout"} for ask in plan.asks)
        self.sealer = Sealer(KEY, Random(plan.seed).randbytes) if plan.sealed else None
        self.codec = Codec(self.sealer)
        self.keys = {account: _key(self.registration, account) for account in plan.accounts}
        self.accounts_by_key = {key: account for account, key in self.keys.items()}
        machines = [Machine(f"m{number}") for number in range(1 if plan.one_machine else plan.workers)]
        self.hosts = [Host(number, machines[number % len(machines)]) for number in range(plan.workers)]
        self.workers: dict[int, Worker] = {}
        self.by_node: dict[Node, Worker] = {}
        self.mischief = Mischief(self)
        self.callers = Callers(self)
        self.main: asyncio.Future[None] = self.loop.create_future()

    # -- the story ---------------------------------------------------------------------------------------------------

    def tell(self, who: str, words: str) -> None:
        if self.telling:
            self.told.append(f"{self.loop.now:8.3f}  {who:8} {words}")

    def fail(self, words: str) -> None:
        if not self.problem and not self.loop.finished:
            self.problem = f"at {self.loop.now:.3f}: {words}"
            self.tell("WATCH", words)
            if not self.main.done():
                self.main.set_result(None)

    def story(self) -> str:
        return "\n".join([str(self.plan), *self.told, self.problem])

    # -- beginning and end -------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        try:
            self.director.context.run(self._begin)
            self.loop.run(self.main)
        except Stuck as stuck:
            self.fail(f"liveness: {stuck}")
        if not self.problem and self.loop.complaints:
            self.fail(f"asyncio complains: {self.loop.complaints[0]}")
        for task in self.loop.tasks:
            if not self.problem and task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
                self.fail(f"an exception that nobody retrieved: {task.exception()!r}")
        self.loop.finish()
        self.tally.update(steps=self.loop.steps, callers=len(self.plan.asks), exchanges=self.vendor.requests)
        return Outcome(
            self.plan.seed,
            self.plan.scenario,
            self.loop.steps,
            self.problem,
            bool(self.judge.lost),
            self.tally,
            self.story() if self.telling else "",
        )

    def _begin(self) -> None:
        plan, loop = self.plan, self.loop
        for host in self.hosts:
            self.start(host)
        if plan.user:
            for account, key in self.keys.items():
                self._login(account, key)
                if plan.nobody:
                    self._nobody(account, key)
        for fault in plan.faults:
            if fault.at is not None:
                loop.call_at(fault.at, self.mischief.act, fault, None)
        for ask in plan.asks:
            loop.call_at(ask.at, self.callers.ask, ask)
        loop.call_at(plan.calm, self._calm_down)

    def _login(self, account: str, key: str) -> None:
        grant = self.vendor.begin(account, self.plan.lifetime)
        token = Token(
            access_token=grant.access,
            issued_at=self.store.now(),
            expires_at=self.store.now() + grant.lifetime,
            refresh_token=grant.gives,
            refresh_expires_at=self.store.now() + self.plan.lapse if self.plan.lapse else None,
        )
        record = TokenRecord(vendor="sim", account=account, token=token)
        value = self.codec.close(key, 1, record)
        self.judge.written(self.director, key, Slot(), Slot(last=1, version=1, value=value))
        self.store.slots = {**self.store.slots, key: Slot(last=1, version=1, value=value)}
        self.store.history = [(0.0, self.store.slots)]
        self.judge.durable_at[grant.access] = -1.0

    def _nobody(self, account: str, key: str) -> None:
        """As it was before that login: the user has no session, and the store nothing of one."""
        self.vendor.families[account].alive, self.vendor.latest[account].revoked = False, True
        self.store.slots = {known: slot for known, slot in self.store.slots.items() if known != key}
        self.store.history = [(0.0, self.store.slots)]
        self.judge.leaving(account)
        self.judge.ended[account] = vendors.GENERATION

    def start(self, host: Host) -> Worker:
        host.lives += 1
        name = f"w{host.number}" + ("" if host.lives == 1 else f".{host.lives}")
        client = (AnnouncingClient if self.plan.announces else StoreClient)(self, self.store)
        node, loop = Node(name), self.loop
        begun = 1000.0 * (host.number + 1)

        async def send(request: Request, seconds: float) -> Response:
            return await vendors.send(self, request, seconds)

        def heard(event: Event) -> None:
            self.tell(name, f"  [{event.kind.value}{': ' + event.outcome if event.outcome else ''}]")

        world = World(
            send=send,
            monotonic=lambda: begun + loop.now - host.lag,
            wall=lambda: EPOCH + loop.now + host.wall,
            random=self.loop.rng,
            entropy=self.loop.rng.randbytes,
            processes=host.machine.process(node),
        )
        engine = Engine(
            client,
            world,
            Credential,
            keys=KEY if self.plan.sealed else None,
            timeout=TIMEOUT,
            escrow=host.machine.escrow if self.plan.escrow else None,
            on_event=heard if self.telling else None,
        )
        worker = Worker(host, node, client, engine, self.registration)
        self.workers[host.number] = worker
        self.by_node[node] = worker
        if self.plan.escrow:
            self.loop.spawn(node, _opened(engine))
        if self.plan.lapse:
            self.keepers.append(self.loop.spawn(node, self._keep_alive(worker)))
        return worker

    async def _keep_alive(self, worker: Worker) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await worker.engine.keep_alive(self.registration, every=self.plan.lapse / 10)

    def worker_of(self, node: Node) -> Worker | None:
        return self.by_node.get(node)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """Everything is mended, the dead start again, and all must come to a good end."""
        self.tell("director", "everything is mended")
        self.mischief.trouble = ""
        self.net.cuts.clear()
        self.store.refuses.clear()
        self.mischief.store_up()
        self.net.loss = self.net.twice = 0.0
        for host in self.hosts:
            worker = self.workers.get(host.number)
            if worker is None:
                self.mischief.restart(host)
            elif worker.closing:
                self.mischief.crash_closing(worker)
            elif worker.node.frozen:
                self.mischief.thaw(worker.node)
        self.loop.create_task(self._finish(), context=self.director.context.copy())

    async def _finish(self) -> None:
        workers = list(self.workers.values())
        await asyncio.sleep(self.plan.lifetime)
        tasks = set()
        asked = [worker for worker in workers if not self._is_as_new(worker)]
        for worker in asked:  # one after the other: the first renews, and the others find what it brought
            task = self.loop.spawn(worker.node, self._settle(worker))
            await asyncio.wait({task}, timeout=APART)
            if not task.done():
                tasks.add(task)
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=TRIES * 4.0)
        if tasks:
            self.fail("liveness: a worker comes to no end")
            return
        for task in self.keepers:
            task.cancel()
        for worker in workers:  # who still waits to log in is called off
            worker.closing = True
        tasks = {self.loop.spawn(worker.node, worker.engine.aclose()) for worker in asked}
        if tasks:
            await asyncio.wait(tasks, timeout=60.0)
        if any(not task.done() for task in tasks):
            self.fail("liveness: an engine does not close")
            return
        self.judge.at_the_end(workers)
        if not self.main.done():
            self.main.set_result(None)

    def _is_as_new(self, worker: Worker) -> bool:
        """Whether nothing ever happened to it, so that it would but do once more what it has done well before."""
        node, judge = worker.node, self.judge
        if self.comings or self.plan.secrets or self.plan.lapse or judge.epoch:
            return False
        if worker.host.lives > 1 or worker.client.failures or node in judge.stopped or node in judge.stepped:
            return False
        return all(self._is_well(worker.credential(account)) for account in self.plan.accounts)

    def _is_well(self, credential: Credential) -> bool:
        replica, state = credential.replica, credential.replica.state
        return (
            all(flight.landed for flight in credential.renewals.flights)
            and not state.failures
            and state.version <= self.store.slot(replica.key).version
            and (replica.lease_held is None or replica.lease_held.number <= state.version)
        )

    async def _settle(self, worker: Worker) -> None:
        for account in self.plan.accounts:
            for _ in range(TRIES):
                if self.problem or await self._settled(worker, account):
                    break
                await asyncio.sleep(3.0)
            else:
                self.fail(f"liveness: {worker.node} has neither a token nor an answer for {account}")

    async def _settled(self, worker: Worker, account: str) -> bool:
        self.tell(worker.node.name, f"is asked at the end for {account}")
        lost = account in self.judge.lost
        credential = worker.credential(account)
        told = len(self.judge.lost)
        token = await self.callers.get(worker, account, credential.token())
        if token is not None and self.judge.has_left(account, self.plan.lifetime):
            self.judge.fail(4, f"{worker.node} serves {account}, who logged out long ago")
        if token is None and (account in self.judge.left or self.judge.secret_lost()):
            return True
        if token is None:
            return account in self.judge.lost and (lost or len(self.judge.lost) > told)
        return not self.vendor.grants[token.access_token].revoked


async def _opened(engine: Engine) -> None:
    engine.open()


def run(plan: Plan, *, telling: bool = False) -> Outcome:
    """Run one schedule. Many: within ``campaign.quiet()``."""
    return Simulation(plan, telling=telling).run()
