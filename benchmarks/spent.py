"""What each step of a fleet costs a core: of the Redis, as it counts itself, and of a worker."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from benchmarks.fleet import Costs
from benchmarks.full import key_of, vendor_at
from benchmarks.timed import of_the, took
from linkauth import AuthEngine

if TYPE_CHECKING:
    from benchmarks.server import Server as Vendor
    from tests.servers import Server

TELL = "for i = 1, ARGV[2] do redis.call('PUBLISH', ARGV[1], '7 token/vendor/' .. redis.sha1hex(i)) end"


async def costs(server: Server, endpoint: Vendor, each: float, chances: int) -> Costs:
    """Processor time, of the server as it counts itself, and of this process."""
    async with AuthEngine(server.url) as engine:
        store = engine.context.store_client.store
        numbers = [0]

        async def claim(number: int) -> None:
            found = await store.claim(f"cost/{number}", "me", 60.0, 0, b"")
            numbers.append(found.number)

        await claim(-1)  # the subscription, and the scripts
        with of_the(server) as claimed:
            await took(chances, claim)
        with of_the(server) as committed:
            await took(chances, lambda number: store.commit(f"cost/{number}", numbers[number + 2], b"x" * 700))
        credential = engine.credential(vendor_at(endpoint.root), "two")
        await credential.adopt(refresh_token="first")
        begun = time.process_time()
        await took(chances // 4, lambda _: credential.refresh())
        renewed = time.process_time() - begun
        with server.client() as client:
            heard = await _heard(client, store, chances)
    with of_the(server) as started:
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
    ears = store._session().ears  # noqa: SLF001  # what is measured is just this part of a store
    begun = time.process_time()
    for _ in range(10):
        since = ears.now()
        await asyncio.to_thread(client.eval, TELL, 0, "linkauth:changes", chances)
        assert await ears.wait(key_of(chances), since, 60.0)
    return 1e6 * (time.process_time() - begun) / (10 * chances)


def _delivered(server: Server, chances: int, listeners: int = 50) -> float:
    """Microseconds of the server for one announcement to one listener."""
    with server.client() as client:
        return _told(server, client, chances, listeners)


def _told(server: Server, client: Any, chances: int, listeners: int) -> float:
    from tests.servers import until

    channel = "only-here"
    with of_the(server) as alone:
        client.eval(TELL, 0, channel, chances)
    ends = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(listeners)]
    for end in ends:
        end.sendall(f"SUBSCRIBE {channel}\r\n".encode())
    threads = [threading.Thread(target=_drain, args=[end]) for end in ends]
    for thread in threads:
        thread.start()
    until(lambda: client.pubsub_numsub(channel)[0][1] == listeners)
    with of_the(server) as listened:
        client.eval(TELL, 0, channel, chances)
        until(lambda: not any(int(each["omem"]) for each in client.client_list(_type="pubsub")))
    for end in ends:
        end.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    return (listened[0] - alone[0]) / chances / listeners


def _drain(end: socket.socket) -> None:
    with end:
        while end.recv(1 << 16):
            pass
