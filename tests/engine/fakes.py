"""A world of our own making: a vendor that is a function, a store that can be lost, clocks that can be set."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import attrs

from linkauth import LinkXG, LinkXGUser, OAuth2
from linkauth.engine.credential import Credential
from linkauth.engine.engine import Engine
from linkauth.engine.world import World
from linkauth.errors import NoAnswer, NotSent, StoreUnavailable
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.token import Token
from linkauth.protocol.lineage import UNKNOWN
from linkauth.vendors.vendor import RotationProfile
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.events import Event
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.lineage import Lineage
    from linkauth.protocol.state import CredentialState

BASE = "https://vendor.example/api/v1"
CLIENT = LinkXG(client_id="shop", client_secret="first-secret", scope="products:read", base_url=BASE)


class Unstated(LinkXG):
    """The same vendor, which does not say how much it allows."""

    token_rate = None


UNSTATED = Unstated(client_id="shop", client_secret="first-secret", scope="products:read", base_url=BASE)
USER = LinkXGUser(base_url=BASE)
PAGE = OAuth2(
    name="page",
    client_id="shop",
    token_url=f"{BASE}/oauth/token",
    authorize_url=f"{BASE}/authorize",
    rotation=RotationProfile(rotates=False),
)
"""A vendor whose refresh tokens stay good."""


class Keeping(LinkXGUser):
    """LinkXG as it might be: a refresh token stays good."""

    rotation = RotationProfile()


LIFETIME = 900.0
LATER = 10**13
"""A number above every one that a user's word takes from the clock."""
_seeds = itertools.count(7)  # two workers with the same chance would give their leases the same owner


def answer(status: int, body: object, **headers: str) -> Response:
    return Response(status=status, headers=headers, body=body if isinstance(body, bytes) else json.dumps(body).encode())


def refusal(status: int, code: str, **headers: str) -> Response:
    return answer(status, {"success": False, "error": {"code": code, "message": "no"}}, **headers)


@attrs.define
class Fault:
    """What becomes of one request: the vendor ``acts`` on it or not, and then this is answered or raised."""

    outcome: Response | Exception | None = None
    acts: bool = False
    gate: asyncio.Event | None = None
    """Waited for before anything else."""
    delay: float = 0.0
    """Seconds between the vendor's act and its answer."""


class Vendor:
    """LinkXG in a few lines: client credentials, and users whose refresh token is good for one use.

    A second use is counted as ``reuse`` and ends the session, unless it comes within ``replay_window`` seconds.
    """

    def __init__(self, replay_window: float = 0.0) -> None:
        self.counts: Counter[str] = Counter()
        self.sent: list[tuple[float, str, str]] = []
        """When, where to, and the refresh token or client secret that was spent."""
        self.faults: list[Fault] = []
        self.delay = 0.0
        self.lifetime = LIFETIME
        self.secret = "first-secret"
        self.replay_window = replay_window
        self.refused: set[str] = set()
        """Sessions that are over."""
        self._numbers = itertools.count(1)
        self._refresh: dict[str, str] = {}
        self._spent: dict[str, tuple[float, str]] = {}

    async def send(self, request: Request, seconds: float) -> Response:
        try:
            async with asyncio.timeout(seconds):
                return await self._answer(request)
        except TimeoutError:
            raise NoAnswer("vendor.example: no answer in time") from None

    async def _answer(self, request: Request) -> Response:
        path = urlsplit(request.url).path.removeprefix("/api/v1")
        self.counts["requests"] += 1
        self.counts[path] += 1
        fields = self._fields(request)
        self.sent.append((virtual.monotonic(), path, fields.get("refreshToken", fields.get("client_secret", ""))))
        fault = self.faults.pop(0) if self.faults else Fault(acts=True)
        if fault.gate is not None:
            await fault.gate.wait()
        await asyncio.sleep(self.delay)
        true = self._act(path, fields) if fault.acts else None
        await asyncio.sleep(fault.delay)
        if isinstance(fault.outcome, Exception):
            raise fault.outcome
        found = fault.outcome or true
        assert found is not None
        return found

    def fails(self, *outcomes: Response | Exception, times: int = 1, acts: bool = False) -> None:
        self.faults += [Fault(outcome, acts) for _ in range(times) for outcome in outcomes]

    def holds(self) -> asyncio.Event:
        """The next request waits for what is returned, and is answered then."""
        gate = asyncio.Event()
        self.faults.append(Fault(None, acts=True, gate=gate))
        return gate

    def _fields(self, request: Request) -> dict[str, str]:
        if request.body.startswith(b"{"):
            return dict(json.loads(request.body))
        return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}

    def _act(self, path: str, fields: dict[str, str]) -> Response:
        number = next(self._numbers)
        if path == "/oauth/token":
            if fields["client_secret"] != self.secret:
                return answer(401, {"error": "invalid_client", "error_description": "no"})
            token = {"access_token": f"access-{number}", "token_type": "Bearer", "expires_in": self.lifetime}
            return answer(200, token)
        if path == "/auth/login":
            return self._pair(number, f"session-{number}")
        if path == "/auth/refresh":
            return self._redeem(number, fields["refreshToken"])
        if path == "/auth/logout":
            return answer(200, {"success": True})
        if path.endswith("/rotate"):
            self.secret = f"secret-{number}"
            return answer(200, {"success": True, "client_secret": self.secret})
        return answer(404, {})

    def _redeem(self, number: int, token: str) -> Response:
        session = self._refresh.get(token, "")
        if token in self._spent:
            at, successor = self._spent[token]
            if virtual.monotonic() > at + self.replay_window or successor in self._spent:
                self.counts["reuse"] += 1
                self.refused.add(session)
                return refusal(401, "REFRESH_TOKEN_REUSED")
            return self._pair(number, session, successor)
        if not session or session in self.refused:
            return refusal(401, "TOKEN_INVALID")
        found = self._pair(number, session)
        self._spent[token] = virtual.monotonic(), f"refresh-{number}"
        return found

    def _pair(self, number: int, session: str, refresh: str = "") -> Response:
        refresh = refresh or f"refresh-{number}"
        self._refresh[refresh] = session
        claims = base64.urlsafe_b64encode(json.dumps({"iat": 0, "exp": self.lifetime, "n": number}).encode())
        access = f"x.{claims.rstrip(b'=').decode()}.x"
        return answer(200, {"success": True, "data": {"accessToken": access, "refreshToken": refresh}})


class Store:
    """A store that can be away, and that counts its calls and lets a test step in before and after each."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner or MemoryStore(clock=virtual.wall)
        self.down: set[str] = set()
        """Calls that fail; ``*``: all."""
        self.hung: set[str] = set()
        """Calls that are never answered; ``*``: all."""
        self.lost: set[str] = set()
        """Calls that are done but whose answer is lost."""
        self.counts: Counter[str] = Counter()
        self.before: Callable[[str], Any] = lambda name: None
        self.after: Callable[[str], Any] = lambda name: None
        """When it is done, and not answered yet."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name in {"aclose", "keys"}:
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.counts[name] += 1
            if (waiting := self.before(name)) is not None:
                await waiting
            if {name, "*"} & self.down:
                raise StoreUnavailable("the store is away")
            if {name, "*"} & self.hung:
                await asyncio.Event().wait()
            found = await method(*args, **kwargs)
            if (waiting := self.after(name)) is not None:
                await waiting
            if {name, "*"} & self.lost:
                raise StoreUnavailable("the answer is lost")
            return found

        return call


class Escrow:
    """An escrow in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], Any] = {}

    async def put(self, kept: Any) -> None:
        self.kept[kept.key, kept.number] = kept

    async def drop(self, key: str, number: int) -> None:
        self.kept = {at: kept for at, kept in self.kept.items() if at[0] != key or at[1] > number}

    async def find(self, key: str) -> Any:
        mine = sorted(number for at, number in self.kept if at == key)
        return self.kept[key, mine[-1]] if mine else None

    async def everything(self) -> list[Any]:
        return [await self.find(key) for key in sorted({key for key, _ in self.kept})]


class Machine:
    """Where processes live, and are seen to die by one another."""

    def __init__(self, name: str = "machine") -> None:
        self.name = name
        self.dead: set[str] = set()
        self._numbers = itertools.count(1)

    def process(self) -> Process:
        return Process(self, f"{self.name}.{next(self._numbers)}.0")


@attrs.frozen
class Process:
    """One of them."""

    machine: Machine
    name: str

    def own(self) -> str:
        return self.name

    def is_alive(self, name: str) -> bool | None:
        return name not in self.machine.dead if name.startswith(f"{self.machine.name}.") else None

    def dies(self) -> None:
        self.machine.dead.add(self.name)


class Worker(Engine):
    """An engine in a world of our own: one worker of the fleet. ``wall_ahead`` and ``slept``: what its clocks show.

    ``machine``: on which its process runs; None: on one of its own.
    """

    def __init__(self, store: Any, vendor: Vendor, machine: Machine | None = None, **kwargs: Any) -> None:
        self.process = (machine or Machine(f"machine-{next(_seeds)}")).process()
        self.events: list[Event] = []
        self.wall_ahead = 0.0
        self.slept = 0.0
        self.offline = False
        """Cut off from the vendor, never from the store."""
        self._vendor = vendor
        chance = random.Random(next(_seeds))
        world = World(
            send=self._send,
            monotonic=lambda: virtual.monotonic() - self.slept,
            wall=lambda: virtual.wall() + self.wall_ahead,
            random=chance,
            entropy=chance.randbytes,
            processes=self.process,
        )
        super().__init__(store, world, Credential, on_event=self.events.append, **kwargs)

    async def _send(self, request: Request, seconds: float) -> Response:
        if self.offline:
            raise NotSent("vendor.example: no connection came about")
        return await self._vendor.send(request, seconds)

    async def killed(self) -> None:
        """As after kill -9: what it has in the air goes no further, and nothing is given back."""
        self.process.dies()
        flights = tuple(self.context.flights._flights)
        for flight in flights:
            assert flight._work is not None
            flight._work.cancel()
        await asyncio.wait({flight.task for flight in flights})

    def heard(self) -> list[str]:
        return [event.kind.value for event in self.events]


def remembered(credential: Credential) -> CredentialState:
    """What its worker has of it in its memory: for what no public name tells."""
    return credential.replica.state


def remember(
    credential: Credential,
    token: Token,
    version: int,
    time: StoreTime | None = None,
    *,
    stored: bool = True,
    lineage: Lineage = UNKNOWN,
) -> None:
    """Have its worker see that the store's record ``version`` holds ``token``: just now, or at ``time``."""
    replica = credential.replica
    seen = replica.context.clock.here() if time is None else time
    replica.observe(replica._entry(token, version, lineage), seen, stored=stored)


async def paired(worker: Worker, store: Store) -> Credential:
    """A credential whose refresh token stays good, with a second to live."""
    credential = worker.credential(PAGE)
    _, time = await worker.context.store_client.ask(store.read(credential.replica.key))
    token = Token(access_token="old", issued_at=time.now, expires_at=time.now + 1, refresh_token="stays")
    remember(credential, token, 1, time)
    return credential


async def logged_in(worker: Worker, account: str = "default") -> Credential:
    """A user's credential that has a token."""
    credential = worker.credential(USER, account)
    await credential.login(email="ada@example.com", password="correct horse")
    return credential
