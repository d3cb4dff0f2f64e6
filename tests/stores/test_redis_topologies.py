"""``RedisStore`` with Sentinel and on a cluster: real ones, on loopback."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import RedisCluster
from redis.asyncio.connection import Connection

from linkauth.errors import ConfigurationError, StoreUnavailable
from linkauth.store import Busy, Committed, Granted, Newer
from linkauth.testing.leases import Leases
from linkauth.testing.records import Records
from linkauth_stores.redis import RedisStore
from linkauth_stores.redis.ears import Ears
from linkauth_stores.redis.url import _quiet
from tests import servers

pytestmark = pytest.mark.long  # servers by the dozen

KEY = "token/linkxg/0123456789abcdef"


class TestRedisStoreOnACluster(Records, Leases):
    """The contract on records and leases, with the keys spread over three servers."""

    moment = 1.0  # a busy machine takes that long for the first look at three servers

    @pytest.fixture(autouse=True)
    def _place(self, nodes, prefix):
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes[:2])  # the third is found
        self.url = f"redis+cluster://{hosts}?prefix={prefix}&timeout=20"

    async def make_store(self):
        return RedisStore(self.url)

    async def open_again(self, store):
        return RedisStore(self.url)

    async def test_who_waits_hears_from_every_node(self):
        """One subscription, to whichever node, hears what is published on any: no wait lasts until its poll."""
        async with self.opened_twice() as (one, other):
            keys = [f"token/x/{n}" for n in range(12)]
            for key in keys:
                await one.claim(key, "a", 60, 0, b"")
                assert isinstance(await other.claim(key, "b", 60, 0, b""), Busy)
            ears = other._session().ears
            heard = [asyncio.create_task(ears.wait(key, ears.now(), 20)) for key in keys]
            for key in keys:
                await one.commit(key, 1, b"x")
            assert await asyncio.gather(*heard) == [True] * len(keys)

    async def test_credentials_are_spread_and_each_stays_together(self, nodes):
        """Both hashes of a credential are on one node, credentials on all, and ``keys`` finds them everywhere."""
        async with self.opened() as store:
            keys = [f"token/x/{n}" for n in range(30)]
            for key in keys:
                await store.commit(key, 1, b"x")
            assert sorted([key async for key in store.keys("token/x/")]) == sorted(keys)
            for node in nodes[:3]:
                names = set(node.client().keys(f"{store._prefix}:*"))
                assert len(names) > 2
                assert all(name + b":lease" in names for name in names if not name.endswith(b":lease"))


async def test_a_failover_by_sentinel_in_the_middle_of_a_renewal_loses_nothing(tmp_path):
    """The master dies between claim and commit: a time of StoreUnavailable, and then the same commit stands.

    Who waits for it on another worker is told, by its subscription to the new master or by its poll.
    """
    with servers.sentinel(tmp_path) as (watch, (master, replica)):
        url = f"redis+sentinel://127.0.0.1:{watch.port}/linkauth?timeout=1"
        store, other = RedisStore(url), RedisStore(url)
        granted = await store.claim(KEY, "a", 60, 0, b"in doubt")
        assert isinstance(granted, Granted)
        assert isinstance(await other.claim(KEY, "b", 60, 0, b""), Busy)
        await asyncio.to_thread(servers.until, lambda: replica.client().hget(f"linkauth:{{{KEY}}}:lease", "owner"))
        master.kill()
        failures, deadline = 0, time.monotonic() + 30
        while True:
            try:
                answer = await store.commit(KEY, granted.number, b"rotated")
            except StoreUnavailable:
                failures += 1
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            else:
                break
        assert isinstance(answer, Committed)
        assert failures
        async with asyncio.timeout(5):
            await other.wait_for_change(KEY, 0, 30)
        newer = await other.claim(KEY, "b", 60, 0, b"")
        assert isinstance(newer, Newer)
        assert newer.record.value == b"rotated"
        again = await other.claim(KEY, "c", 60, granted.number, b"")
        assert isinstance(again, Granted)
        assert (again.number, again.inherited) == (granted.number + 1, False)
        await asyncio.gather(store.aclose(), other.aclose())


@pytest.fixture(params=["cluster", "sentinel"])
def topology(request, tmp_path, prefix):
    """A URL, and the servers that have the data."""
    if request.param == "cluster":
        nodes = request.getfixturevalue("nodes")
        yield f"redis+cluster://127.0.0.1:{nodes[2].port}?prefix={prefix}", nodes
        return
    with servers.sentinel(tmp_path) as (watch, both):
        watch.client().execute_command("SENTINEL", "SET", "linkauth", "down-after-milliseconds", 60000)
        yield f"redis+sentinel://127.0.0.1:{watch.port}/linkauth?prefix={prefix}", both


async def test_a_renewal_is_two_round_trips_and_idleness_none_here_too(topology, monkeypatch):
    """Claim and commit; claim, a push, claim; then half an hour's reads of idle subscriptions. Counted as they are sent."""
    url, _ = topology
    store, other = RedisStore(url), RedisStore(url)
    for each in (store, other):
        await each.claim(KEY, "w", 1, 0, b"")
        await each.commit(KEY, 1, b"x")
    sent, turns, enough = [], 0, asyncio.Event()

    async def send(self, command, *args, real=Connection.send_packed_command, **kwargs):
        sent.append(bytes(b"".join(command))[:60])
        return await real(self, command, *args, **kwargs)

    def quiet(self, message, hear=Ears._hear):
        nonlocal turns
        turns += message is None
        if turns == 30:
            enough.set()
        hear(self, message)

    monkeypatch.setattr(Connection, "send_packed_command", send)
    monkeypatch.setattr(Ears, "_hear", quiet)
    granted = await store.claim(KEY, "a", 15, 1, b"")
    assert isinstance(await other.claim(KEY, "b", 15, 1, b""), Busy)
    waiting = asyncio.create_task(other.wait_for_change(KEY, 1, 10))
    await asyncio.sleep(0)
    await store.commit(KEY, granted.number, b"new")
    async with asyncio.timeout(5):
        await waiting
    assert isinstance(await other.claim(KEY, "c", 15, 1, b""), Newer)
    assert len(sent) == 4, sent
    monkeypatch.setattr("linkauth_stores.redis.ears._QUIET", 0.005)
    await store.claim(KEY, "d", 15, 2, b"")
    await store.commit(KEY, 3, b"wakes both, whose next read is a short one")
    sent.clear()
    async with asyncio.timeout(10):
        await enough.wait()
    assert sent == []
    await asyncio.gather(store.aclose(), other.aclose())


async def test_a_topology_that_hangs_is_unavailable_within_the_timeout(topology):
    """All of it accepts and never answers: everybody knows in time, and the same store goes on when it is back."""
    url, every = topology
    store = RedisStore(f"{url}&timeout=0.6", connections=4)
    await store.commit(KEY, 1, b"x")
    for server in every:
        server.freeze()
    started = time.monotonic()
    try:
        calls = (store.read(KEY), store.claim(KEY, "a", 15, 1, b""), *(store.commit(KEY, 2, b"y") for _ in range(8)))
        results = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        for server in every:
            server.thaw()
    assert {type(result) for result in results} == {StoreUnavailable}
    assert time.monotonic() - started < 10
    async with asyncio.timeout(20):
        while True:
            try:
                assert isinstance(await store.commit(KEY, 2, b"y"), Committed)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
    await store.aclose()


async def test_a_crowd_on_a_cluster_asks_for_its_map_alone_and_goes_by_it(nodes, prefix):
    """No MOVED, from the first call on; nor all that the server knows (COMMAND), whose answer holds up the loop."""

    def counts():
        told = [(node.client().info("commandstats"), node.client().info("errorstats")) for node in nodes]
        calls = sum(commands.get("cmdstat_command", {"calls": 0})["calls"] for commands, _ in told)
        return calls, sum(errors.get("errorstat_MOVED", {"count": 0})["count"] for _, errors in told)

    before = counts()
    store = RedisStore(f"redis+cluster://127.0.0.1:{nodes[0].port}?prefix={prefix}&timeout=20")
    await asyncio.gather(*(store.commit(f"token/x/{n}", 1, b"x") for n in range(60)))
    assert counts() == before
    await store.aclose()


async def test_while_a_slot_moves_a_credential_is_where_all_of_it_is_or_unavailable(nodes, prefix):
    """Both hashes here, both there: served. Only one of them here: StoreUnavailable, and numbers go on afterwards."""
    url = f"redis+cluster://127.0.0.1:{nodes[1].port}?prefix={prefix}&timeout=3"
    store = RedisStore(url)
    slots = {servers.slot_of(nodes[0], f"{prefix}:{{{key}}}"): key for key in (f"token/z/{n}" for n in range(40))}
    slot = max(slots)  # of the third node
    key = slots[slot]
    with servers.moving(slot, nodes[2], nodes[1]) as move:
        with pytest.raises(StoreUnavailable, match="Cluster"):
            await store.claim(key, "a", 60, 0, b"")  # nothing of it is anywhere yet, which the target cannot know
    granted = await store.claim(key, "a", 60, 0, b"")
    assert isinstance(granted, Granted)
    assert isinstance(await store.commit(key, granted.number, b"x"), Committed)
    with servers.moving(slot, nodes[1], nodes[2]) as move:
        again = await store.claim(key, "b", 60, 1, b"")
        assert again.number == 2
        move()
        assert isinstance(await store.commit(key, 2, b"y"), Committed)
    assert (await store.read(key)).record.value == b"y"
    await store.aclose()


async def test_a_clusters_client_of_ones_own_is_used_and_left_open(nodes, prefix):
    """As one server's: listing, subscription and WAIT go through it, and its owner closes it."""
    client = RedisCluster(host="127.0.0.1", port=nodes[0].port, **_quiet(RedisCluster))
    store = RedisStore(client, prefix=prefix, min_replicas=1, timeout=2)
    slots = {servers.slot_of(nodes[0], f"{prefix}:{{{key}}}"): key for key in (f"token/z/{n}" for n in range(40))}
    keys = [slots[min(slots)], slots[max(slots)]]
    for key in keys:
        assert isinstance(await store.claim(key, "a", 15, 0, b""), Granted)
        assert isinstance(await store.commit(key, 1, b"x"), Committed)
    assert sorted([key async for key in store.keys("token/")]) == sorted(keys)
    assert store._session().ears._up
    await store.aclose()
    assert await client.ping(target_nodes=RedisCluster.PRIMARIES)
    await client.aclose()
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisStore(RedisCluster(host="127.0.0.1", port=nodes[0].port, decode_responses=True))
