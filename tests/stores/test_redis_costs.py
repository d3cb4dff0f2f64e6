"""What ``RedisStore`` costs a real server: two round trips a renewal, and nothing for who waits or is idle."""

from __future__ import annotations

import asyncio

from linkauth.store import Busy, Committed, Newer
from linkauth_stores.redis import RedisStore
from linkauth_stores.redis.ears import Ears
from tests.stores.counting import KEY, PATIENCE, commands, warm


async def test_a_renewal_is_two_round_trips_for_who_renews_and_two_for_who_waits(server, mine):
    """Claim and commit; claim, a push, claim. Not one more, and no poll."""
    other = RedisStore(server.url, timeout=PATIENCE)
    await warm(other, "warm/up/1")
    before = commands(server)
    granted = await mine.claim(KEY, "a", 15, 0, b"")
    assert isinstance(await other.claim(KEY, "b", 15, 0, b""), Busy)
    waiting = asyncio.create_task(other.wait_for_change(KEY, 0, 10))
    await asyncio.sleep(0)
    assert isinstance(await mine.commit(KEY, granted.number, b"new"), Committed)
    async with asyncio.timeout(5):
        await waiting
    assert isinstance(await other.claim(KEY, "c", 15, 0, b""), Newer)
    assert commands(server) - before == 4
    await other.aclose()


async def test_a_cold_worker_that_waits_subscribes_once_and_makes_two_round_trips(server, mine):
    """The subscription stands before the first claim is sent, so nothing has to be asked again."""
    granted = await mine.claim(KEY, "a", 15, 0, b"")
    cold = RedisStore(server.url, timeout=PATIENCE)
    before = commands(server)
    assert isinstance(await cold.claim(KEY, "b", 15, 0, b""), Busy)
    await mine.commit(KEY, granted.number, b"new")
    async with asyncio.timeout(5):
        await cold.wait_for_change(KEY, 0, 10)
    assert isinstance(await cold.claim(KEY, "c", 15, 0, b""), Newer)
    assert commands(server) - before == 4  # SUBSCRIBE, claim, claim; and the other's commit
    await cold.aclose()


async def test_a_change_between_claim_and_wait_is_not_missed(server, mine):
    """Who waits after the change returns at once, and without asking the server."""
    other = RedisStore(server.url, timeout=PATIENCE)
    granted = await mine.claim(KEY, "a", 15, 0, b"")
    await other.claim(KEY, "b", 15, 0, b"")
    await mine.release(KEY, granted.number)
    ears = other._session().ears
    assert await ears.wait(KEY, 1, 5)  # the announcement has arrived, and nobody waits yet
    before = commands(server)
    await other.wait_for_change(KEY, 0, 60)
    assert commands(server) == before
    await other.aclose()


async def test_who_waits_and_who_is_idle_costs_the_server_nothing(server, mine):
    """Half a second of 50 waiters and an idle store: not one command."""
    await mine.claim(KEY, "a", 15, 0, b"")
    other = RedisStore(server.url, timeout=PATIENCE)
    for _ in range(50):
        await other.claim(KEY, "b", 15, 0, b"")
    waiting = [asyncio.create_task(other.wait_for_change(KEY, 0, 0.5))]
    await asyncio.sleep(0)
    before = commands(server)
    await asyncio.gather(*waiting)
    assert commands(server) == before
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
    idle = RedisStore(server.url, timeout=PATIENCE)
    await idle.claim(KEY, "b", 15, 0, b"")
    looks = server.client()
    before, turns = looks.info("stats")["total_commands_processed"], 0
    enough.clear()
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
    assert looks.info("stats")["total_commands_processed"] == before + 1
    assert idle._session().ears._up
    await idle.aclose()
