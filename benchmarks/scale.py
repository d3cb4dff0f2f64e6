"""``python -m benchmarks.scale``: a million credentials in one Redis, measured; and fleets beyond this machine, simulated.

What is measured is loaded in the store's own format: one record that linkauth wrote, under so many keys. Figures are beside
``PING`` of the same moment, for the machine does other things too. It takes some minutes and 1 GB of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import tempfile
import threading
import time
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import attrs
import cattrs

from benchmarks import result as results
from benchmarks import sizing
from benchmarks.fleet import Costs, Fleet, Outcome, simulated
from benchmarks.server import Server as Vendor
from linkauth import AuthEngine, OAuth2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from tests.servers import Server

SIZES = (1_000, 100_000, 1_000_000)
WALKED = 50_000
"""Records of a walk: of what there is, so many."""
KEPT = results.RESULTS / "scale.json"
PAGE = Path(__file__).parent.parent / "docs" / "operations" / "sizing.md"
FLEETS = [
    Fleet(10, 10_000, 3600),
    Fleet(100, 100_000, 900),
    Fleet(100, 1_000_000, 3600),
    Fleet(1_000, 100_000, 3600),
    Fleet(1_000, 1_000_000, 3600),
    Fleet(1_000, 1_000_000, 900),
    Fleet(10_000, 100_000, 3600),
    Fleet(10_000, 1_000_000, 3600),
    Fleet(1_000, 1_000_000, 900, nodes=6),
    Fleet(10_000, 1_000_000, 3600, nodes=6),
]
LOAD = """
for i = ARGV[1], ARGV[2] do
  local record = 'linkauth:{token/vendor/' .. redis.sha1hex(i) .. '}'
  redis.call('HSET', record, 'version', '1', 'value', ARGV[3])
  redis.call('HSET', record .. ':lease', 'top', '1')
end
"""
TELL = "for i = 1, ARGV[2] do redis.call('PUBLISH', ARGV[1], '7 token/vendor/' .. redis.sha1hex(i)) end"


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


@attrs.frozen
class Scaled:
    """What a run found, with where and when."""

    taken: str
    commit: str
    machine: str
    cores: int
    load: tuple[float, float]
    versions: dict[str, str]
    sizes: list[Size]
    costs: Costs
    fleets: list[Outcome]


def written(found: Scaled) -> dict[str, Any]:
    """As JSON has it, numbers to four digits."""
    return results.short(cattrs.unstructure(found))


def read(data: dict[str, Any]) -> Scaled:
    return cattrs.structure(data, Scaled)


def vendor_at(root: str) -> OAuth2:
    """One whose refresh tokens lapse, so that keep-alive looks at them; none is due."""
    urls = {"authorize_url": f"{root}/authorize", "token_url": f"{root}/token"}
    return OAuth2(name="vendor", client_id="shop", client_secret="s", refresh_lifetime=30 * 86400.0, **urls)


async def _took(count: int, command: Callable[[int], Awaitable[Any]]) -> list[float]:
    """Microseconds of each of so many, one after another."""
    found = []
    for number in range(count):
        begun = time.perf_counter()
        await command(number)
        found.append(1e6 * (time.perf_counter() - begun))
    return found


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
        keys = [f"token/vendor/{_sha(numbers.randint(1, size))}" for _ in range(chances)]
        with _of_the(server) as pinged:
            await _took(chances, lambda _: store._session().ask(lambda one: one.ping()))  # type: ignore[attr-defined]  # noqa: SLF001
        with _of_the(server) as looked:
            await _took(chances, lambda number: store.read(keys[number]))
        with _of_the(server) as claimed:
            await _took(chances, lambda number: store.claim(keys[number], "me", 60.0, 1, b""))
        pings, claims = [], []
        for key in keys:  # in turn: what else the machine does is done to both
            pings += await _took(1, lambda _: store._session().ask(lambda one: one.ping()))  # type: ignore[attr-defined]  # noqa: SLF001
            claims += await _took(1, lambda _, key=key: store.claim(key, "you", 60.0, 1, b""))
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


async def _walk(server: Server, walked: AsyncGenerator[Any]) -> float:
    """Microseconds of both sides for each record of the first so many."""
    count, begun = 0, time.process_time()
    with _of_the(server) as took:
        async for _ in walked:
            count += 1
            if count == WALKED:
                break
        await walked.aclose()
    return (took[0] + 1e6 * (time.process_time() - begun)) / count


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


async def costs(server: Server, endpoint: Vendor, each: float, chances: int) -> Costs:
    """Processor time, of the server as it counts itself, and of this process."""
    async with AuthEngine(server.url) as engine:
        store = engine.context.store_client.store
        numbers = [0]

        async def claim(number: int) -> None:
            found = await store.claim(f"cost/{number}", "me", 60.0, 0, b"")
            numbers.append(found.number)  # type: ignore[union-attr]

        await claim(-1)  # the subscription, and the scripts
        with _of_the(server) as claimed:
            await _took(chances, claim)
        with _of_the(server) as committed:
            await _took(chances, lambda number: store.commit(f"cost/{number}", numbers[number + 2], b"x" * 700))
        credential = engine.credential(vendor_at(endpoint.root), "two")
        await credential.adopt(refresh_token="first")
        begun = time.process_time()
        await _took(chances // 4, lambda _: credential.refresh())
        renewed = time.process_time() - begun
        with server.client() as client:
            heard = await _heard(client, store, chances)
    with _of_the(server) as started:
        for _ in range(10):
            async with AuthEngine(server.url) as one:
                await one.credential(vendor_at(endpoint.root), "two").token()
    return Costs(
        claim=claimed[0] / chances,
        commit=committed[0] / chances,
        start=started[0] / 10,
        deliver=await asyncio.to_thread(_delivered, server, chances),
        hear=heard,
        renew=4e6 * renewed / chances,
        record=each,
    )


async def _heard(client: Any, store: Any, chances: int) -> float:
    """Microseconds of this process for an announcement of a credential that is not at hand."""
    ears = store._session().ears  # noqa: SLF001
    begun, last = time.process_time(), ears.now()
    for _ in range(10):
        await asyncio.to_thread(client.eval, TELL, 0, "linkauth:changes", chances)
        last += chances
        while ears.now() < last:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return 1e6 * (time.process_time() - begun) / (10 * chances)


def _delivered(server: Server, chances: int, listeners: int = 50) -> float:
    """Microseconds of the server for one announcement to one listener."""
    with server.client() as client:
        return _told(server, client, chances, listeners)


def _told(server: Server, client: Any, chances: int, listeners: int) -> float:
    channel = "only-here"
    with _of_the(server) as alone:
        client.eval(TELL, 0, channel, chances)
    ends = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(listeners)]
    for end in ends:
        end.sendall(f"SUBSCRIBE {channel}\r\n".encode())
    threads = [threading.Thread(target=_drain, args=[end]) for end in ends]
    for thread in threads:
        thread.start()
    while client.pubsub_numsub(channel)[0][1] < listeners:
        time.sleep(0.01)
    with _of_the(server) as listened:
        client.eval(TELL, 0, channel, chances)
        while any(int(each["omem"]) for each in client.client_list(_type="pubsub")):
            time.sleep(0.01)
    for end in ends:
        end.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    return (listened[0] - alone[0]) / chances / listeners


def _drain(end: socket.socket) -> None:
    with end:
        while end.recv(1 << 16):
            pass


@contextmanager
def _of_the(server: Server) -> Iterator[list[float]]:
    """Microseconds of the server's processor time within."""
    took = [0.0]

    def spent() -> float:
        with server.client() as client:
            found = client.info("cpu")
        return 1e6 * float(found["used_cpu_user"] + found["used_cpu_sys"])

    begun = spent()
    yield took
    took[0] = spent() - begun


def _sha(number: int) -> str:
    return sha1(str(number).encode(), usedforsecurity=False).hexdigest()


async def scaled(sizes: tuple[int, ...] = SIZES, chances: int = 2_000) -> Scaled:
    """Everything. The server is this run's own."""
    from tests.servers import Server

    load = results.load()
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.to_thread(Server(Path(folder)).start)
        try:
            found, loaded = [], 0
            for size in sizes:
                found.append(await measured(server, size, loaded, chances))
                print(found[-1], flush=True)
                loaded = size
            async with Vendor() as endpoint:
                spent = await costs(server, endpoint, found[-1].each, chances)
            print(spent, flush=True)
        finally:
            await asyncio.to_thread(server.stop)
    return Scaled(
        taken=results.now(),
        commit=results.commit(),
        machine=results.processor(),
        cores=os.cpu_count() or 1,
        load=(load, results.load()),
        versions=results.versions(),
        sizes=found,
        costs=spent,
        fleets=[
            simulated(fleet, cattrs.structure(results.short(cattrs.unstructure(spent)), Costs)) for fleet in FLEETS
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="credentials in the Redis, fewest first")
    parser.add_argument("--chances", type=int, default=2_000, help="how often a command is tried (2000)")
    parser.add_argument("--save", nargs="?", type=Path, const=KEPT, metavar="FILE", help="keep what was found")
    given = parser.parse_args()
    found = asyncio.run(scaled(tuple(given.sizes), given.chances))
    print(*sizing.tables(found), sep="\n")
    if given.save:
        given.save.write_text(json.dumps(written(found), indent=1) + "\n")
        if given.save == KEPT:
            PAGE.write_text(sizing.into_page(PAGE.read_text(), read(json.loads(KEPT.read_text()))))


if __name__ == "__main__":
    main()
