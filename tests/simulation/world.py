"""One schedule: workers with the real engine, a store, a vendor, callers, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import attrs

from linkauth.engine.credential import Credential
from linkauth.engine.engine import Engine
from linkauth.engine.envelope import Envelope
from linkauth.engine.escrow import Kept
from linkauth.engine.events import Event
from linkauth.engine.records import TokenRecord, token_key
from linkauth.engine.sealing import Sealer
from linkauth.engine.world import World
from linkauth.errors import (
    ConfigurationError,
    InvalidClient,
    InvalidGrant,
    LinkAuthError,
    OAuthError,
    RateLimited,
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.vendors.vendor import RotationProfile
from linkauth_stores.slot import Slot
from tests.simulation import vendor as vendors
from tests.simulation.loop import Node, SimLoop, Stuck
from tests.simulation.net import Net
from tests.simulation.plan import TIMEOUT, Ask, Fault, Plan
from tests.simulation.store import EPOCH, AnnouncingClient, StoreClient, StoreNode
from tests.simulation.watch import Watch

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Request, Response
    from linkauth.vendors.vendor import Vendor
    from tests.simulation.vendor import Grant

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


@attrs.define
class Escrow:
    """A host's disk: it outlives its processes."""

    sim: Simulation
    kept: dict[tuple[str, int], Kept] = attrs.field(factory=dict)

    async def put(self, kept: Kept) -> None:
        await asyncio.sleep(0.001)
        self.kept[kept.key, kept.number] = kept

    async def drop(self, key: str, number: int) -> None:
        await asyncio.sleep(0)
        for known in [k for k in self.kept if k[0] == key and k[1] <= number]:
            del self.kept[known]

    async def everything(self) -> list[Kept]:
        await asyncio.sleep(0)
        newest = {kept.key: kept for _, kept in sorted(self.kept.items(), key=lambda item: item[0])}
        return list(newest.values())

    async def find(self, key: str) -> Kept | None:
        await asyncio.sleep(0)
        mine = [kept for (whose, _), kept in sorted(self.kept.items(), key=lambda item: item[0]) if whose == key]
        return mine[-1] if mine else None


@attrs.define(eq=False)
class Host:
    """A machine: its disk and its clocks."""

    number: int
    escrow: Escrow
    wall: float = 0.0
    """By how much its wall clock is wrong, seconds."""
    lag: float = 0.0
    """How long it has slept: its monotonic clock stood still meanwhile."""
    lives: int = 0


@attrs.define(eq=False)
class Worker:
    """A process."""

    host: Host
    node: Node
    client: StoreClient
    engine: Engine[Credential]
    registration: Vendor
    closing: bool = False
    callers: list[asyncio.Task[None]] = attrs.field(factory=list)
    known: dict[str, Grant] = attrs.field(factory=dict)
    """What its callers were last given, by account."""
    _credentials: dict[str, Credential] = attrs.field(factory=dict)

    def credential(self, account: str) -> Credential:
        found = self._credentials.get(account)
        if found is None:
            found = self._credentials[account] = self.engine.credential(self.registration, account)
        return found


class Simulation:
    """See the module."""

    def __init__(self, plan: Plan, *, telling: bool = False) -> None:
        self.plan = plan
        self.loop = SimLoop(Random(f"run {plan.seed}"), LIMIT)
        self.director = Node("director")
        self.told: list[str] = []
        self.telling = telling
        self.net = Net(self.loop, self.tell, plan.slowest, plan.loss, plan.twice)
        self.watch = Watch(self)
        self.store = StoreNode(self)
        self.vendor = vendors.VendorNode(self)
        self.trouble = ""
        self.hang = 0.0
        self.longest = 1e9
        self.refusals = 0
        self.problem = ""
        self.tally: Counter[str] = Counter()
        self.troubles: list[tuple[Node, str, float]] = []
        self.keepers: list[asyncio.Task[None]] = []
        self.cancelled: set[asyncio.Task[None]] = set()
        self.registration = _registration(plan)
        self.comings = any(ask.how in {"login", "logout"} for ask in plan.asks)
        self.sealer = Sealer(KEY, Random(plan.seed).randbytes) if plan.sealed else None
        self.envelope = Envelope(self.sealer)
        self.keys = {account: _key(self.registration, account) for account in plan.accounts}
        self.accounts_by_key = {key: account for account, key in self.keys.items()}
        self.hosts = [Host(number, Escrow(self)) for number in range(plan.workers)]
        self.workers: dict[int, Worker] = {}
        self.by_node: dict[Node, Worker] = {}
        self.waiting: dict[str, list[list[Any]]] = {}
        for fault in plan.faults:
            if fault.at is None:
                self.waiting.setdefault(fault.after, []).append([fault.count, fault])
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
            bool(self.watch.lost),
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
        for fault in plan.faults:
            if fault.at is not None:
                loop.call_at(fault.at, self.act, fault, None)
        for ask in plan.asks:
            loop.call_at(ask.at, self.ask, ask)
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
        value = self.envelope.close(key, 1, record)
        self.watch.written(self.director, key, Slot(), Slot(last=1, version=1, value=value))
        self.store.slots = {**self.store.slots, key: Slot(last=1, version=1, value=value)}
        self.store.history = [(0.0, self.store.slots)]
        self.watch.durable_at[grant.access] = -1.0

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
        )
        engine = Engine(
            client,
            world,
            Credential,
            keys=KEY if self.plan.sealed else None,
            timeout=TIMEOUT,
            escrow=host.escrow if self.plan.escrow else None,
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

    # -- callers -----------------------------------------------------------------------------------------------------

    def ask(self, ask: Ask) -> None:
        worker = self.workers.get(ask.host)
        if worker is None or not worker.node.alive:
            return
        if self.telling:
            self.tell(worker.node.name, f"a caller asks: {ask.how} for {ask.account}")
        task = self.loop.spawn(worker.node, self._caller(worker, ask))
        worker.callers.append(task)
        if ask.patience is not None:
            self.loop.post(worker.node, ask.patience, self._cancel, task)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        if not task.done():
            self.cancelled.add(task)
            task.cancel()

    async def _caller(self, worker: Worker, ask: Ask) -> None:
        credential = worker.credential(ask.account)
        try:
            if ask.how in {"login", "logout", "rotate the secret"}:
                await self._come_or_go(worker, credential, ask)
                return
            if ask.how == "refresh":
                self.watch.refreshed[worker.node] = self.loop.now
                await self._get(worker, ask.account, credential.refresh(), wanted=True)
                return
            token = await self._get(worker, ask.account, credential.token())
            if ask.how == "use":  # a request takes its time
                await asyncio.sleep(self.loop.rng.random() * 0.5)
            if ask.how == "use" and token is not None and self.vendor.grants[token.access_token].revoked:
                self.tell(worker.node.name, f"  {token.access_token} is refused with a 401")
                await self._get(worker, ask.account, credential.replacement(token), wanted=True)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task not in self.cancelled:
                self.fail(f"promise 6: a caller on {worker.node} was cancelled, and nobody had asked for it")
            raise

    async def _come_or_go(self, worker: Worker, credential: Credential, ask: Ask) -> None:
        """The user logs in or out, or an operator replaces the client's secret."""
        account, node, began = ask.account, worker.node, self.loop.now
        self.tally[ask.how] += 1
        before = self.vendor.families[account].serial if self.plan.user else 0
        self.watch.upset[account] = self.loop.now
        try:
            if ask.how == "login":
                token = await credential.login(email=account, password="password")
                self.watch.handed(worker, account, token, began, None)
            elif ask.how == "logout":
                self.watch.leaving(account)
                await credential.logout()
                self.watch.gone(worker, account, before)
            else:
                await credential.rotate_secret()
        except (VendorUnavailable, RateLimited, StoreUnavailable, ConfigurationError) as error:
            self.tell(node.name, f"  {ask.how}: {type(error).__name__}: {error}")
        except ReauthorizationRequired as error:  # a logout that came later
            self.tell(node.name, f"  {ask.how}: {error}")
            self.watch.needs_user(node, account, str(error), began)
        except InvalidClient as error:
            self._client_refused(worker, error)
        except LinkAuthError as error:
            if not worker.closing:
                self.fail(f"{ask.how} on {node}: {type(error).__name__}: {error}")
        else:
            self.tell(node.name, f"  {ask.how}: done")
        self.watch.upset[account] = self.loop.now

    def _client_refused(self, worker: Worker, error: InvalidClient) -> None:
        """While the newest secret is on its way, and after it was lost."""
        self.tell(worker.node.name, f"  a caller is told: {error}")
        if not self.vendor.secret:
            self.fail(f"a caller on {worker.node} got InvalidClient, and the secret is what it was")

    async def _get(self, worker: Worker, account: str, asking: Any, *, wanted: bool = False) -> Token | None:
        began, node = self.loop.now, worker.node
        known = worker.known.get(account)
        # Expiry counts from the sending, and a look at the store's clock errs by as long as the look took.
        slack = 5.0 if self.plan.loss or self.plan.faults else 1.0
        good = known is not None and began < known.sent + known.lifetime * 14 / 15 - slack and not wanted
        try:
            token = await asking
        except ReauthorizationRequired as error:
            self.tell(node.name, f"  a caller is told: {error}")
            worker.known.pop(account, None)
            self.watch.needs_user(node, account, str(error), began)
        except (VendorUnavailable, RateLimited, StoreUnavailable) as error:
            self.tell(node.name, f"  a caller is told: {type(error).__name__}: {error}")
            good = good and known is not None and self.watch.upset.get(account, -1.0) < known.at
            # With no store to ask, a clock that was set is believed.
            blind = node in self.watch.stopped or node in self.watch.stepped
            if good and known is not None and not blind:
                self.watch.fail(7, f"a caller on {node} got {type(error).__name__} while {known.access} was good")
        except InvalidClient as error:
            self._client_refused(worker, error)
        except InvalidGrant as error:  # of one who asked alone, for the store was away
            self.tell(node.name, f"  a caller is told: {error}")
            if not self.comings or not worker.client.failures:
                self.fail(f"a caller on {node} got InvalidGrant: {error}")
        except (LinkAuthError, OAuthError) as error:
            if worker.closing:
                return None
            self.fail(f"a caller on {node} got {type(error).__name__}: {error}")
        else:
            if self.telling:
                self.tell(node.name, f"  a caller gets {token.access_token} after {self.loop.now - began:.3f} s")
            good = good and known is not None and self.watch.upset.get(account, -1.0) < known.at
            self.watch.handed(worker, account, token, began, known if good else None)
            worker.known[account] = self.vendor.grants[token.access_token]
            return token
        return None

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def hook(self, event: str, node: Node) -> None:
        waiting = self.waiting.get(event)
        if not waiting or node not in self.by_node:
            return
        for entry in list(waiting):
            entry[0] -= 1
            if entry[0] <= 0:
                waiting.remove(entry)
                fault: Fault = entry[1]
                if fault.steps == 0 or node.fuse is not None:
                    self.loop.post(self.director, 0.0, self.act, fault, node)
                else:
                    node.fuse = (fault.steps, lambda fault=fault: self.act(fault, node))

    def act(self, fault: Fault, node: Node | None) -> None:
        """Let it go wrong."""
        if self.loop.now >= self.plan.calm:
            return
        if fault.host is not None:
            node = self.workers[fault.host].node if fault.host in self.workers else None
        if node is not None and not node.alive:
            return
        self.tally[fault.do] += 1
        self.tell("FAULT", f"{fault.do} {node or ''} ({fault.seconds:g} s)")
        getattr(self, "_do_" + fault.do.replace(" ", "_"), self._do_trouble)(fault, node)

    def _later(self, seconds: float, undo: Any, *args: Any) -> None:
        self.loop.post(self.director, seconds, undo, *args)

    def _do_crash(self, fault: Fault, node: Node | None) -> None:
        if node is None:
            return
        worker = self.by_node[node]
        self.loop.kill(node)
        self.watch.flying.pop(node, None)
        self.workers.pop(worker.host.number, None)
        self.watch.disturb(node, "its worker died", 1e9)
        if fault.seconds < 1e5:
            self._later(fault.seconds, self._restart, worker.host)

    def _do_crash_closing(self, worker: Worker) -> None:
        self.watch.disturb(worker.node, "its worker died while closing", 1e9)
        self.loop.kill(worker.node)
        self.watch.flying.pop(worker.node, None)
        self.workers.pop(worker.host.number, None)
        self._restart(worker.host)

    def _restart(self, host: Host) -> None:
        if host.number not in self.workers:
            self.tell(f"w{host.number}", "starts again")
            self.start(host)

    def _do_close(self, fault: Fault, node: Node | None) -> None:
        """A deployment: the engine is closed, and when that is done the process ends, and another begins."""
        if node is not None and not self.by_node[node].closing:
            self.by_node[node].closing = True
            self.loop.spawn(node, self._close(self.by_node[node], fault.seconds))

    async def _close(self, worker: Worker, seconds: float) -> None:
        for task in self.keepers:
            if task.get_name() == worker.node.name:
                task.cancel()
        await worker.engine.aclose()
        self.tell(worker.node.name, "is closed")
        self.watch.closed(worker.node)
        self.loop.post(self.director, 0.0, self._do_crash, Fault(do="crash", seconds=seconds), worker.node)

    def _do_commits_refused(self, fault: Fault, node: Node | None) -> None:
        self.store.refuses.add("commit")
        self._later(fault.seconds, self.store.refuses.discard, "commit")

    def _do_stall(self, fault: Fault, node: Node | None) -> None:
        if node is None or node.frozen:
            return
        self.loop.freeze(node)
        self.watch.stopped[node] = self.loop.now
        self.watch.disturb(node, "its worker was stopped", fault.seconds)
        self.troubles.append((node, "its worker was stopped", self.loop.now + fault.seconds))
        self._later(fault.seconds, self._thaw, node)

    def _thaw(self, node: Node) -> None:
        if node.frozen and node.alive:
            self.tell(node.name, "goes on")
            self.watch.stopped[node] = self.loop.now
        self.loop.thaw(node)

    def _do_sleep(self, fault: Fault, node: Node | None) -> None:
        if node is None or node.frozen:
            return
        seconds = max(0.0, min(fault.seconds, self.plan.calm - self.loop.now))  # everybody is woken at the calm
        self.by_node[node].host.lag += seconds
        self.loop.postpone(node, seconds)
        self.watch.slept[node] = self.loop.now
        self._do_stall(fault, node)

    def _do_cut_store(self, fault: Fault, node: Node | None) -> None:
        self._cut(fault, node, "store")

    def _do_cut_vendor(self, fault: Fault, node: Node | None) -> None:
        self._cut(fault, node, "vendor")

    def _cut(self, fault: Fault, node: Node | None, other: str) -> None:
        if node is None:
            return
        cut = (node.name, other)
        self.net.cuts.add(cut)
        if other == "store":
            self.store.disconnect(node)
            self.watch.disturb(node, "its worker was cut off from the store", fault.seconds)
            if fault.seconds >= 3.0:
                self.troubles.append((node, "its worker was cut off from the store", self.loop.now + fault.seconds))
        self._later(fault.seconds, self.net.cuts.discard, cut)

    def _do_store_down(self, fault: Fault, node: Node | None) -> None:
        self.net.down.add("store")
        self.store.waiters.clear()
        self.store.disconnect()
        self.watch.disturb(None, "the store was away", fault.seconds)
        self._later(fault.seconds, self._store_up)

    def _store_up(self) -> None:
        if "store" in self.net.down:
            self.tell("store", "is back")
            self.watch.up_at = self.loop.now
        self.net.down.discard("store")

    def _do_store_restarted_empty(self, fault: Fault, node: Node | None) -> None:
        self.store.disconnect()
        self.store.lose(None)

    def _do_store_flushed(self, fault: Fault, node: Node | None) -> None:
        self.store.lose(None)

    def _do_store_fails_over(self, fault: Fault, node: Node | None) -> None:
        self.store.disconnect()
        self.store.lose(fault.seconds)

    def _do_clock(self, fault: Fault, node: Node | None) -> None:
        if node is not None:
            self.by_node[node].host.wall += fault.seconds
            if self.loop.now > 0:
                self.watch.stepped[node] = self.loop.now

    def _do_cancel_callers(self, fault: Fault, node: Node | None) -> None:
        if node is not None:
            for task in self.by_node[node].callers:
                if not task.done():
                    self.loop.post(node, 0.0, self._cancel, task)

    def _do_revoke(self, fault: Fault, node: Node | None) -> None:
        for grant in self.vendor.grants.values():
            grant.revoked = True

    def _do_trouble(self, fault: Fault, node: Node | None) -> None:
        self.trouble = fault.do
        self.hang = max(fault.seconds, 12.0)
        self._later(fault.seconds, self._trouble_over)

    def _trouble_over(self) -> None:
        self.trouble = ""

    # -- the end -----------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """Everything is mended, the dead start again, and all must come to a good end."""
        self.tell("director", "everything is mended")
        self.trouble = ""
        self.net.cuts.clear()
        self.store.refuses.clear()
        self._store_up()
        self.net.loss = self.net.twice = 0.0
        for host in self.hosts:
            worker = self.workers.get(host.number)
            if worker is None:
                self._restart(host)
            elif worker.closing:
                self._do_crash_closing(worker)
            elif worker.node.frozen:
                self._thaw(worker.node)
        self.loop.create_task(self._finish(), context=self.director.context.copy())

    async def _finish(self) -> None:
        workers = list(self.workers.values())
        await asyncio.sleep(self.plan.lifetime)
        tasks = set()
        asked = [worker for number, worker in enumerate(workers) if number == 0 or not self._is_as_new(worker)]
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
        await asyncio.wait(tasks, timeout=60.0)
        if any(not task.done() for task in tasks):
            self.fail("liveness: an engine does not close")
            return
        self.watch.at_the_end(workers)
        if not self.main.done():
            self.main.set_result(None)

    def _is_as_new(self, worker: Worker) -> bool:
        """Whether nothing ever happened to it: it would only ask the store, and be given what the first has brought."""
        node, watch = worker.node, self.watch
        if (
            worker.host.lives > 1
            or worker.client.failures
            or node in watch.stopped
            or node in watch.stepped
            or watch.epoch
        ):
            return False
        ledgers = [worker.credential(account).ledger for account in self.plan.accounts]
        return all(
            ledger.holding.version <= self.store.slot(ledger.key).version
            and not ledger.holding.failures
            and (ledger.leading is None or ledger.leading.number <= ledger.holding.version)
            for ledger in ledgers
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
        lost = account in self.watch.lost
        credential = worker.credential(account)
        told = len(self.watch.lost)
        token = await self._get(worker, account, credential.token())
        if token is not None and self.watch.has_left(account, self.plan.lifetime):
            self.watch.fail(4, f"{worker.node} serves {account}, who logged out long ago")
        if token is None and (account in self.watch.left or self.watch.secret_lost()):
            return True
        if token is None:
            return account in self.watch.lost and (lost or len(self.watch.lost) > told)
        return not self.vendor.grants[token.access_token].revoked


async def _opened(engine: Engine[Credential]) -> None:
    engine.open()


def run(plan: Plan, *, telling: bool = False) -> Outcome:
    """Run one schedule. Many: within ``campaign.quiet()``."""
    return Simulation(plan, telling=telling).run()
