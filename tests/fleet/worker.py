"""A worker of the fleet: a process with an engine. Orders as lines of JSON in, answers as lines of JSON out.

``python -m tests.fleet.worker`` speaks on its standard input and output. To import takes longer than most tests, so
``--nursery`` reads names of Unix sockets from its standard input instead and forks a worker for each, which connects
there. The first order says what the engine is made of (``Worker.__init__``); every further one is
``{"id": 7, "do": "token", …}`` with the arguments of the method of that name, and is answered, whenever it is done,
``{"id": 7, "answer": …}``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs

import linkauth
from linkauth import front
from linkauth.errors import LinkAuthError
from linkauth.protocol import timing
from linkauth.transport import Transport
from tests.chaos.planted import FAULTS
from tests.chaos.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.credential import Credential
    from linkauth.engine.events import Event
    from linkauth.oauth.exchange import Request, Response

BIG = 1 << 24
"""Bytes that one line may have."""


class Worker:
    """An engine on ``store`` and a credential of ``vendor`` (a class of ``linkauth`` and its arguments) per account.

    ``engine``: more of its arguments. ``wall_ahead``: seconds by which this host's clock is wrong. ``detour``: the
    vendor's origin and the one at which it is reached instead, as through this host's own network. ``name``: what the
    vendor sees in ``X-Worker``. ``constants``: seconds by name, such as ``LEASE_MORE`` of ``protocol.timing``, for tests that cannot wait.
    ``trace``: say what the engine does, unasked (``tests.chaos.tracing``). ``planted``: a fault to work with
    (``tests.chaos.planted``). ``stuck``: what it would commit never reaches the store, and it says so, unasked.
    """

    def __init__(
        self,
        say: Callable[[object], None],
        *,
        store: str,
        vendor: dict[str, Any],
        engine: dict[str, Any] | None = None,
        wall_ahead: float = 0.0,
        detour: list[str] | None = None,
        name: str = "",
        constants: dict[str, float] | None = None,
        trace: bool = False,
        planted: str = "",
        stuck: bool = False,
    ) -> None:
        self._say = say
        self._heard: Counter[str] = Counter()
        self._complaints: list[str] = []
        self._work: asyncio.Task[Any] | None = None
        self._detour = detour
        self._name = name
        self._sends = 0
        if wall_ahead:
            front.time = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + wall_ahead)  # type: ignore[assignment]
        front.Transport = self._transport  # type: ignore[assignment, misc]
        for constant, seconds in (constants or {}).items():
            assert hasattr(timing, constant)
            setattr(timing, constant, seconds)
        self._listen_for_complaints()
        told = dict(vendor)
        self.vendor = getattr(linkauth, told.pop("class"))(**told)
        if planted:
            FAULTS[planted]()
        self._tracer = Tracer(say) if trace else None
        self.engine = front.AuthEngine(store, on_event=self._hear, **(engine or {}))
        if self._tracer is not None:
            self._tracer.follow(self.engine.context.store_client.store)
        if stuck:
            self.engine.context.store_client.store.commit = self._never  # type: ignore[method-assign]
        self.engine.open()

    # -- orders ----------------------------------------------------------------------------------------------------

    async def login(self, email: str, password: str, account: str = "default") -> dict[str, Any]:
        """Log in."""
        return _told(await self._credential(account).login(email=email, password=password))

    async def authorize(self, account: str = "default") -> str:
        """Where to send the user."""
        return await self._credential(account).authorization_url("http://127.0.0.1:8080/connect/sagex3/callback")

    async def complete(self, params: dict[str, str], account: str = "default") -> dict[str, Any]:
        """Take the callback."""
        return _told(await self._credential(account).complete(params))

    async def token(self, account: str = "default") -> dict[str, Any]:
        """A token."""
        return _told(await self._credential(account).token())

    async def refresh(self, account: str = "default") -> dict[str, Any]:
        """A newer token."""
        return _told(await self._credential(account).refresh())

    async def crowd(self, tasks: int, accounts: list[str] | None = None) -> dict[str, Any]:
        """So many tasks for each account that want a token at the same moment: how they fared."""
        names = accounts or ["default"]
        callers = [self._credential(name).token() for name in names for _ in range(tasks)]
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        tokens = [each for each in outcomes if not isinstance(each, BaseException)]
        return {
            "served": len(tokens),
            "tokens": sorted({token.access_token for token in tokens}),
            "errors": Counter(_words(each) for each in outcomes if isinstance(each, BaseException)),
        }

    async def work(
        self, tasks: int, pace: float, seconds: float = 1e9, accounts: list[str] | None = None, calls: float = 0.0
    ) -> dict[str, Any]:
        """Tasks that want a token every ``pace`` seconds, for so long or until ``rest``: how it went.

        ``waited``: had to wait for one, ``longest`` seconds at the most; ``slowest``: the same of those who did not
        have to. ``lag``: the longest time (seconds) for which the machine kept this process from running.
        ``calls``: seconds between two calls at the vendor, by one task for each account; their statuses are counted.
        """
        told: Counter[str] = Counter(asked=0, waited=0, served=0)
        errors: Counter[str] = Counter()
        statuses: Counter[str] = Counter()
        most = {"slowest": 0.0, "longest": 0.0, "lag": 0.0}
        end = time.monotonic() + seconds
        names = accounts or ["default"]

        async def ask(credential: Credential) -> Any:
            told["asked"] += 1
            begun, waits = time.monotonic(), credential.peek() is None
            told["waited"] += waits
            try:
                token = await credential.token()
            except LinkAuthError as error:
                errors[_words(error)] += 1
                return None
            told["served"] += 1
            name = "longest" if waits else "slowest"
            most[name] = max(most[name], time.monotonic() - begun)
            return token

        async def clock() -> None:
            while (now := time.monotonic()) < end:
                await asyncio.sleep(0.01)
                most["lag"] = max(most["lag"], time.monotonic() - now - 0.01)

        async def task(number: int) -> None:
            credential = self._credential(names[number % len(names)])
            await asyncio.sleep(pace * number / tasks)
            while time.monotonic() < end:
                await ask(credential)
                await asyncio.sleep(pace)

        async def caller(name: str, session: aiohttp.ClientSession) -> None:
            credential = self._credential(name)
            while time.monotonic() < end:
                token = await ask(credential)
                if token is not None:
                    await call(session, token)
                await asyncio.sleep(calls)

        async def call(session: aiohttp.ClientSession, token: Any) -> None:
            url = self._reached(f"{self.vendor.api(token)}/products")
            try:
                async with session.get(url, headers={"Authorization": token.authorization}) as response:
                    await response.read()
                    statuses[str(response.status)] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                statuses[type(error).__name__] += 1

        async def everybody() -> None:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
                everyone = [clock(), *(task(number) for number in range(tasks))]
                if calls:
                    everyone += [caller(name, session) for name in names]
                await asyncio.gather(*everyone)

        self._work = asyncio.create_task(everybody())
        await asyncio.wait({self._work})
        if not self._work.cancelled():
            self._work.result()
        return {**told, "errors": errors, "statuses": statuses, **most}

    async def rest(self) -> None:
        """End ``work``."""
        if self._work is not None:
            self._work.cancel()

    async def keep_alive(self, every: float, rounds: int) -> int:
        """Make rounds."""
        return await self.engine.keep_alive(self.vendor, every=every, rounds=rounds)

    async def state(self, account: str = "default") -> dict[str, Any]:
        """What this worker knows, and what went wrong that nobody was told of."""
        credential = self._credential(account)
        held = credential.replica.state
        return {
            "version": held.version,
            "valid": credential.peek() is not None,
            "stored": held.stored,
            "kept": credential.replica.outbox.kept is not None,
            "heard": self._heard,
            "complaints": self._complaints,
            "sends": self._sends,
            "tasks": len(asyncio.all_tasks()),
        }

    async def close(self) -> None:
        """Close the engine, as a program that ends well does."""
        await self.engine.aclose()

    # -- the rest --------------------------------------------------------------------------------------------------

    async def obey(self, order: dict[str, Any]) -> None:
        """Do as ordered, and answer."""
        answer: dict[str, Any] = {"id": order.pop("id")}
        try:
            answer["answer"] = await getattr(self, order.pop("do"))(**order)
        except LinkAuthError as error:
            answer["error"] = [type(error).__name__, str(error)]
        self._say(answer)

    async def _never(self, *_: Any, **__: Any) -> Any:
        self._say({"mark": {"stuck": True}})
        await asyncio.Event().wait()

    def _credential(self, account: str) -> Any:
        return self.engine.credential(self.vendor, account)

    def _hear(self, event: Event) -> None:
        self._heard[event.kind.value] += 1
        if self._tracer is not None:
            self._tracer.hear(event)

    def _reached(self, url: str) -> str:
        return url.replace(*self._detour, 1) if self._detour else url

    def _transport(self, *given: Any) -> Transport:
        worker = self

        class Detour(Transport):
            async def send(self, request: Request, seconds: float) -> Response:
                worker._sends += 1
                headers = {**request.headers, "X-Worker": worker._name}
                url = worker._reached(request.url)
                sending = super().send(attrs.evolve(request, url=url, headers=headers), seconds)
                return await (worker._tracer.around(request, sending) if worker._tracer else sending)

        return Detour(*given)

    def _listen_for_complaints(self) -> None:
        """Of asyncio: a task's exception that nobody retrieved, a callback that raised, a task that was destroyed."""
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self._complaints.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("asyncio").addHandler(handler)


def _told(token: Any) -> dict[str, Any]:
    return {"access_token": token.access_token, "expires_at": token.expires_at}


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


async def serve(reader: asyncio.StreamReader, say: Callable[[object], None]) -> None:
    """Obey until the orders end. Then, or at a signal, the process ends without a word, as one that is killed."""
    worker = Worker(say, **json.loads(await reader.readline()))
    say({"pid": os.getpid()})
    orders = set()
    while line := await reader.readline():
        order = asyncio.create_task(worker.obey(json.loads(line)))
        orders.add(order)
        order.add_done_callback(orders.discard)
    os._exit(0)


async def on_socket(path: str) -> None:
    """Orders come by the Unix socket at ``path``."""
    reader, writer = await asyncio.open_unix_connection(path, limit=BIG)
    await serve(reader, lambda what: writer.write(json.dumps(what).encode() + b"\n"))


async def on_pipes() -> None:
    """Orders come by standard input."""
    reader = asyncio.StreamReader(limit=BIG)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await serve(reader, lambda what: print(json.dumps(what), flush=True))


def nursery() -> None:
    """Fork a worker for each path that comes by standard input, until that ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    import redis.asyncio.cluster
    import redis.asyncio.sentinel  # noqa: F401  # so that the workers need not

    import linkauth_stores.file
    import linkauth_stores.redis  # noqa: F401

    gc.freeze()
    while line := os.read(0, 4096):
        for path in line.split():
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                with suppress(KeyboardInterrupt, ConnectionError):
                    asyncio.run(on_socket(os.fsdecode(path)))
                os._exit(1)


if __name__ == "__main__":
    nursery() if "--nursery" in sys.argv else asyncio.run(on_pipes())
