"""Real processes on one file store: one request for all, and kill -9 at the worst moments."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode

import pytest

KEY = b64encode(bytes(range(32))).decode()


async def test_four_processes_of_two_hundred_tasks_make_one_token_request(sandbox, start):
    """All ask at once with an empty store: the vendor sees one token request, and everybody has that token."""
    workers = await start(4, "client")
    with sandbox.linkxg.hold("token") as held:
        for worker in workers:
            worker.order(tasks=200)
        await held.arrived()
    answers = [await worker.hear() for worker in workers]
    assert sandbox.linkxg.counts["token_requests"] == 1
    assert [answer["errors"] for answer in answers] == [{}] * 4
    assert len({token for answer in answers for token in answer["tokens"]}) == 1


async def test_kill_9_of_the_process_that_renews(sandbox, start):
    """The renewing process dies while the vendor has its request: the others have a token within their own time-out."""
    doomed, *others = await start(2, "client")
    held = sandbox.linkxg.hold("token", times=1)
    doomed.order()
    await held.arrived()
    for worker in others:
        worker.order(tasks=50)
    await doomed.kill()
    killed = time.monotonic()
    answers = [await worker.hear() for worker in others]
    held.release()
    assert time.monotonic() - killed < 10
    assert [answer["errors"] for answer in answers] == [{}]
    assert len({token for answer in answers for token in answer["tokens"]}) == 1
    assert sandbox.linkxg.counts["token_requests"] == 2


async def logged_in(sandbox, worker):
    answer = await worker.do("login", email=sandbox.linkxg.email, password=sandbox.linkxg.password)
    assert answer["errors"] == {}
    # Does not count: a token that was over on its way, on a busy machine, and was renewed.
    sandbox.linkxg.counts["refresh_requests"] = 0


async def test_two_processes_refresh_at_the_same_moment(sandbox, start):
    """Both hold a token and both are told to renew it: one exchange, and both have what it brought."""
    workers = await start(2, "user")
    await logged_in(sandbox, workers[0])
    await workers[1].do("token")
    with sandbox.linkxg.hold("refresh") as held:
        for worker in workers:
            worker.order("refresh", tasks=20)
        await held.arrived()
        await asyncio.sleep(0.3)  # time for a second request, should there be one
    answers = [await worker.hear() for worker in workers]
    assert sandbox.linkxg.counts["refresh_requests"] == 1
    assert answers[0]["tokens"] == answers[1]["tokens"]
    assert [answer["errors"] for answer in answers] == [{}, {}]


async def test_kill_9_before_the_vendor_acts_keeps_the_session(sandbox, start):
    """Killed with its request on the way: once the token is over, the next one spends the same refresh token, once."""
    doomed, other = await start(2, "user", engine={"timeout": 4.0})
    sandbox.linkxg.settings.user_token_lifetime = 1.5
    await logged_in(sandbox, doomed)
    sandbox.linkxg.settings.user_token_lifetime = 900.0
    lost = sandbox.linkxg.hold("refresh", times=1, drop=True)
    doomed.order("refresh")
    await lost.arrived()
    await doomed.kill()
    lost.release()
    await asyncio.sleep(1.5)
    answer = await other.do("token", tasks=20)
    assert answer["errors"] == {}
    assert len(answer["tokens"]) == 1
    assert sandbox.linkxg.counts["refresh_requests"] == 2
    assert sandbox.linkxg.counts["refresh_reuse"] == 0


@pytest.mark.parametrize("escrow", [True, pytest.param(False, marks=pytest.mark.long)])  # its short form: test_rotating
async def test_kill_9_between_the_answer_and_the_commit(sandbox, start, tmp_path, escrow):
    """With escrow a restarted process commits what its predecessor had; without, the loss ends in words, not in a loop."""
    how = {"keys": KEY, "timeout": 5.0} | ({"escrow": str(tmp_path / "escrow")} if escrow else {})
    (first,) = await start(1, "user", engine=how)
    (doomed,) = await start(1, "user", engine=how, stuck=True)
    sandbox.linkxg.settings.user_token_lifetime = 1.0
    await logged_in(sandbox, first)
    sandbox.linkxg.settings.user_token_lifetime = 900.0
    await first.kill()
    await asyncio.sleep(1.0)
    doomed.order("token")
    assert await doomed.hear() == {"stuck": True}
    await doomed.kill()
    (restarted,) = await start(1, "user", engine=how)
    answers = [await restarted.do("token") for _ in range(3)]
    if escrow:
        assert [answer["errors"] for answer in answers] == [{}] * 3
        assert sandbox.linkxg.counts["refresh_requests"] == 1
        assert list((tmp_path / "escrow").iterdir()) == []
    else:
        assert [answer["errors"] for answer in answers] == [{"ReauthorizationRequired": 1}] * 3
        assert "may have been lost" in answers[0]["words"][0]
        assert sandbox.linkxg.counts["refresh_requests"] == 2
