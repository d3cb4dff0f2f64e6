"""One Redis that is filled: what commands cost, and walks over all that there is, with more and more in it."""

from __future__ import annotations

import asyncio
import random
import time
from hashlib import sha1
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.timed import of_the, took
from linkauth import AuthEngine, OAuth2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.servers import Server

WALKED = 50_000
"""Records of a walk: of what there is, so many."""
LOAD = """
for i = ARGV[1], ARGV[2] do
  local record = 'linkauth:{token/vendor/' .. redis.sha1hex(i) .. '}'
  redis.call('HSET', record, 'version', '1', 'value', ARGV[3])
  redis.call('HSET', record .. ':lease', 'top', '1')
end
"""


@attrs.frozen
class Size:
    """``credentials`` in one Redis, of ``each`` so many bytes.

    Microseconds of the Redis's processor time for a ``PING``, a read and a claim; of both sides', for a record in a walk. The
    claims' ``median``, and what 99 of 100 took at most (``slow``), are elapsed, as ratios to the same of ``PING`` s in between.
    """

    credentials: int
    each: float
    ping: float
    read: float
    claim: float
    median: float
    slow: float
    keys: float
    statuses: float
    keep_alive: float


def vendor_at(root: str) -> OAuth2:
    """One whose refresh tokens lapse, so that keep-alive looks at them; none is due."""
    urls = {"authorize_url": f"{root}/authorize", "token_url": f"{root}/token"}
    return OAuth2(name="vendor", client_id="shop", client_secret="s", refresh_lifetime=30 * 86400.0, **urls)


async def measured(server: Server, size: int, loaded: int, chances: int) -> Size:
    """With ``size`` credentials, of which ``loaded`` are there; ``chances``: how often each command is tried."""
    with server.client() as client:
        return await _measured(server, client, size, loaded, chances)


async def _measured(server: Server, client: Any, size: int, loaded: int, chances: int) -> Size:
    async with AuthEngine(server.url) as engine:
        vendor = vendor_at("https://vendor.example")
        given = {"access_token": "x" * 512, "refresh_token": "y" * 43, "expires_at": time.time() + 1e6}
        await engine.credential(vendor, "one").adopt(**given, refresh_expires_at=time.time() + 1e7, replace=True)
        (name,) = [each for each in client.keys("linkauth:{token/*}") if client.hget(each, "value")][:1]
        value, before = client.hget(name, "value"), client.info("memory")["used_memory"]
        for first in range(loaded + 1, size + 1, 5_000):
            await asyncio.to_thread(client.eval, LOAD, 0, first, min(size, first + 4_999), value)
        each = (client.info("memory")["used_memory"] - before) / (size - loaded)
        store, numbers = engine.context.store_client.store, random.Random(size)
        keys = [key_of(numbers.randint(1, size)) for _ in range(chances)]
        with of_the(server) as pinged:
            await took(chances, lambda _: _ping(store))
        with of_the(server) as looked:
            await took(chances, lambda number: store.read(keys[number]))
        with of_the(server) as claimed:
            await took(chances, lambda number: store.claim(keys[number], "me", 60.0, 1, b""))
        pings, claims = [], []
        for key in keys:  # in turn: what else the machine does is done to both
            pings += await took(1, lambda _: _ping(store))
            claims += await took(1, lambda _, key=key: store.claim(key, "you", 60.0, 1, b""))
        return Size(
            credentials=size,
            each=each,
            ping=pinged[0] / chances,
            read=looked[0] / chances,
            claim=claimed[0] / chances,
            median=median(claims) / median(pings),
            slow=quantiles(claims, n=100)[98] / quantiles(pings, n=100)[98],
            keys=await _walk(server, store.keys("token/")),
            statuses=await _walk(server, engine.statuses()),
            keep_alive=await _walk(server, _looked_at(engine, vendor)),
        )


async def _ping(store: Any) -> None:
    """By the path that the store's own commands take."""
    await store._session().ask(lambda client: client.ping())  # noqa: SLF001  # no method of a store is a bare PING


async def _walk(server: Server, walked: AsyncGenerator[Any]) -> float:
    """Microseconds of both sides for each record of the first so many."""
    count, begun = 0, time.process_time()
    with of_the(server) as spent:
        async for _ in walked:
            count += 1
            if count == WALKED:
                break
        await walked.aclose()
    return (spent[0] + 1e6 * (time.process_time() - begun)) / count


async def _looked_at(engine: AuthEngine, vendor: OAuth2) -> AsyncGenerator[str]:
    """The keys that a round of keep-alive reads. None is due."""
    store: Any = engine.context.store_client.store
    real, seen = store.read_many, asyncio.Queue[Any]()

    async def read_many(keys: list[str]) -> Any:
        found = await real(keys)
        for key in keys:
            seen.put_nowait(key)
        return found

    store.read_many = read_many
    round_ = asyncio.create_task(engine.keep_alive(vendor, rounds=1, every=0.001))
    round_.add_done_callback(lambda _: seen.put_nowait(None))
    try:
        while (key := await seen.get()) is not None:
            yield key
    finally:
        round_.cancel()
        await asyncio.wait({round_})
        del store.read_many


def key_of(number: int) -> str:
    """Of the credential that ``LOAD`` gives this number."""
    return f"token/vendor/{sha1(str(number).encode(), usedforsecurity=False).hexdigest()}"
