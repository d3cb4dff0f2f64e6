"""``RedisStore`` on a real server: what it promises beyond the contract that every store passes."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from typing import Any, cast

import pytest
import redis.asyncio as aioredis

from linkauth.errors import ConfigurationError, CorruptRecord, StoreUnavailable
from linkauth.store import Busy, Change, Committed, Granted, Newer, Superseded
from linkauth_stores.redis import RedisStore
from linkauth_stores.redis.ears import Ears
from linkauth_stores.redis.session import Session
from linkauth_stores.redis.url import _quiet
from tests.fleet.link import Link
from tests.proxy import Proxy
from tests.servers import Server

KEY = "token/linkxg/0123456789abcdef"
PATIENCE = 10.0
"""Seconds that a busy machine may take for a round trip where the time-out is not what is tested."""


@pytest.fixture
async def store(redis_url, prefix):
    store = RedisStore(redis_url, prefix=prefix, timeout=PATIENCE)
    yield store
    await store.aclose()


@pytest.fixture
async def mine(server):
    """A store on a server of the test's own, whose scripts are known already."""
    store = RedisStore(server.url, timeout=PATIENCE)
    await _warm(store)
    yield store
    await store.aclose()


async def _warm(store, key="warm/up/0"):
    claim = await store.claim(key, "w", 1, 0, b"")
    await store.commit(key, claim.number, b"")
    await store.read(key)
    await store.claim(key, "w", 1, 1, b"")
    await store.release(key, 2)


def _push(store) -> asyncio.Task[None]:
    """A task that ends when ``store`` is told of a change of KEY: by push, not by a poll, nor by a new subscription."""
    ears = store._session().ears
    since, floor = ears.now(), ears._floor

    async def told() -> None:
        assert await ears.wait(KEY, since, 60)
        assert ears._floor == floor

    return asyncio.create_task(told())


def _scripts(server: Server) -> int:
    stats = server.client().info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


def _commands(server: Server) -> int:
    """What clients sent so far (commands within scripts are not counted by EVALSHA's own entry)."""
    stats = server.client().info("commandstats")
    inner = ("time", "hmget", "hset", "hdel", "pttl", "pexpire", "persist", "publish", "del")
    skip = {f"cmdstat_{name}" for name in (*inner, "info", "hello", "client", "config", "ping")}  # Redis 6 says client,
    return sum(
        entry["calls"] for name, entry in stats.items() if name.partition("|")[0] not in skip
    )  # 7 client|setinfo


# -- what a renewal costs ----------------------------------------------------------------------------------------------


async def test_a_renewal_is_two_round_trips_for_who_renews_and_two_for_who_waits(server, mine):
    """Claim and commit; claim, a push, claim. Not one more, and no poll."""
    other = RedisStore(server.url)
    await _warm(other, "warm/up/1")
    before = _commands(server)
    granted = await mine.claim(KEY, "a", 15, 0, b"")
    assert isinstance(await other.claim(KEY, "b", 15, 0, b""), Busy)
    waiting = asyncio.create_task(other.wait_for_change(KEY, 0, 10))
    await asyncio.sleep(0)
    assert isinstance(await mine.commit(KEY, granted.number, b"new"), Committed)
    async with asyncio.timeout(5):
        await waiting
    assert isinstance(await other.claim(KEY, "c", 15, 0, b""), Newer)
    assert _commands(server) - before == 4
    await other.aclose()


async def test_a_cold_worker_that_waits_subscribes_once_and_makes_two_round_trips(server, mine):
    """The subscription stands before the first claim is sent, so nothing has to be asked again."""
    granted = await mine.claim(KEY, "a", 15, 0, b"")
    cold = RedisStore(server.url)
    before = _commands(server)
    assert isinstance(await cold.claim(KEY, "b", 15, 0, b""), Busy)
    await mine.commit(KEY, granted.number, b"new")
    async with asyncio.timeout(5):
        await cold.wait_for_change(KEY, 0, 10)
    assert isinstance(await cold.claim(KEY, "c", 15, 0, b""), Newer)
    assert _commands(server) - before == 4  # SUBSCRIBE, claim, claim; and the other's commit
    await cold.aclose()


async def test_a_change_between_claim_and_wait_is_not_missed(server, mine):
    """Who waits after the change returns at once, and without asking the server."""
    other = RedisStore(server.url)
    granted = await mine.claim(KEY, "a", 15, 0, b"")
    await other.claim(KEY, "b", 15, 0, b"")
    await mine.release(KEY, granted.number)
    ears = other._session().ears
    assert await ears.wait(KEY, 1, 5)  # the announcement has arrived, and nobody waits yet
    before = _commands(server)
    await other.wait_for_change(KEY, 0, 60)
    assert _commands(server) == before
    await other.aclose()


async def test_who_waits_and_who_is_idle_costs_the_server_nothing(server, mine):
    """Half a second of 50 waiters and an idle store: not one command."""
    await mine.claim(KEY, "a", 15, 0, b"")
    other = RedisStore(server.url)
    for _ in range(50):
        await other.claim(KEY, "b", 15, 0, b"")
    waiting = [asyncio.create_task(other.wait_for_change(KEY, 0, 0.5))]
    await asyncio.sleep(0)
    before = _commands(server)
    await asyncio.gather(*waiting)
    assert _commands(server) == before
    assert server.client().pubsub_numsub("linkauth:changes") == [(b"linkauth:changes", 2)]
    await other.aclose()


async def test_a_subscription_sends_nothing_however_long_it_is_idle(server, mine, monkeypatch):
    """Thirty times the minute after which its read begins anew: no command, no ping."""
    turns, enough = 0, asyncio.Event()

    def quiet(self, message, hear=Ears._hear):
        nonlocal turns
        turns += message is None
        if turns == 30:
            enough.set()
        hear(self, message)

    monkeypatch.setattr(Ears, "_hear", quiet)
    monkeypatch.setattr("linkauth_stores.redis.ears._QUIET", 0.005)
    await mine.claim(KEY, "a", 15, 0, b"")
    idle = RedisStore(server.url)
    await idle.claim(KEY, "b", 15, 0, b"")
    looks = server.client()
    before, turns = looks.info("stats")["total_commands_processed"], 0
    enough.clear()
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
    assert looks.info("stats")["total_commands_processed"] == before + 1
    assert idle._session().ears._up
    await idle.aclose()


# -- the worst moments -------------------------------------------------------------------------------------------------


async def test_a_lost_answer_to_a_claim_changes_nothing(server):
    """The claim ran twice; number, note as found and ``inherited`` are what the first run found."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
        await _warm(store)
        await store.claim(KEY, "dead", 0.01, 0, b"in doubt")
        await asyncio.sleep(0.02)
        before = _scripts(server)
        proxy.lose(b"EVALSHA")
        granted = await store.claim(KEY, "a", 15, 0, b"mine")
        assert (granted.number, granted.note, granted.inherited) == (2, b"in doubt", True)
        assert proxy.lost == 1
        assert _scripts(server) - before == 2
        assert (await store.read(KEY)).note == b"mine"
        await store.aclose()


async def test_a_lost_answer_to_a_commit_changes_nothing(server):
    """The commit ran twice and is one version; lost twice it is StoreUnavailable, and may be repeated."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
        await _warm(store)
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
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
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
        assert 0 < server.client().pttl(f"linkauth:{{{KEY}}}:taken") <= 4000
        await store.aclose()


async def test_a_lost_answer_to_extend_release_and_delete_changes_nothing(server):
    """Each ran twice. The second extend and delete say what the first said; the second release changes nobody else's."""
    async with Proxy(server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}", timeout=PATIENCE)
        await _warm(store)
        await store.extend("warm/up/0", 1, 1)
        await store.delete("warm/up/0", 9)
        before = _scripts(server)
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
        assert _scripts(server) - before == 10 + 4
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
    assert "127.0.0.1" not in str(caught.value)
    await asyncio.to_thread(server.start)
    assert (await mine.claim(KEY, "b", 15, 41, b"")).number == 42


@pytest.mark.long
async def test_a_server_that_hangs_is_unavailable_within_the_timeout(server):
    """It accepts and never answers: 200 callers, more than there are connections, all know within two time-outs."""
    store = RedisStore(server.url, timeout=0.3)
    await _warm(store)
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
    other = RedisStore(server.url)
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
    store, other = RedisStore(url), RedisStore(url)
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
            await _warm(store)
            heard.clear()
            server.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert isinstance(await store.claim(KEY, "a", 15, 0, b""), Granted)
            assert None not in heard  # the same server, and the subscription lives
            link.move(behind.port)
            assert isinstance(await store.claim(KEY, "b", 15, 0, b""), Granted)
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


# -- what is left on the server ----------------------------------------------------------------------------------------


async def test_a_record_with_a_ttl_leaves_nothing_for_ever_and_one_without_does(server, mine):
    """State keys vanish, counter and all, an hour after their record; a token's counter stays."""
    await mine.commit("state/x/1", 1, b"state", ttl=60)
    await mine.commit("token/x/1", 1, b"token")
    client = server.client()
    assert 0 < client.pttl("linkauth:{state/x/1}") <= 60_000
    assert 60_000 < client.pttl("linkauth:{state/x/1}:lease") <= 3_660_000
    assert client.pttl("linkauth:{token/x/1}") == client.pttl("linkauth:{token/x/1}:lease") == -1
    await mine.claim("state/x/1", "a", 7200, 1, b"")
    assert client.pttl("linkauth:{state/x/1}:lease") > 7_200_000
    await mine.commit("state/x/1", 2, b"for good")
    assert client.pttl("linkauth:{state/x/1}") == client.pttl("linkauth:{state/x/1}:lease") == -1
    await mine.delete("token/x/1", 2)
    assert client.pttl("linkauth:{token/x/1}:lease") == -1


async def test_a_lease_outlives_a_record_that_expires_under_it(store):
    """The lease is not in the record's hash: nobody gets in beside its holder."""
    await store.commit(KEY, 1, b"x", ttl=0.05)
    await store.claim(KEY, "a", 15, 1, b"")
    await asyncio.sleep(0.07)
    reading = await store.claim(KEY, "b", 15, 1, b"")
    assert isinstance(reading, Busy)
    assert reading.record is None


async def test_numbers_past_what_lua_prints_exactly_stay_exact(store):
    """Lua writes 1e15 as 1e+15; the store does not."""
    number = 2**52
    assert (await store.claim(KEY, "a", 15, number, b"")).number == number + 1
    await store.commit(KEY, number + 1, b"x")
    assert (await store.read(KEY)).record.version == number + 1
    assert (await store.claim(KEY, "b", 15, number + 1, b"")).number == number + 2


SPOILT = {
    **{
        f"version {text!r}": ("", "version", text)
        for text in ("s3cret", "", "0x10", "1e3", "nan", "-1", "1.5", "9" * 17)
    },
    **{f"number {text!r}": (":lease", "number", text) for text in ("s3cret", "inf", "0x1")},
    **{f"{name} nan": (":lease", name, "nan") for name in ("top", "until", "gone", "inherited")},
    "no version": ("", "version", None),
    "no value": ("", "value", None),
    "a value of 16 MiB and more": ("", "value", "x" * (2**24 + 1)),
    "a note of 64 KiB and more": (":lease", "note", "x" * (2**16 + 1)),
}


@pytest.mark.parametrize("spoil", ["string", *SPOILT])
async def test_what_this_store_did_not_write_is_a_corrupt_record(server, mine, spoil):
    """CorruptRecord names the record and shows nothing of it."""
    await mine.commit(KEY, 1, b"s3cret")
    client, name = server.client(), f"linkauth:{{{KEY}}}"
    if spoil == "string":
        client.set(name, "s3cret")
    else:
        which, field, text = SPOILT[spoil]
        client.hset(name + which, field, text) if text is not None else client.hdel(name + which, field)
    for call in (mine.read(KEY), mine.claim(KEY, "a", 1, 0, b""), mine.commit(KEY, 2, b"y")):
        with pytest.raises(CorruptRecord, match=KEY) as caught:
            await call
        assert "s3cret" not in repr(caught.value)


async def test_ten_thousand_keys_are_found_by_scan(store, redis_url, prefix):
    """Every record once, no leases, no other prefix, nothing that a glob would let in."""
    client = aioredis.from_url(redis_url, socket_timeout=60)
    pipe = client.pipeline(transaction=False)
    for n in range(10_000):
        pipe.hset(f"{prefix}:{{token/a/{n}}}", mapping={"version": 1, "value": b""})
        pipe.hset(f"{prefix}:{{token/a/{n}}}:lease", "top", 1)
    for odd in ("token/a*/1", "token/a?/1", "token/[a]/1", "state/a/1"):
        pipe.hset(f"{prefix}:{{{odd}}}", mapping={"version": 1, "value": b""})
    await pipe.execute()
    await client.aclose()
    found = [key async for key in store.keys("token/a/")]
    assert (len(found), len(set(found))) == (10_000, 10_000)
    assert set(found) == {f"token/a/{n}" for n in range(10_000)}
    assert [key async for key in store.keys("token/a*")] == ["token/a*/1"]
    assert [key async for key in store.keys("token/[")] == ["token/[a]/1"]


# -- loops, processes, tasks -------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_ten_thousand_tasks_share_a_bounded_pool(server):
    """All are answered over no more connections than the pool may have."""
    store = RedisStore(server.url, timeout=20)
    claims = await asyncio.gather(*(store.claim(f"token/x/{n}", "a", 60, 0, b"") for n in range(10_000)))
    assert all(isinstance(claim, Granted) for claim in claims)
    await store.aclose()
    assert server.client().info("stats")["total_connections_received"] < 40


async def test_five_hundred_at_once_share_the_pool(server):
    """No more connections than were allowed, one of them the subscription, and each claim is answered."""
    store = RedisStore(server.url, timeout=PATIENCE, connections=4)
    looks = server.client()
    most = 0

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, len(looks.client_list()) - 1)
            await asyncio.sleep(0.005)

    looking = asyncio.create_task(look())
    claims = await asyncio.gather(*(store.claim(f"token/x/{n}", "a", 60, 0, b"") for n in range(500)))
    looking.cancel()
    assert all(isinstance(claim, Granted) for claim in claims)
    assert 2 <= most <= 5
    assert looks.info("stats")["total_connections_received"] <= 5 + 2  # this test's own, and the start's
    await store.aclose()


async def test_a_storm_of_cancellations_leaves_the_store_usable(store):
    """300 rounds of calls cancelled at random: the answers afterwards are the right ones."""
    dice = random.Random(4)
    for n in range(300):
        calls = [
            asyncio.create_task(store.claim(f"token/x/{n}", "a", 60, 0, b"")),
            asyncio.create_task(store.read(f"token/x/{n}")),
            asyncio.create_task(store.commit(f"token/x/{n}", 5, b"x")),
            asyncio.create_task(store.wait_for_change(f"token/x/{n}", 9, 60)),
        ]
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    for n in range(50):
        await store.commit(f"token/y/{n}", 1, str(n).encode())
    readings = await asyncio.gather(*(store.read(f"token/y/{n}") for n in range(50)))
    assert [reading.record.value for reading in readings] == [str(n).encode() for n in range(50)]
    assert store._session().slots._value == 16
    assert not store._session().ears._waiting


async def test_one_store_serves_several_loops(redis_url, prefix):
    """Three loops in three threads and this one, all at once; each closes what is its own."""
    store = RedisStore(redis_url, prefix=prefix)
    numbers: list[int] = []

    async def work(n: int) -> None:
        for turn in range(20):
            claim = await store.claim(f"token/x/{n}", f"o{turn}", 60, turn, b"")
            await store.commit(f"token/x/{n}", claim.number, b"x")
            numbers.append(claim.number)
        await store.aclose()

    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(n))) for n in range(3)]
    for thread in threads:
        thread.start()
    await work(3)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert len(numbers) == 80
    assert (await store.read("token/x/0")).record.version == 20
    await store.aclose()
    await store.aclose()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_store_is_usable_after_fork_in_child_and_parent(redis_url, prefix):
    """The child opens connections of its own; the parent's, its subscription too, go on."""
    store = RedisStore(redis_url, prefix=prefix)
    granted = await store.claim(KEY, "parent", 60, 0, b"")
    other = RedisStore(redis_url, prefix=prefix)
    await other.claim(KEY, "waits", 60, 0, b"")
    told = _push(other)
    await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:

            async def child() -> bool:
                busy = await store.claim(KEY, "child", 60, 0, b"")
                await store.commit("token/x/child", 1, b"from the child")
                await store.aclose()
                return isinstance(busy, Busy)

            code = 0 if asyncio.run(child()) else 2
        finally:
            os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (await store.read("token/x/child")).record.value == b"from the child"
    await store.commit(KEY, granted.number, b"x")
    await told
    await asyncio.gather(store.aclose(), other.aclose())


# -- ways in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
async def test_both_protocols_of_redis_are_spoken(redis_url, prefix, protocol):
    """RESP2 and RESP3, answers and announcements alike."""
    store = RedisStore(f"{redis_url}?protocol={protocol}&prefix={prefix}")
    granted = await store.claim(KEY, "a", 15, 0, b"n")
    assert isinstance(await store.claim(KEY, "b", 15, 0, b""), Busy)
    told = _push(store)
    assert isinstance(await store.commit(KEY, granted.number, b"\x00\xff"), Committed)
    await told
    newer = await store.claim(KEY, "b", 15, 0, b"")
    assert isinstance(newer, Newer)
    assert newer.record.value == b"\x00\xff"
    assert isinstance(await store.commit(KEY, 0, b""), Superseded)
    await store.aclose()


async def test_a_client_of_ones_own_is_used_and_left_open(redis_url, prefix, blockbuster):
    """Its owner closes it; one that decodes answers is refused at once."""
    # To tell the server its version such a client reads files at each connection. Those that the store makes do not.
    for call in ("os.stat", "io.TextIOWrapper.read"):
        blockbuster.functions[call].can_block_in("redis/utils.py", {"get_lib_version"})
    client = aioredis.from_url(redis_url)
    store = RedisStore(client, prefix=prefix)
    assert isinstance(await store.claim(KEY, "a", 15, 0, b""), Granted)
    await store.aclose()
    assert await client.ping()
    await client.aclose()
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisStore(aioredis.from_url(redis_url, decode_responses=True))


def test_a_client_of_ones_own_serves_one_loop(redis_url, prefix):
    """In another loop it would hang or break in words nobody understands: ConfigurationError says what to do."""
    client = aioredis.from_url(redis_url, **_quiet(aioredis.Redis))
    store = RedisStore(client, prefix=prefix)

    async def once() -> None:
        await store.commit(KEY, 1, b"x")
        await store.aclose()
        await store.commit(KEY, 1, b"x")
        await store.aclose()
        await client.aclose()

    asyncio.run(once())
    with pytest.raises(ConfigurationError, match="one loop"):
        asyncio.run(once())


async def test_a_unix_socket_is_a_way_in(server):
    """``unix://`` with a path and a database number."""
    store = RedisStore(f"unix://{server.unix}?db=3")
    await store.commit(KEY, 1, b"x")
    assert server.client(db=3).exists(f"linkauth:{{{KEY}}}")
    await store.aclose()
