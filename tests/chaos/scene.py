"""The parts of a campaign: hosts with links of their own, the vendor, and the store: two servers, or a folder."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import attrs
import redis.asyncio as aioredis

from linkauth import LinkXGUser, open_store
from linkauth.engine.codec import Codec
from linkauth.engine.encryption import Sealer
from linkauth.errors import StoreError
from linkauth.protocol.keys import token_key
from linkauth.protocol.records import TokenRecord
from linkauth.sandbox import Sandbox
from linkauth.store import Record
from tests.chaos.judge import TIMEOUT
from tests.chaos.witness import Witness
from tests.fleet.fleet import Died, Fleet, Nursery, Refused, Worker
from tests.fleet.link import Link
from tests.servers import Server, replicated

if TYPE_CHECKING:
    import random
    from pathlib import Path

LIFETIME = 3.0
"""Seconds of an access token."""
GAP = 0.05
"""Seconds between two looks into the store."""


@attrs.define(eq=False)
class Host:
    """A place where a worker runs, with its links."""

    name: str
    vendor: Link
    store: Link | None = None
    """None: the store is a folder."""
    escrow: str | None = None
    worker: Worker | None = None
    told: Counter[str] = attrs.field(factory=Counter)
    """What it heard, as of the last look."""
    memory: list[tuple[float, float]] = attrs.field(factory=list)
    """When (s) the worker had how many MB."""
    expected: bool = False
    """Its worker was killed on purpose."""


class Scene:
    """``async with Scene(…) as scene``: everything runs, with a worker on every host but nobody logged in."""

    def __init__(
        self,
        folder: Path,
        chance: random.Random,
        *,
        store: str = "redis",
        hosts: int = 4,
        accounts: int = 10,
        constants: dict[str, float] | None = None,
        nursery: Nursery | None = None,
        planted: str = "",
        only: str = "",
    ) -> None:
        """``only``: a pattern of the deeds that may be done."""
        self.folder = folder
        self.chance = chance
        self.on_redis = store == "redis"
        self.names = [f"account{number}" for number in range(accounts)]
        self.keys = base64.b64encode(secrets.token_bytes(32)).decode()
        self.servers: list[Server] = []
        self.hosts: list[Host] = []
        self.only = only
        self.logins = 0
        self.busy: set[str] = set()
        """What is being disturbed."""
        self._count = hosts
        self._order = {"constants": constants or {}, "planted": planted}
        self._nursery = nursery
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        if self.on_redis:
            servers = self._stack.enter_context(ExitStack())
            self.servers = await asyncio.to_thread(servers.enter_context, replicated(self.folder))
        limits = {"login_limit": None, "refresh_limit": None, "user_token_lifetime": LIFETIME}
        self.sandbox = Sandbox(linkxg=limits)
        self.witness = Witness(self.sandbox, self.chance)  # before the sandbox opens its doors
        self.evidence = self.witness.evidence
        self.evidence.lifetime = LIFETIME
        await enter(self.sandbox)
        self.vendor = LinkXGUser(base_url=self.sandbox.linkxg.base_url)
        for name in self.names:
            self.sandbox.linkxg.add_user(email=f"{name}@example.com")
        if self._nursery is None:
            self._nursery = Nursery()
            self._stack.callback(self._nursery.close)
        order = {"vendor": {"class": "LinkXGUser", "base_url": self.vendor.base_url}, **self._order}
        self.fleet = await enter(Fleet(self._nursery, **order))
        for number in range(self._count):
            host = Host(f"host{number}", await enter(Link(self.sandbox.port)))
            if self.on_redis:
                host.store = await enter(Link(self.master.port))
            if number % 2:  # every other one
                host.escrow = str(self.folder / f"escrow{number}")
                self.evidence.with_escrow.append(host.name)
            self.hosts.append(host)
        self.evidence.begun = time.monotonic()
        for host in self.hosts:
            await self.populate(host)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def master(self) -> Server:
        """The server that is written to."""
        return self.servers[0]

    def url(self, host: Host | None = None) -> str:
        """The store's, as ``host`` sees it, or as everybody does whom no link separates from it."""
        if not self.on_redis:
            return f"file:{self.folder / 'store'}"
        return f"redis://127.0.0.1:{host.store.port}/0" if host and host.store else self.master.url

    async def populate(self, host: Host) -> None:
        """Start a worker there, and have it work."""
        worker = await self.fleet.worker(
            store=self.url(host),
            engine={"timeout": TIMEOUT, "keys": self.keys, "escrow": host.escrow},
            detour=[self.sandbox.url, f"http://127.0.0.1:{host.vendor.port}"],
            name=host.name,
            trace=True,
        )
        worker.on_mark = self.witness.hears(host.name)
        host.worker, host.memory, host.expected = worker, [], False
        worker.ask("work", tasks=40, pace=0.2, accounts=self.names, calls=0.7)

    async def newcomer(self) -> Worker:
        """A worker that knows nothing, and that nothing separates from store and vendor."""
        worker = await self.fleet.worker(
            store=self.url(), engine={"timeout": TIMEOUT, "keys": self.keys}, name="newcomer", trace=True
        )
        worker.on_mark = self.witness.hears("newcomer")
        return worker

    async def log_in(self, name: str, **why: Any) -> None:
        """By whichever worker can. ``why``: what the witness notes of it."""
        self.logins += 1
        self.witness.why[name] = why
        user = self.sandbox.linkxg.users[f"{name}@example.com"]
        while True:
            worker = self.chance.choice(self.hosts).worker
            assert worker
            with suppress(Refused, Died, TimeoutError):
                async with asyncio.timeout(10):
                    await worker.ask("login", email=user.email, password=user.password, account=name)
                    return
            await asyncio.sleep(0.1)

    async def watch_the_store(self) -> None:
        """What is in it, twenty times a second: a commit whose answer was lost is known by nothing else."""
        codec = Codec(Sealer([self.keys], secrets.token_bytes))
        keys = [token_key(self.vendor, name) for name in self.names]
        while True:
            with suppress(aioredis.RedisError, OSError, TimeoutError, StoreError):
                async with asyncio.timeout(1 if self.on_redis else None):
                    await (self._look_into_servers if self.on_redis else self._look_into_folder)(keys, codec)
            await asyncio.sleep(GAP)

    async def _look_into_servers(self, keys: list[str], codec: Codec) -> None:
        async with aioredis.Redis(host="127.0.0.1", port=self.master.port, socket_timeout=0.5) as client:
            while True:
                pipeline = client.pipeline(transaction=False)
                for key in keys:
                    pipeline.hmget(f"linkauth:{{{key}}}", "version", "value")
                for key, (version, value) in zip(keys, await pipeline.execute(), strict=True):
                    self._saw(codec, key, version and Record(int(version), value))
                await asyncio.sleep(GAP)

    async def _look_into_folder(self, keys: list[str], codec: Codec) -> None:
        store = open_store(self.url())
        while True:
            for key in keys:
                self._saw(codec, key, (await store.read(key)).record)
            await asyncio.sleep(GAP)

    def _saw(self, codec: Codec, key: str, record: Any) -> None:
        found = codec.open(key, record) if record else None
        if isinstance(found, TokenRecord):
            self.witness.saw_in_store(found.token.refresh_token)
