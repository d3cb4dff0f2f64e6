"""``RedisStore`` at the worst moments: lost answers, killed and hanging servers, broken subscriptions."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest
import redis.asyncio as aioredis

from linkauth.errors import StoreUnavailable
from linkauth.store import Change, Committed, Granted, Newer
from linkauth_stores.redis import RedisStore
from linkauth_stores.redis.session import Session
from tests.fleet.link import Link
from tests.proxy import Proxy
from tests.servers import Server
from tests.stores.counting import KEY, PATIENCE, scripts, warm


async def test_a_lost_answer_to_a_claim_changes_nothing(server):
    """The claim ran twice; number, note as found and ``inherited`` are what the first run found."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}", timeout=PATIENCE)
        await warm(store)
        await store.claim(KEY, "dead", 0.01, 0, b"in doubt")
        await asyncio.sleep(0.02)
        before = scripts(server)
        proxy.lose(b"EVALSHA")
        granted = await store.claim(KEY, "a", 15, 0, b"mine")
        assert (granted.number, granted.note, granted.inherited) == (2, b"in doubt", True)
        assert proxy.lost == 1
        assert scripts(server) - before == 2
        assert (await store.read(KEY)).note == b"mine"
        await store.aclose()


async def test_a_lost_answer_to_a_commit_changes_nothing(server):
    """The commit ran twice and is one version; lost twice it is StoreUnavailable, and may be repeated."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}", timeout=PATIENCE)
        await warm(store)
        granted = await store.claim(KEY, "a", 15, 0, b"")
        proxy.lose(b"EVALSHA", 1)
        assert isinstance(await store.commit(KEY, granted.number, b"value"), Committed)
        proxy.lose(b"EVALSHA", 2)
        with pytest.raises(StoreUnavailable):
            await store.commit(KEY, granted.number, b"value")
        assert isinstance(await store.commit(KEY, granted.number, b"value"), Committed)
        assert (await store.read(KEY)).record.version == granted.number
        assert proxy.lost == 3
        await store.aclose()


async def test_a_lost_answer_to_take_is_not_taken_for_nothing_there(server):
    """Asked again the same call gets what it took, and nobody else; lost twice it is StoreUnavailable."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}", timeout=PATIENCE)
        await store.take("other/key/0")
        await store.commit(KEY, 1, b"state", ttl=600)
        proxy.lose(b"EVALSHA")
        assert (await store.take(KEY)).record.value == b"state"
        assert (await store.take(KEY)).record is None
        await store.commit(KEY, 2, b"state", ttl=600)
        proxy.lose(b"EVALSHA", 2)
        with pytest.raises(StoreUnavailable):
            await store.take(KEY)
        assert (await store.take(KEY)).record is None
        assert proxy.lost == 3
        assert 0 < server.client().pttl(f"linkauth:{{{KEY}}}:taken") <= 2000 * PATIENCE
        await store.aclose()


async def test_a_lost_answer_to_extend_release_and_delete_changes_nothing(server):
    """Each ran twice. The second extend and delete say what the first said; the second release changes nobody else's."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}", timeout=PATIENCE)
        await warm(store)
        await store.extend("warm/up/0", 1, 1)
        await store.delete("warm/up/0", 9)
        before = scripts(server)
        granted = await store.claim(KEY, "a", 15, 0, b"")
        proxy.lose(b"EVALSHA")
        assert await store.extend(KEY, granted.number, 20)
        proxy.lose(b"EVALSHA")
        assert not await store.release(KEY, granted.number, b"left")  # given back before, as the protocol has it
        assert (await store.read(KEY)).note == b"left"
        following = await store.claim(KEY, "b", 15, 0, b"mine")
        assert (following.number, following.inherited, following.note) == (granted.number + 1, False, b"left")
        proxy.lose(b"EVALSHA")
        assert not await store.release(KEY, granted.number)
        assert (await store.read(KEY)).note == b"mine"
        await store.commit(KEY, following.number, b"x")
        proxy.lose(b"EVALSHA")
        assert await store.delete(KEY, following.number + 1)
        assert (await store.read(KEY)).record is None
        assert proxy.lost == 4
        assert scripts(server) - before == 10 + 4
        await store.aclose()


@pytest.mark.parametrize("error", [TypeError("'NoneType' object is not callable"), aioredis.ConnectionError("lost")])
async def test_a_connection_found_lost_is_opened_anew(mine, monkeypatch, error):
    """What CPython 3.12 and 3.13 raise for it (python/cpython#136234) is taken as what it is; for ever it is an outage."""
    connection = aioredis.connection.Connection
    send, errors = connection.send_packed_command, [error]

    async def once(self, *args, **kwargs):
        if errors:
            await self.disconnect(nowait=True)
            raise errors.pop()
        return await send(self, *args, **kwargs)

    monkeypatch.setattr(connection, "send_packed_command", once)
    assert (await mine.read(KEY)).record is None
    errors += [error] * 30
    with pytest.raises(StoreUnavailable):
        await mine.read(KEY)
    errors.clear()


async def test_a_killed_server_is_unavailable_at_once_and_back_after_its_restart(server, mine):
    """Bounded both ways; the same store object goes on, and numbers go on above what the claimant knows."""
    await mine.claim(KEY, "a", 15, 0, b"")
    server.kill()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        await mine.read(KEY)
    assert time.monotonic() - started < PATIENCE / 2
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert str(caught.value).startswith(f"Redis at 127.0.0.1:{server.port}: ")
    await asyncio.to_thread(server.start)
    assert (await mine.claim(KEY, "b", 15, 41, b"")).number == 42


@pytest.mark.long
async def test_a_server_that_hangs_is_unavailable_within_the_timeout(server):
    """It accepts and never answers: 200 callers, more than there are connections, all know within two time-outs."""
    store = RedisStore(server.url, timeout=0.3)
    await warm(store)
    server.freeze()
    started = time.monotonic()
    results = await asyncio.gather(*(store.read(KEY) for _ in range(200)), return_exceptions=True)
    assert time.monotonic() - started < 5
    assert {type(result) for result in results} == {StoreUnavailable}
    server.thaw()
    assert (await store.read(KEY)).record is None
    await store.aclose()


async def test_numbers_go_on_after_flushall(server, mine):
    """A server that lost its data, and its scripts, goes on from what the claimants know."""
    granted = await mine.claim(KEY, "a", 15, 7, b"")
    assert granted.number == 8
    await mine.commit(KEY, granted.number, b"x")
    server.client().flushall()
    server.client().script_flush()
    assert (await mine.claim(KEY, "b", 15, 8, b"")).number == 9
    await mine.commit("token/x/late", 5, b"kept in memory")
    assert (await mine.claim("token/x/late", "c", 15, 5, b"")).number == 6


async def test_a_killed_subscription_costs_a_waiter_a_moment(server, mine):
    """The change is announced while nobody listens: the reconnect or the slow poll finds it."""
    granted = await mine.claim(KEY, "a", 15, 0, b"")
    other = RedisStore(server.url, timeout=PATIENCE)
    await other.claim(KEY, "b", 15, 0, b"")
    waiting = asyncio.create_task(other.wait_for_change(KEY, 0, 10))
    await asyncio.sleep(0)
    pipe = server.client().pipeline(transaction=False)
    pipe.execute_command("CLIENT", "KILL", "TYPE", "pubsub").execute()
    await mine.commit(KEY, granted.number, b"x")
    async with asyncio.timeout(3):
        await waiting
    assert isinstance(await other.claim(KEY, "c", 15, 0, b""), Newer)
    await other.aclose()


async def test_without_a_subscription_waiters_poll(server):
    """A user who may not SUBSCRIBE waits all the same, by a look each second or so."""
    server.client().acl_setuser(
        "deaf", enabled=True, passwords=["+p"], keys="*", channels="*", commands=["+@all", "-subscribe"]
    )
    url = f"redis://deaf:p@127.0.0.1:{server.port}"
    store, other = RedisStore(url, timeout=PATIENCE), RedisStore(url, timeout=PATIENCE)
    granted = await store.claim(KEY, "a", 15, 0, b"")
    await other.claim(KEY, "b", 15, 0, b"")
    waiting = asyncio.create_task(other.wait_for_change(KEY, 0, 10))
    await asyncio.sleep(0.05)
    await store.commit(KEY, granted.number, b"x")
    async with asyncio.timeout(3):
        await waiting
    await asyncio.gather(store.aclose(), other.aclose())


async def test_after_a_reconnect_everybody_looks_again(server, mine):
    """Who waits is woken by the new subscription, and who counts from before it does not begin to wait."""
    await mine.claim(KEY, "a", 15, 0, b"")
    ears = mine._session().ears
    since = ears.now()
    waiting = asyncio.create_task(ears.wait(KEY, since, 60))
    await asyncio.sleep(0)
    server.client().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    async with asyncio.timeout(PATIENCE):
        assert await waiting
        assert await ears.wait("token/x/other", since, 60)


async def test_who_claims_over_a_broken_connection_hears_first_whether_the_server_is_another(server, tmp_path):
    """An address that moves tells nobody who sends nothing: the claim that finds out waits for the subscription."""
    with Server(tmp_path / "behind") as behind:
        async with Link(server.port) as link:
            store = RedisStore(f"redis://127.0.0.1:{link.port}/0", timeout=PATIENCE)
            heard: list[Change | None] = []

            async def listen() -> None:
                async for change in store.changes():
                    heard[:] = [*heard, change]

            listening = asyncio.create_task(listen())
            await warm(store)
            heard.clear()
            server.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert isinstance(await store.claim(KEY, "a", 15, 0, b""), Granted)
            assert None not in heard  # the same server, and the subscription lives
            link.move(behind.port)
            assert isinstance(await store.claim(KEY, "b", 15, 0, b""), Granted)
            assert None in heard
            listening.cancel()
            await store.aclose()


async def test_who_was_stopped_while_its_connections_were_cut_hears_first_that_there_may_be_another_server(server):
    """It finds them all closed, and its client opens others in silence: the claim waits for the subscription all the same."""
    store = RedisStore(server.url, timeout=PATIENCE)
    heard: list[Change | None] = []

    async def listen() -> None:
        async for change in store.changes():
            heard[:] = [*heard, change]

    listening = asyncio.create_task(listen())
    await warm(store)
    for owner in ("a", "b", "c"):
        heard.clear()
        for kind in ("normal", "pubsub"):  # by a client that blocks: nothing of this process runs meanwhile
            server.client().execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        time.sleep(0.05)  # noqa: ASYNC251  as it is when a process is stopped
        await store.claim(KEY, owner, 15, 0, b"")
        assert None in heard
    listening.cancel()
    await store.aclose()


async def test_a_queue_is_no_outage_while_the_store_answers():
    """A place is waited for as long as others are answered, and no longer than the time-out where nobody is."""
    session = Session(cast("Any", None), cast("Any", None), 1.0, asyncio.Semaphore(0))
    with pytest.raises(TimeoutError):
        async with session.slot(0.01):
            pass
    session.answered = float("inf")
    asyncio.get_running_loop().call_later(0.1, session.slots.release)
    async with session.slot(0.01):
        assert session.slots.locked()


async def test_a_lease_that_runs_out_wakes_who_waits(store, monkeypatch):
    """Nobody announces the end of a dead holder's lease; the wait looks when it is due, however slow its polls."""
    monkeypatch.setattr("linkauth_stores.redis.store.random.uniform", lambda low, high: 1000.0)
    await store.claim(KEY, "a", 0.2, 0, b"")
    await store.claim(KEY, "b", 15, 0, b"")
    async with asyncio.timeout(PATIENCE):
        await store.wait_for_change(KEY, 0, 60)
    assert (await store.claim(KEY, "c", 15, 0, b"")).inherited
