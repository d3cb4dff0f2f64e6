"""``RedisStore``: one round trip for each method, nothing while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from linkauth.errors import ConfigurationError, CorruptRecord, StoreUnavailable
from linkauth.store import Busy, Change, Claim, Commit, Committed, Finding, Granted, Newer, Reading, Record, Superseded
from linkauth_stores.redis import batches, scripts, settings
from linkauth_stores.redis.ears import Ears
from linkauth_stores.redis.session import Session
from linkauth_stores.redis.trips import Argument, run, run_and_wait
from linkauth_stores.redis.url import Client, Settings, checked, listener, parse, place

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

__all__ = ["RedisStore", "from_url"]

_ABANDONED: list[object] = []
"""What a forked child inherited. Closing it would take the parent's sockets out of the loop that both share."""


class RedisStore:
    """A ``TokenStore`` on Redis 6.2 or newer, or Valkey: one server, Sentinel or a cluster.

    ``url_or_client``: a URL (``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://``, ``redis+cluster://``; see
    ``linkauth_stores.redis.url``), or an asyncio client of redis-py with ``decode_responses`` off. A client of your own is
    used as it is: its time-outs, retries and pool are yours, closing it too, and it serves the one loop that it was made
    for. With a URL the store may be used from any number of loops and after a fork; ``aclose`` closes what belongs to the
    loop that it runs in.

    ``prefix``: what every key and the one channel begin with. ``timeout``: seconds for one round trip, its one repeat
    after a lost connection included. ``min_replicas``: how many replicas a commit waits for, for two fifths of ``timeout``
    at most. When fewer answered, that is logged as a warning and the commit stands: it cannot be undone. ``connections``:
    how many at once, in each loop, beside the one that listens. The three first can be set in the URL's query, too.

    What the server's user has to be allowed, with the prefix ``linkauth``::

        ACL SETUSER linkauth on >PASSWORD resetchannels ~linkauth:* &linkauth:* +evalsha +eval +time +hmget +hset +hdel
            +del +rename +pttl +pexpire +persist +publish +subscribe +scan +info
            (+select for a database other than 0, +wait with min_replicas, +cluster|slots +asking in a cluster)

    INFO tells how long the server is up: after a restart with older data others still hold what is newer.

    A server that evicts keys when its memory is full must not evict these: use ``noeviction`` or a ``volatile-`` policy.
    Replication is asynchronous: a failover may lose the last writes, which the vendor's rotation then judges.

    Raises ``ConfigurationError`` here, without I/O, for what cannot work. Every method raises ``StoreUnavailable`` where
    the server does not answer or refuses, and ``CorruptRecord`` for what this store did not write.
    """

    def __init__(
        self,
        url_or_client: str | Any,
        *,
        prefix: str = "linkauth",
        min_replicas: int = 0,
        timeout: float = 2.0,
        connections: int = 16,
    ) -> None:
        own: dict[str, Any] = {"prefix": prefix, "min_replicas": min_replicas, "timeout": timeout}
        self._settings: Settings | None = None
        self._client: Client | None = None
        if isinstance(url_or_client, str):
            self._settings, chosen = parse(url_or_client)
            own |= chosen
            self._cluster = self._settings.cluster
        else:
            self._client = url_or_client
            self._cluster = hasattr(url_or_client, "get_primaries")
            if url_or_client.get_encoder().decode_responses:
                raise ConfigurationError("RedisStore keeps bytes: make the client with decode_responses=False")
        checked(**own)
        self._prefix: str = own["prefix"]
        self._min_replicas: int = own["min_replicas"]
        self._timeout: float = own["timeout"]
        self._connections = connections
        self._channel = f"{self._prefix}:changes"
        self._pid = os.getpid()
        self._sessions: dict[asyncio.AbstractEventLoop, Session] = {}
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None

    # -- the protocol --------------------------------------------------------------------------------------------------

    async def read(self, key: str) -> Reading:
        return _reading(await self._run(scripts.READ, key))

    async def read_many(self, keys: Sequence[str]) -> list[Reading | CorruptRecord]:
        """``linkauth.store.Batching``: all of them in one round trip, of a cluster one to each node."""
        return await self._session().ask(partial(batches.read_many, prefix=self._prefix, keys=keys)) if keys else []

    async def claim(self, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Claim:
        ears = self._session().ears
        # Before the claim, or a change right behind it would go unheard. Done once in a process's life.
        since = await ears.open()
        found = await self._run(scripts.CLAIM, key, owner, _ms(ttl), newer_than, note)
        reading = _reading(found)
        if reading.record is not None and found[0] == b"newer":
            return Newer(record=reading.record, note=reading.note, now=reading.now)
        if found[0] == b"granted":
            number, inherited = found[6:8]
            return Granted(
                record=reading.record, note=reading.note, now=reading.now, number=number, inherited=bool(inherited)
            )
        holder, remaining, number = found[6:9]
        ears.busy(key, since, asyncio.get_running_loop().time() + remaining / 1000)
        return Busy(
            record=reading.record,
            note=reading.note,
            now=reading.now,
            holder=holder.decode(errors="replace"),
            remaining=remaining / 1000,
            number=number,
        )

    async def commit(self, key: str, number: int, value: bytes, ttl: float | None = None) -> Commit:
        lasts = 0 if ttl is None else _ms(ttl)
        found = await self._run(scripts.COMMIT, key, number, value, lasts, self._channel, key)
        reading = _reading(found)
        if found[0] == b"committed":
            return Committed(now=reading.now)
        return Superseded(record=reading.record, now=reading.now)

    async def extend(self, key: str, number: int, ttl: float) -> bool:
        return _yes(await self._run(scripts.EXTEND, key, number, _ms(ttl)))

    async def release(self, key: str, number: int, note: bytes = b"") -> bool:
        """As the protocol says. Where the answer was lost and the release repeated, it says False."""
        return _yes(await self._run(scripts.RELEASE, key, number, note, self._channel, key))

    async def take(self, key: str) -> Reading:
        """As the protocol says. Where the answer was lost, what was taken is handed out again to the same call alone."""
        who, patience = os.urandom(16).hex(), _ms(2 * self._timeout)
        return _reading(await self._run(scripts.TAKE, key, who, patience, self._channel, key))

    async def delete(self, key: str, number: int) -> bool:
        return _yes(await self._run(scripts.DELETE, key, number, self._channel, key))

    async def wait_for_change(self, key: str, newer_than: int, timeout: float) -> None:
        """As the protocol says. Behind a claim that said Busy it costs nothing for a second, then a look now and then."""
        ears = self._session().ears
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        gap = 1.0
        heard = ears.since(key)
        while True:
            if heard is None:
                since = await ears.open()
                found = await self._run(scripts.READ, key)
                record = _reading(found).record
                if found[6] <= 0 or (record is not None and record.version > newer_than):
                    return
                heard = ears.now() if since is None else since, clock() + found[6] / 1000
            since, lease_ends = heard
            now = clock()
            pause = min(deadline - now, max(lease_ends - now, 0) + 0.01, gap * random.uniform(0.8, 1.2))  # noqa: S311  spreads load
            if await ears.wait(key, since, max(pause, 0)) or clock() >= deadline:
                return
            heard, gap = None, min(gap * 2, 5.0)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """As the protocol says. By SCAN: a key may come twice while the server resizes its table."""
        before = f"{self._prefix}:{{"
        pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", before + prefix) + "*}"
        session = self._session()
        for node in await session.ask(self._nodes):
            cursor = 0
            while True:
                cursor, page = await session.ask(partial(_page, node, cursor, pattern))
                for name in dict.fromkeys(page):
                    yield name.decode("ascii", "replace")[len(before) : -1]
                if not cursor:
                    break

    async def changes(self) -> AsyncIterator[Change | None]:
        """Every change, as the server publishes it; None after each (re)connection of the subscription."""
        async for change in self._session().ears.changes():
            yield change

    async def uptime(self) -> float:
        """Seconds since the server was started; of a cluster, the one that was started last. Without the right to INFO: infinity."""
        session = self._session()
        found = [await session.ask(partial(_uptime, node)) for node in await session.ask(self._nodes)]
        return min(found, default=math.inf)

    async def findings(self) -> list[Finding]:
        """``linkauth.store.Advising``: each server's version, persistence and eviction."""
        session = self._session()
        nodes = await session.ask(self._nodes)
        return [each for node in nodes for each in await session.ask(partial(settings.findings, node))]

    def bind(self) -> None:
        """Say now whether this loop can be served. Raises ``ConfigurationError``, as every method would."""
        self._session()

    async def aclose(self) -> None:
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None and self._pid == os.getpid():
            await session.end.aclose()

    async def _until_the_end(self, session: Session) -> AsyncGenerator[None]:
        """Closed by ``aclose``, or by a loop that ends (``loop.shutdown_asyncgens``), which tells nobody else."""
        try:
            yield
        finally:
            loop = asyncio.get_running_loop()
            if self._sessions.get(loop) is session:
                del self._sessions[loop]
            await session.aclose(client=self._client is None)

    # -- one round trip ------------------------------------------------------------------------------------------------

    async def _run(self, script: scripts.Script, key: str, *args: Argument) -> list[Any]:
        record = f"{self._prefix}:{{{key}}}"
        names = (record, f"{record}:lease", f"{record}:taken")[: script.keys]
        work = partial(run, script=script, names=names, args=args)
        if self._min_replicas and script is scripts.COMMIT:
            # Less than half, for a cluster's client gives up on a silent node after half.
            patience = 0.4 * self._timeout
            work = partial(
                run_and_wait, script=script, names=names, args=args, replicas=self._min_replicas, patience=patience
            )
        found = await self._session().ask(work, key, careful=script is scripts.CLAIM)
        if found[0] == b"corrupt":
            raise CorruptRecord(f"Redis: the record {key!r} cannot be read: it is not what this store writes")
        return found

    async def _nodes(self, client: Any) -> list[Any]:
        """What can be scanned: the one server, or each primary of a cluster."""
        if not self._cluster:
            return [client]
        await client.initialize()
        return list(client.get_primaries())

    def _session(self) -> Session:
        loop = asyncio.get_running_loop()
        if self._pid != os.getpid():
            _ABANDONED.append(self._sessions)
            self._sessions, self._pid = {}, os.getpid()
        session = self._sessions.get(loop)
        if session is None:
            for old in list(self._sessions):  # other threads' loops come and go meanwhile
                if old.is_closed():
                    self._sessions.pop(old, None)
            client = self._made(loop)
            where = place(client) if self._settings is None else self._settings.where
            ears = Ears(lambda: listener(client), self._channel, self._timeout, where)
            session = Session(client, ears, self._timeout, asyncio.Semaphore(self._connections), where)
            self._sessions[loop] = session
            session.end = self._until_the_end(session)
            with contextlib.suppress(StopIteration):
                session.end.__anext__().send(None)  # begun, which is when the loop comes to know it
        return session

    def _made(self, loop: asyncio.AbstractEventLoop) -> Client:
        """A client for ``loop``: a new one, or the caller's, which knows one loop of one process."""
        if self._settings is not None:
            return self._settings.client(self._timeout, self._connections + 1)
        here = (os.getpid(), loop)
        if self._client is None or self._home not in {None, here}:
            raise ConfigurationError("RedisStore: a client of your own serves one loop of one process; give a URL")
        self._home = here
        return self._client


def from_url(url: str) -> RedisStore:
    """The store that ``url`` names; for ``open_store``. Raises ``ConfigurationError``, without I/O."""
    return RedisStore(url)


def _ms(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def _yes(found: list[Any]) -> bool:
    return bool(found[0] == b"yes")


def _reading(found: list[Any]) -> Reading:
    seconds, micros, version, value, note = found[1:6]
    record = None if version is None else Record(version=int(version), value=value)
    return Reading(record=record, note=note or b"", now=int(seconds) + int(micros) / 1_000_000)


async def _uptime(node: Any, _: Client) -> float:
    try:
        found = await node.execute_command("INFO", "server")
    except ResponseError:  # no right to it
        return math.inf
    match found:
        case {"uptime_in_seconds": int(seconds)}:
            return float(seconds)
        case _:
            return math.inf


async def _page(node: Any, cursor: int, pattern: str, _: Client) -> tuple[int, list[bytes]]:
    match await node.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", 500):
        case [int() | bytes() as following, [*names]] if all(isinstance(name, bytes) for name in names):
            return int(following), names
        case _:
            raise StoreUnavailable("Redis: an answer that SCAN does not give; look what stands in between")
