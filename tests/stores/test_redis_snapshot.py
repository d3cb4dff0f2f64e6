"""A real server that comes back with an older snapshot, while one worker holds thousands of sessions."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import pytest

from linkauth.engine.credential import Credential
from linkauth.engine.engine import Engine
from linkauth.engine.world import World
from linkauth_stores.redis import RedisStore
from tests.engine.fakes import USER, Vendor
from tests.servers import Server

if TYPE_CHECKING:
    from pathlib import Path

    from linkauth.oauth.exchange import Request, Response

SESSIONS = 3000
ASKED = 50


def worker(url: str, vendor: Vendor, seed: int) -> Engine:
    """An engine with a connection pool of its own, real clocks, and a vendor in this process."""
    chance = random.Random(seed)

    async def send(request: Request, seconds: float) -> Response:
        return await vendor.send(request, seconds)

    world = World(send=send, monotonic=time.monotonic, wall=time.time, random=chance, entropy=chance.randbytes)
    return Engine(RedisStore(url), world, Credential)


async def each(credentials: list[Credential], call: str, **words: str) -> list[object]:
    """What ``call`` brings at each, fifty at a time."""
    gate = asyncio.Semaphore(50)

    async def one(credential: Credential) -> object:
        async with gate:
            return await getattr(credential, call)(**words)

    return await asyncio.gather(*map(one, credentials), return_exceptions=True)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_three_thousand_sessions_survive_an_older_snapshot(tmp_path: Path) -> None:
    """SAVE, every session is renewed, kill, restart from the file: none is lost, and nobody is sent for or spends a spent token.

    Another worker, which had read nothing of them, is asked at once for the fifty that were written last.
    """
    vendor = Vendor()
    with Server(tmp_path / "redis") as server:
        holder, other = worker(server.url, vendor, 1), worker(server.url, vendor, 2)
        sessions = [holder.credential(USER, f"user-{number}") for number in range(SESSIONS)]
        who = {"email": "ada@example.com", "password": "correct horse"}
        assert not [
            error for error in await each(sessions[: SESSIONS // 2], "login", **who) if isinstance(error, Exception)
        ]
        await other.credential(USER, "user-0").token()  # it listens
        server.client().save()
        assert not [
            error for error in await each(sessions[SESSIONS // 2 :], "login", **who) if isinstance(error, Exception)
        ]
        assert not [error for error in await each(sessions[: ASKED // 2], "refresh") if isinstance(error, Exception)]
        server.kill()
        await asyncio.to_thread(server.start)
        newest = [*sessions[: ASKED // 2], *sessions[-ASKED // 2 :]]
        theirs = [other.credential(USER, session.account) for session in newest]
        asked = list(theirs)
        for _ in range(3):  # who finds the old connections broken asks once more, as a program would
            errors = await each(asked, "token")
            refused = [error for error in errors if type(error).__name__ == "ReauthorizationRequired"]
            assert refused == []
            asked = [
                credential for credential, error in zip(asked, errors, strict=True) if isinstance(error, Exception)
            ]
        assert asked == []
        # Nothing spent is spent again, though the file brought it back.
        assert not [error for error in await each(theirs, "refresh") if isinstance(error, Exception)]
        assert vendor.counts["reuse"] == 0
        for _ in range(100):
            lost = [session for session in sessions if await version(other, session) < session.replica.state.version]
            if not lost:
                break
            await asyncio.sleep(0.1)
        assert lost == []
        for engine in (holder, other):
            await engine.aclose()
            await engine.context.store_client.store.aclose()


async def version(engine: Engine, session: Credential) -> int:
    """What the store has of a session."""
    record = (await engine.context.store_client.store.read(session.replica.key)).record
    return record.version if record else 0
