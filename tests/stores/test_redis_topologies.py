"""``RedisStore`` with Sentinel and on a cluster: real ones, on loopback."""

from __future__ import annotations

import asyncio
import time

import pytest

from linkauth.errors import StoreUnavailable
from linkauth.store import Busy, Committed, Granted, Newer
from linkauth.testing.leases import Leases
from linkauth.testing.records import Records
from linkauth_stores.redis import RedisStore
from tests import servers

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
