"""One vendor's trouble stays there: a queue for each origin, and time that is counted from when a connection is had."""

from __future__ import annotations

import asyncio
import json

import pytest

from linkauth import AuthEngine, LinkXG, OAuth2
from linkauth.errors import NoAnswer, NotSent
from linkauth.oauth.exchange import Request
from linkauth.transport import CONNECTIONS, Transport
from tests.loopback import Raw, raw, response, says

TOKEN = response(
    json.dumps({"access_token": "canary", "token_type": "Bearer", "expires_in": 900}).encode(),
    "200 OK",
    "Content-Type: application/json",
)


class Held:
    """A vendor that hangs: ``talk`` reads requests and answers none before ``go``, but for the ``first`` so many.

    ``full``: as many hang as may; ``over``: one more.
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.full = asyncio.Event()
        self.over = asyncio.Event()
        self.go = asyncio.Event()

    async def talk(self, server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await server.request(reader):
            return
        hanging = len(server.heard) - self.first
        if hanging >= CONNECTIONS:
            self.full.set()
        if hanging > CONNECTIONS:
            self.over.set()
        if hanging > 0:
            await self.go.wait()
        writer.write(TOKEN)
        await writer.drain()


def ask(url: str) -> Request:
    return Request.form(f"{url}/token", {"a": "b"})


async def test_a_vendor_that_hangs_holds_up_nobody_elses_token():
    """150 accounts hang at one vendor; the first token of another comes while not one of them has an answer.

    It says nothing of a limit: LinkXG's would let no more than 60 of them go in the first minute. And it has taken the client's
    secret before: else no more than eight would go.
    """
    held = Held(first=1)
    async with raw(held.talk) as hanging, raw(says(TOKEN)) as healthy, AuthEngine(timeout=60) as engine:
        stuck = OAuth2(name="stuck", client_id="c", client_secret="canary", token_url=f"{hanging.url}/token")
        well = LinkXG(client_id="c", client_secret="canary", base_url=healthy.url)
        await engine.credential(stuck, "first").token()
        waiting = [asyncio.create_task(engine.credential(stuck, f"a{n}").token()) for n in range(150)]
        await held.full.wait()
        assert (await engine.credential(well).token()).access_token == "canary"
        assert not any(each.done() for each in waiting)
        held.go.set()
        await asyncio.gather(*waiting)
    assert (hanging.connections, healthy.connections) == (151, 1)


async def test_what_waits_for_a_connection_was_not_sent():
    """The queue has its own bound, half of the limit: then ``NotSent``, in words, and what was sent is waited for on."""
    held, transport = Held(), Transport()
    async with raw(held.talk) as server:
        first = [asyncio.create_task(transport.send(ask(server.url), 10_000)) for _ in range(CONNECTIONS)]
        await held.full.wait()
        with pytest.raises(NotSent, match=r"127\.0\.0\.1: every connection to it is in use, and none became free"):
            await transport.send(ask(server.url), 0.2)
        assert len(server.heard) == CONNECTIONS
        held.go.set()
        assert {answer.status for answer in await asyncio.gather(*first)} == {200}


async def test_who_waited_has_the_whole_time_for_an_answer(monkeypatch):
    """The limit counts from when a connection is had: what the queue took is not taken from the vendor.

    The clock is turned: nearly half of the limit passes in the queue, and seven tenths of it at the vendor.
    """
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    held, transport = Held(), Transport()
    async with raw(held.talk) as server:
        first = [asyncio.create_task(transport.send(ask(server.url), 10_000)) for _ in range(CONNECTIONS)]
        await held.full.wait()
        last = asyncio.create_task(transport.send(ask(server.url), 1000))
        await asyncio.sleep(0)  # it has begun, and its clock with it
        ahead += 450
        first.pop().cancel()
        await held.over.wait()
        for step in (700, 1):  # a limit that has passed is looked at once more, a moment later
            ahead += step
            await asyncio.sleep(0.01)
        held.go.set()
        assert (await last).status == 200
        await asyncio.gather(*first)


async def test_the_answer_has_its_own_limit():
    """A vendor that reads and is silent: ``NoAnswer`` after the whole limit, not after what the queue left of it."""
    held, transport = Held(), Transport()
    async with raw(held.talk) as server:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(NoAnswer, match="no answer in time"):
            await transport.send(ask(server.url), 0.3)
        assert asyncio.get_running_loop().time() - begun >= 0.3
        held.go.set()
