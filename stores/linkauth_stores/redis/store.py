"""``RedisStore``: one round trip for each method, nothing while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import re
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004  redis-py's own, no relative of the builtin
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)

from linkauth.errors import ConfigurationError, CorruptRecord, StoreError, StoreUnavailable
from linkauth.store import Busy, Change, Claim, Commit, Committed, Granted, Newer, Reading, Record, Superseded
from linkauth_stores.redis import scripts
from linkauth_stores.redis.ears import Ears, cancellations
from linkauth_stores.redis.url import Client, Settings, checked, listener, parse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

__all__ = ["RedisStore", "from_url"]

log = logging.getLogger("linkauth.stores.redis")

T = TypeVar("T")

_FAILURES = (RedisError, RedisClusterException, OSError)  # the builtin TimeoutError is an OSError

_ABANDONED: list[object] = []
"""What a forked child inherited. Closing it would take the parent's sockets out of the loop that both share."""


@attrs.define(eq=False)
class _Session:
    """What one event loop of one process holds."""

    client: Client
    ears: Ears
    slots: asyncio.Semaphore
    answered: float = -math.inf

    @contextlib.asynccontextmanager
    async def slot(self, patience: float) -> AsyncGenerator[None]:
        """A place among those who may ask at once. To queue is no fault of the store's while it answers others."""
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self.slots.acquire()
                break
            except TimeoutError:
                if clock() - self.answered > patience:
                    raise
        try:
            yield
        finally:
            self.slots.release()


class RedisStore:
    """A ``TokenStore`` on Redis 6.2 or newer, or Valkey: one server, Sentinel or a cluster.

    ``url_or_client``: a URL (``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://``, ``redis+cluster://``; see
    ``linkauth_stores.redis.url``), or an asyncio client of redis-py with ``decode_responses`` off. A client of your own is
    used as it is: its time-outs, retries and pool are yours, closing it too, and it serves the one loop that it was made
    for. With a URL the store may be used from any number of loops and after a fork; ``aclose`` closes what belongs to the
    loop that it runs in.

    ``prefix``: what every key and the one channel begin with. ``timeout``: seconds for one round trip, its one repeat
    after a lost connection included. ``min_replicas``: how many replicas a commit waits for, for half of ``timeout`` at
    most. When fewer answered, that is logged as a warning and the commit stands: it cannot be undone. ``connections``:
    how many at once, in each loop, beside the one that listens. The three first can be set in the URL's query, too.

    What the server's user has to be allowed, with the prefix ``linkauth``::

        ACL SETUSER linkauth on >PASSWORD resetchannels ~linkauth:* &linkauth:* +@connection +evalsha +eval
            +time +hmget +hset +hdel +del +pttl +pexpire +persist +publish +subscribe +unsubscribe +scan
            (and +wait with min_replicas, +cluster|slots +cluster|shards +cluster|nodes +command in a cluster)

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
        if own["min_replicas"] and self._cluster:
            raise ConfigurationError("RedisStore: min_replicas works with one server and Sentinel, not with a cluster")
        self._prefix: str = own["prefix"]
        self._min_replicas: int = own["min_replicas"]
        self._timeout: float = own["timeout"]
        self._connections = connections
        self._channel = f"{self._prefix}:changes"
        self._pid = os.getpid()
        self._sessions: dict[asyncio.AbstractEventLoop, _Session] = {}

    # -- the protocol --------------------------------------------------------------------------------------------------

    async def read(self, key: str) -> Reading:
        return _reading(await self._run(scripts.READ, key))

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
        holder, remaining = found[6:8]
        ears.busy(key, since, asyncio.get_running_loop().time() + remaining / 1000)
        return Busy(
            record=reading.record,
            note=reading.note,
            now=reading.now,
            holder=holder.decode(errors="replace"),
            remaining=remaining / 1000,
        )

    async def commit(self, key: str, number: int, value: bytes, ttl: float | None = None) -> Commit:
        lasts = 0 if ttl is None else _ms(ttl)
        found = await self._run(
            scripts.COMMIT, key, number, value, lasts, self._channel, key, replicas=self._min_replicas
        )
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
        """As the protocol says. Never repeated: whose answer was lost gets ``StoreUnavailable``, not "nothing there"."""
        return _reading(await self._run(scripts.TAKE, key, self._channel, key, tries=1))

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
        for node in await self._do(self._nodes):
            cursor = 0
            while True:
                cursor, page = await self._do(partial(_page, node, cursor, pattern))
                for name in dict.fromkeys(page):
                    yield name.decode("ascii", "replace")[len(before) : -1]
                if not cursor:
                    break

    async def changes(self) -> AsyncIterator[Change | None]:
        """Every change, as the server publishes it; None after each (re)connection of the subscription."""
        async for change in self._session().ears.changes():
            yield change

    async def aclose(self) -> None:
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is None or self._pid != os.getpid():
            return
        await session.ears.aclose()
        if self._client is None:
            with contextlib.suppress(*_FAILURES):
                await session.client.aclose()

    # -- one round trip ------------------------------------------------------------------------------------------------

    async def _run(
        self, script: scripts.Script, key: str, *args: str | bytes | int, replicas: int = 0, tries: int = 2
    ) -> list[Any]:
        names = f"{self._prefix}:{{{key}}}", f"{self._prefix}:{{{key}}}:lease"

        async def work(client: Client) -> list[Any]:
            if replicas:
                return await self._replicated(client, script, (*names, *args), replicas)
            try:
                return await client.evalsha(script.sha, 2, *names, *args)
            except NoScriptError:
                return await client.eval(script.text, 2, *names, *args)

        found = await self._do(work, key=key, tries=tries)
        if not _is_answer(found, script.says):
            raise StoreUnavailable("Redis: the server's answer is none of the script's; look what stands in between")
        if found[0] == b"corrupt":
            raise CorruptRecord(f"Redis: the record {key!r} cannot be read: it is not what this store writes")
        return found

    async def _replicated(
        self, client: Client, script: scripts.Script, args: tuple[str | bytes | int, ...], replicas: int
    ) -> list[Any]:
        """Run ``script`` and WAIT in one round trip: WAIT counts what its own connection wrote."""
        for how, what in (("EVALSHA", script.sha), ("EVAL", script.text)):
            pipeline = client.pipeline(transaction=False)
            pipeline.execute_command(how, what, 2, *args)
            pipeline.execute_command("WAIT", replicas, max(1, int(self._timeout * 500)))
            found, reached = await pipeline.execute(raise_on_error=False)
            if isinstance(found, NoScriptError):
                continue
            for answer in (found, reached):
                if isinstance(answer, Exception):
                    raise answer
            if not isinstance(reached, int) or reached < replicas:
                log.warning("Redis: a commit reached %d of %d replicas in time; it stands", reached, replicas)
            return cast("list[Any]", found)
        raise StoreUnavailable("Redis: the server does not keep scripts")

    async def _nodes(self, client: Any) -> list[Any]:
        """What can be scanned: the one server, or each primary of a cluster."""
        if not self._cluster:
            return [client]
        await client.initialize()
        return list(client.get_primaries())

    async def _do(self, work: Callable[[Client], Awaitable[T]], *, key: str = "", tries: int = 2) -> T:
        """``work`` in time, begun anew once where the connection was lost: every script may be repeated."""
        session = self._session()
        problem: StoreError | None = None
        honour = cancellations()
        try:
            async with session.slot(self._timeout), asyncio.timeout(self._timeout):
                for left in reversed(range(tries)):
                    try:
                        answer = await work(session.client)
                    except (ConnectionError, ReadOnlyError) as error:
                        if not left or isinstance(error, AuthenticationError):
                            raise
                        honour()
                        await asyncio.sleep(random.uniform(0.005, 0.02))  # noqa: S311  spreads load
                    else:
                        honour()
                        session.answered = asyncio.get_running_loop().time()
                        return answer
        except _FAILURES as error:
            problem = _problem(error, key, self._timeout)
        # Raised out here, so that nothing of redis-py's error hangs on it: that may hold commands or an address.
        raise problem or StoreUnavailable("Redis: no answer")

    def _session(self) -> _Session:
        loop = asyncio.get_running_loop()
        if self._pid != os.getpid():
            _ABANDONED.append(self._sessions)
            self._sessions, self._pid = {}, os.getpid()
        session = self._sessions.get(loop)
        if session is None:
            for old in [old for old in self._sessions if old.is_closed()]:
                del self._sessions[old]
            client = self._client
            if self._settings is not None:
                client = self._settings.client(self._timeout, self._connections + 1)
            assert client is not None  # noqa: S101  one of the two is set
            ears = Ears(lambda: listener(client), self._channel, self._timeout)
            session = self._sessions[loop] = _Session(client, ears, asyncio.Semaphore(self._connections))
        return session


def from_url(url: str) -> RedisStore:
    """The store that ``url`` names; for ``open_store``. Raises ``ConfigurationError``, without I/O."""
    return RedisStore(url)


def _ms(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def _yes(found: list[Any]) -> bool:
    return bool(found[0] == b"yes")


def _is_answer(found: Any, says: dict[bytes, list[type]]) -> bool:
    """Whether the script can have said so. A proxy, or a client of somebody's own, may hand over anything."""
    match found:
        case [b"corrupt", *_]:
            return True
        case [bytes() as word, bytes() as seconds, bytes() as micros, version, value, bytes() | None, *more]:
            known = [type(each) for each in more] == says.get(word)
            whole = (version is None and word != b"newer") or (
                isinstance(version, bytes) and _is_number(version) and isinstance(value, bytes)
            )
            return known and whole and _is_number(seconds) and _is_number(micros)
        case _:
            return False


def _is_number(text: bytes) -> bool:
    return text.isdigit() and len(text) <= 16


def _reading(found: list[Any]) -> Reading:
    seconds, micros, version, value, note = found[1:6]
    record = None if version is None else Record(version=int(version), value=value)
    return Reading(record=record, note=note or b"", now=int(seconds) + int(micros) / 1_000_000)


async def _page(node: Any, cursor: int, pattern: str, _: Client) -> tuple[int, list[bytes]]:
    cursor, names = await node.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", 500)
    return int(cursor), names


def _problem(error: Exception, key: str, timeout: float) -> StoreError:
    """What to tell the operator: the kind of error and the server's code, no address, no command, no value."""
    kind = type(error).__name__
    if isinstance(error, TimeoutError) or kind == "TimeoutError":
        return StoreUnavailable(f"Redis: no answer within {timeout:g} s")
    words = str(error)
    if "WRONGTYPE" in words:
        return CorruptRecord(f"Redis: the record {key!r} cannot be read: something else lives under its name")
    code = re.match(r"[A-Z]{2,20}\b", words)
    return StoreUnavailable(f"Redis: {kind} ({code[0]})" if code else f"Redis: {kind}")
