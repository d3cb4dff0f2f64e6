"""``linkauth.blocking`` in real processes: what becomes of a renewal when the process ends, is forked, or is killed."""

from __future__ import annotations

import asyncio
import signal

import pytest

from linkauth import AuthEngine
from tests.blocking.conftest import PATIENCE, line


async def _status(store, vendor):
    async with AuthEngine(store) as engine:
        return await engine.credential(vendor, "ada").status()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code"), [("return", 0), pytest.param("exit", 3, marks=pytest.mark.long), ("interrupt", -signal.SIGINT)]
)
async def test_a_renewal_in_the_air_is_landed_when_the_script_ends(sandbox, vendor, store, start, how, code):
    """The vendor answers when the main thread has ended: the new refresh token is in the store, and nothing is in doubt."""
    before = await _status(store, vendor)
    async with start(how) as process:
        with sandbox.oauth2.hold("token") as held:
            await held.arrived()
            process.stdin.write(b"\n")
            assert await line(process) == "ending"
        async with asyncio.timeout(PATIENCE):
            _, said = await process.communicate()
    assert process.returncode == code, said.decode()
    assert (said == b"") == (how != "interrupt"), said.decode()
    after = await _status(store, vendor)
    assert (after.version > before.version, after.in_doubt, after.error) == (True, False, "")
    asked = sandbox.oauth2.counts["refresh_token"]
    async with AuthEngine(store) as engine:
        await engine.credential(vendor, "ada").token()
    assert (sandbox.oauth2.counts["refresh_token"], sandbox.oauth2.counts["refresh_reuse"]) == (asked, 0)


@pytest.mark.slow
async def test_a_forked_child_goes_on_with_the_engine(sandbox, store, start):
    """Its parent used it, and another thread was about to: the child renews by a loop of its own and ends, the parent goes on."""
    async with start("fork") as process:
        async with asyncio.timeout(PATIENCE):
            out, said = await process.communicate()
    assert (process.returncode, said) == (0, b"")
    assert out.decode().splitlines() == ["held Bearer", "child Bearer", "ended 0", "parent 1"]
    assert sandbox.oauth2.counts["refresh_reuse"] == 0


@pytest.mark.slow
async def test_a_script_that_is_killed_leaves_the_next_one_a_way_on(sandbox, vendor, store, start):
    """Killed before its request reached the vendor's books, in the middle of a renewal: another process gets a token."""
    sandbox.oauth2.settings.replay_window = 60.0
    with sandbox.oauth2.hold("token") as held:
        async with start("return") as process:
            await held.arrived()
            process.kill()
            await process.wait()
    async with AuthEngine(store) as engine:
        assert (await engine.credential(vendor, "ada").token()).access_token
