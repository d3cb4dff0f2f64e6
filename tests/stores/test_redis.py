"""``RedisStore`` on a real server: what it promises beyond the contract that every store passes."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from base64 import b64encode

import pytest
import redis.asyncio as aioredis

from linkauth import AuthEngine, LinkXGUser
from linkauth.errors import ConfigurationError, CorruptRecord
from linkauth.sandbox import Sandbox
from linkauth.store import Busy, Committed, Granted, Newer, Superseded
from linkauth_stores.redis import RedisStore
from linkauth_stores.redis.url import _quiet
from tests.stores.counting import KEY, PATIENCE, push

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


@pytest.mark.parametrize("span", [None, "1:6000"], ids=["none", "a lease's before"])
async def test_a_lease_of_an_earlier_linkauth_has_ten_minutes_left_at_the_most(server, mine, span):
    """It says nothing of its span, and leaves another's lying about: it is not cut to that, nor does it last for ever."""
    key = f"linkauth:{{{KEY}}}:lease"
    until = int(server.client().time()[0] + 7200) * 1000
    server.client().hset(key, mapping={"top": 2, "owner": "earlier", "number": 2, "until": until, "inherited": 0})
    if span is not None:
        server.client().hset(key, "span", span)
    claim = await mine.claim(KEY, "b", 15, 0, b"")
    assert isinstance(claim, Busy)
    assert 590 < claim.remaining <= 600


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
    store = RedisStore(redis_url, prefix=prefix, timeout=PATIENCE)
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
    store = RedisStore(redis_url, prefix=prefix, timeout=PATIENCE)
    granted = await store.claim(KEY, "parent", 60, 0, b"")
    other = RedisStore(redis_url, prefix=prefix, timeout=PATIENCE)
    await other.claim(KEY, "waits", 60, 0, b"")
    told = push(other)
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
    store = RedisStore(f"{redis_url}?protocol={protocol}&prefix={prefix}", timeout=PATIENCE)
    granted = await store.claim(KEY, "a", 15, 0, b"n")
    assert isinstance(await store.claim(KEY, "b", 15, 0, b""), Busy)
    told = push(store)
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
    store = RedisStore(f"unix://{server.unix}?db=3", timeout=PATIENCE)
    await store.commit(KEY, 1, b"x")
    assert server.client(db=3).exists(f"linkauth:{{{KEY}}}")
    await store.aclose()


async def test_two_environments_that_share_a_redis_are_told_of_prefixes(redis_url, prefix):
    """Each has its own keys, and both the same user: whoever reads the other's record is told how to part them."""
    url = f"{redis_url}?prefix={prefix}&timeout={PATIENCE}"
    staging, production = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    async with Sandbox() as sandbox:
        part = sandbox.linkxg
        vendor, user = LinkXGUser(base_url=part.base_url), {"email": part.email, "password": part.password}
        async with AuthEngine(url, keys=staging) as engine:
            await engine.credential(vendor).login(**user)
        async with AuthEngine(url, keys=production) as engine:
            with pytest.raises(CorruptRecord, match=r"another environment shares this store.*\?prefix=") as caught:
                await engine.credential(vendor).token()
            assert caught.value.who == "the operator"
        async with AuthEngine(f"{redis_url}?prefix={prefix}-production&timeout={PATIENCE}", keys=production) as engine:
            assert (await engine.credential(vendor).login(**user)).access_token
