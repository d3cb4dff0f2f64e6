"""Whatever a Redis, or what stands in its place, answers: ``StoreUnavailable`` in time, or the right answer after all."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
import redis

from linkauth.errors import StoreUnavailable
from linkauth.store import Committed, Granted
from linkauth_stores.redis import RedisStore
from tests.proxy import Proxy
from tests.servers import Server, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "token/linkxg/0123456789abcdef"


class Fake:
    """Speaks RESP2 and answers every script with ``says``; to a cluster's client it is all of a cluster."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.asked = 0
        self.ends: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Its port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.says = self.says.replace(b"PORT", str(port).encode())
        self.slots = b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % port
        try:
            yield port
        finally:
            server.close()
            for end in self.ends.values():
                end.transport.abort()
            await asyncio.gather(*(task for task in self.ends if task))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ends[asyncio.current_task()] = writer
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while count := int((await reader.readline())[1:] or 0):
                words = []
                for _ in range(count):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].upper())
                writer.write(self._answer(words))
                await writer.drain()
                if self.says == b"" and words[0] != b"SUBSCRIBE":
                    break
        writer.transport.abort()

    def _answer(self, words: list[bytes]) -> bytes:
        match words[0]:
            case b"SUBSCRIBE":
                return b"*3\r\n$9\r\nsubscribe\r\n$16\r\nlinkauth:changes\r\n:1\r\n"
            case b"CLUSTER":
                return self.slots
            case b"COMMAND":
                return b"*0\r\n"
            case b"ASKING":
                return b"+OK\r\n"
            case _:
                self.asked += 1
                return self.says


TIME = b"$1\r\n1\r\n$1\r\n2\r\n"
SAYS = {
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "a replica": b"-READONLY You can't write against a read only replica.\r\n",
    "a replica without a master": b"-MASTERDOWN Link with MASTER is down\r\n",
    "too few replicas": b"-NOREPLICAS Not enough good replicas to write.\r\n",
    "out of memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "cannot persist": b"-MISCONF Redis is configured to save RDB snapshots\r\n",
    "busy": b"-BUSY Redis is busy running a script.\r\n",
    "scripts are never kept": b"-NOSCRIPT No matching script.\r\n",
    "a broken script": b"-ERR user_script:1: oh @user_script: 1: -s3cret\r\n",
    "no login": b"-NOAUTH Authentication required.\r\n",
    "a wrong login": b"-WRONGPASS invalid username-password pair s3cret\r\n",
    "not allowed": b"-NOPERM User s3cret has no permissions to run the 'evalsha' command\r\n",
    "full": b"-ERR max number of clients reached\r\n",
    "a cluster, to who knows of none": b"-MOVED 1 127.0.0.1:1\r\n",
    "a cluster that is down": b"-CLUSTERDOWN The cluster is down\r\n",
    "an error without words": b"-\r\n",
    "nothing, and an end": b"",
    "half an answer": b"*6\r\n$4\r\nre",
    "a web server": b"HTTP/1.1 400 Bad Request\r\nServer: s3cret\r\n\r\n",
    "not a number": b":s3cret\r\n",
    "a size below zero": b"$-7\r\n",
    "a simple OK": b"+OK\r\n",
    "nothing": b"$-1\r\n",
    "a number": b":1\r\n",
    "an empty list": b"*0\r\n",
    "another word": b"*6\r\n$5\r\nother\r\n" + TIME + b"$-1\r\n" * 3,
    "too little": b"*3\r\n$4\r\nread\r\n" + TIME,
    "no time": b"*6\r\n$4\r\nread\r\n$1\r\nx\r\n$1\r\nx\r\n" + b"$-1\r\n" * 3,
}
CLUSTER = {
    "down": b"-CLUSTERDOWN The cluster is down\r\n",
    "a slot between two nodes": b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    "a slot that is elsewhere, always": b"-MOVED 1 127.0.0.1:PORT\r\n",
    "a slot on its way, always": b"-ASK 1 127.0.0.1:PORT\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "a web server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


async def _refused(call) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await call
    assert caught.value.__cause__ is caught.value.__context__ is None
    words = str(caught.value)
    assert "s3cret" not in words
    assert KEY not in words


@pytest.mark.parametrize("says", SAYS)
async def test_whatever_a_server_answers_is_said_in_words_of_our_own(says):
    """Each method, and each kind of answer that is none: StoreUnavailable within the time-out, with nothing in it."""
    fake = Fake(SAYS[says])
    async with fake.running() as port, asyncio.timeout(100):
        store = RedisStore(f"redis://127.0.0.1:{port}?protocol=2&timeout=0.1")
        for call in (
            store.read(KEY),
            store.claim(KEY, "a", 15, 0, b""),
            store.commit(KEY, 1, b"x"),
            store.extend(KEY, 1, 15),
            store.release(KEY, 1),
            store.take(KEY),
            store.delete(KEY, 1),
            store.wait_for_change(KEY, 0, 60),
            anext(store.keys("token/")),
        ):
            await _refused(call)
        while not fake.asked:  # a machine so busy that no connection stood in time
            await _refused(store.read(KEY))
        replicated = RedisStore(f"redis://127.0.0.1:{port}?protocol=2&timeout=0.1&min_replicas=1")
        await _refused(replicated.commit(KEY, 1, b"x"))
        await asyncio.gather(store.aclose(), replicated.aclose())


@pytest.mark.parametrize("says", CLUSTER)
async def test_whatever_a_cluster_answers_is_said_in_words_of_our_own(says):
    """A client that follows redirections gives up, too, and within the time-out; with replicas to wait for as well."""
    fake = Fake(CLUSTER[says])
    async with fake.running() as port, asyncio.timeout(100):
        for more in ("", "&min_replicas=1"):
            store = RedisStore(f"redis+cluster://127.0.0.1:{port}?protocol=2&timeout=0.3{more}")
            fake.asked = 0
            while not fake.asked:  # a machine so busy that no connection stood in time
                await _refused(store.commit(KEY, 1, b"x"))
            await store.aclose()


# -- and real ones -----------------------------------------------------------------------------------------------------


async def test_a_flushed_script_cache_is_not_noticed(server):
    """SCRIPT FLUSH, as at a restart or a failover, again and again under eight workers: no call fails."""
    store = RedisStore(server.url, timeout=10)
    client = server.client()

    async def work(key: str) -> None:
        for number in range(1, 6):
            granted = await store.claim(key, f"{number}", 15, number - 1, b"")
            client.script_flush()
            assert isinstance(await store.commit(key, granted.number, b"x"), Committed)

    await asyncio.gather(*(work(f"token/x/{n}") for n in range(8)))
    assert [(await store.read(f"token/x/{n}")).record.version for n in range(8)] == [5] * 8
    await store.aclose()


async def test_a_server_without_memory_refuses_the_claim_and_goes_on_reading(server):
    """``noeviction``, as it should be: nothing is spent, and what is there can be read and adopted."""
    store = RedisStore(server.url, timeout=10)
    await store.commit(KEY, 1, b"x")
    server.client().config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable, match=r"OutOfMemory|OOM"):
        await store.claim(KEY, "a", 15, 1, b"")
    assert (await store.read(KEY)).record.value == b"x"
    assert (await store.claim(KEY, "a", 15, 0, b"")).record.value == b"x"
    server.client().config_set("maxmemory", 0)
    assert isinstance(await store.claim(KEY, "a", 15, 1, b""), Granted)
    await store.aclose()


async def test_a_server_busy_with_somebody_elses_script_is_unavailable_until_that_ends(server):
    """BUSY, and the same store goes on afterwards."""
    store = RedisStore(server.url, timeout=10)
    await store.commit(KEY, 1, b"x")
    server.client().config_set("lua-time-limit", 1)

    def endless() -> None:
        with contextlib.suppress(redis.ResponseError):
            server.client().eval("while true do end", 0)

    thread = threading.Thread(target=endless)
    thread.start()
    try:
        async with asyncio.timeout(20):
            with pytest.raises(StoreUnavailable, match="BUSY"):
                while True:
                    await store.read(KEY)
    finally:
        await asyncio.to_thread(until, lambda: server.client().execute_command("SCRIPT", "KILL"))
        await asyncio.to_thread(thread.join)
    assert (await store.read(KEY)).record.value == b"x"
    await store.aclose()


async def test_a_server_that_is_full_is_unavailable_until_somebody_leaves(server):
    """No place for another connection: those that stand go on, a newcomer is refused."""
    store, late = RedisStore(server.url, timeout=10), RedisStore(server.url, timeout=10)
    await store.commit(KEY, 1, b"x")
    watch = server.client()
    watch.config_set("maxclients", 2)
    await _refused(late.read(KEY))
    assert (await store.read(KEY)).record.value == b"x"
    watch.config_set("maxclients", 100)
    assert (await late.read(KEY)).record.value == b"x"
    await asyncio.gather(store.aclose(), late.aclose())


async def test_a_master_that_became_a_replica_is_looked_up_again(server, tmp_path):
    """Its connections stand, and refuse to write. Its address, as behind a name or a balancer, leads to the next master."""
    with Server(tmp_path / "next") as following:
        async with Proxy(server.port) as proxy:
            store = RedisStore(f"redis://127.0.0.1:{proxy.port}", timeout=10)
            await asyncio.gather(*(store.commit(f"token/x/{n}", 1, b"x") for n in range(4)))
            proxy.target = following.port
            server.client().replicaof("127.0.0.1", following.port)
            assert isinstance(await store.commit(KEY, 1, b"y"), Committed)
            assert following.client().hget(f"linkauth:{{{KEY}}}", "value") == b"y"
            await store.aclose()
