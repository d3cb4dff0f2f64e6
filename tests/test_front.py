"""The front door with real sockets and a real clock: what a user types, and what happens then."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from linkauth import AuthEngine, LinkXG, LinkXGUser
from linkauth.errors import ConfigurationError, ReauthorizationRequired, VendorUnavailable
from linkauth.sandbox import Sandbox
from linkauth_stores.memory import MemoryStore


@pytest.fixture
async def sandbox():
    async with Sandbox() as running:
        yield running


def client(sandbox: Sandbox) -> LinkXG:
    part = sandbox.linkxg
    return LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)


async def test_the_first_minute(sandbox):
    """The README's program: a session that is signed, a token that was fetched once."""
    async with AuthEngine("memory:") as engine:
        credential = engine.credential(client(sandbox))
        async with credential.session() as session:
            for _ in range(3):
                async with session.get("products") as response:
                    assert len((await response.json())["data"]) == 20
    assert sandbox.linkxg.counts["token_requests"] == 1


async def test_ten_thousand_tasks_one_token_request(sandbox):
    """Ten thousand tasks ask at once with no token, over real sockets: one request."""
    async with AuthEngine() as engine:
        credential = engine.credential(client(sandbox))
        with sandbox.linkxg.hold("token") as held:
            callers = [asyncio.create_task(credential.token()) for _ in range(10_000)]
            await held.arrived()
        tokens = await asyncio.gather(*callers)
    assert len({token.access_token for token in tokens}) == 1
    assert sandbox.linkxg.counts["token_requests"] == 1


async def test_the_endpoint_answers_500(sandbox):
    """Five hundred callers share the failure of a vendor that answers 500: a handful of requests, each caller told."""
    sandbox.linkxg.fault("token", status=500, times=None)
    async with AuthEngine(timeout=1.5) as engine:
        credential = engine.credential(client(sandbox))
        for _ in range(2):
            found = await asyncio.gather(*(credential.token() for _ in range(500)), return_exceptions=True)
            assert all(isinstance(each, VendorUnavailable) for each in found)
    assert 1 < sandbox.linkxg.counts["token_requests"] <= 6


async def test_closing_stores_what_was_in_the_air(sandbox):
    """The engine is closed while the vendor has the request: its answer is in the store afterwards."""
    store = MemoryStore()
    engine = AuthEngine(store)
    held = sandbox.linkxg.hold("token")
    caller = asyncio.create_task(engine.credential(client(sandbox)).token())
    await held.arrived()
    closing = asyncio.create_task(engine.aclose())
    await asyncio.sleep(0)
    held.release()
    await closing
    async with AuthEngine(store) as later:
        assert await later.credential(client(sandbox)).token() == await caller
    assert sandbox.linkxg.counts["token_requests"] == 1


async def test_nothing_is_left_open(sandbox, caplog, recwarn):
    """After the engine is closed no session, no connection, no task is left, and nothing was warned of."""
    tasks = asyncio.all_tasks()
    async with AuthEngine() as engine:
        await engine.credential(client(sandbox)).token()
    left = asyncio.all_tasks() - tasks
    # The sandbox, in this loop, may have yet to notice that a connection was closed.
    assert {task.get_coro().__qualname__ for task in left} <= {"RequestHandler.start"}
    if left:
        await asyncio.wait(left, timeout=20)
    gc.collect()
    assert asyncio.all_tasks() == tasks
    assert [str(warning.message) for warning in recwarn] == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_in_a_web_app(sandbox):
    """``app.cleanup_ctx.append(engine.cleanup_ctx)``: usable while the app runs, closed with it."""
    engine = AuthEngine()
    app = web.Application()
    app.cleanup_ctx.append(engine.cleanup_ctx)

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=(await engine.credential(client(sandbox)).token()).token_type)

    app.router.add_get("/", show)
    async with TestClient(TestServer(app)) as browser:
        assert await (await browser.get("/")).text() == "Bearer"
    with pytest.raises(ConfigurationError, match="closed"):
        await engine.credential(client(sandbox), "other").token()


def test_no_io_before_the_first_await(tmp_path):
    """An engine, a credential and a session-less middleware are made without a loop, a file or a socket."""
    engine = AuthEngine(f"file:{tmp_path / 'store'}")
    credential = engine.credential(LinkXG(client_id="c", client_secret="canary"))
    assert "canary" not in repr(credential)
    assert repr(credential) == "<Credential linkxg/default>"
    assert list(tmp_path.iterdir()) == []


async def test_statuses_tell_operators_and_show_nothing(sandbox):
    """Every credential of the store with its times, the last failure and who is needed; never a secret."""
    store = MemoryStore()
    async with AuthEngine(store) as engine:
        await engine.credential(client(sandbox)).token()
        user = engine.credential(LinkXGUser(base_url=sandbox.linkxg.base_url), "ada")
        token = await user.login(email=sandbox.linkxg.email, password=sandbox.linkxg.password)
        sandbox.linkxg.tokens.find(token.refresh_token).revoked = True
        with pytest.raises(ReauthorizationRequired):
            await user.refresh()
        found = {status.vendor: status async for status in engine.statuses()}
    assert found["linkxg"].error == ""
    assert found["linkxg"].expires_at > found["linkxg"].now
    assert found["linkxg-user"].needs_user
    assert "refused" in found["linkxg-user"].error
    assert token.access_token not in repr(found)
    assert token.refresh_token not in repr(found)


def test_an_engine_shows_its_store_and_no_secret():
    """Its repr names the kind of its store, not its URL, which may hold a password."""
    assert repr(AuthEngine("memory:")) == "<AuthEngine with a MemoryStore>"
    assert "hunter2" not in repr(AuthEngine("redis://:hunter2@127.0.0.1:1/0"))


async def test_events_tell_what_happened(sandbox):
    """The hook hears of renewals and failures with vendor, account and duration; what it raises stops nothing."""
    events = []

    def listen(event):
        events.append(event)
        raise ZeroDivisionError

    async with AuthEngine(on_event=listen) as engine:
        token = await engine.credential(client(sandbox), "ada").token()
    assert [(event.kind.value, event.vendor, event.account) for event in events] == [("renewed", "linkxg", "ada")]
    assert 0 < events[0].duration < 5
    assert token.access_token not in repr(events)


def test_one_engine_in_several_loops_one_after_another():
    """``asyncio.run`` again and again with one engine: each loop is served, and closing in each leaves nothing."""
    started, ended, place = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with Sandbox() as sandbox:
            place.append(client(sandbox))
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait(10)
    engine = AuthEngine(MemoryStore())

    async def use() -> str:
        credential = engine.credential(place[0])
        await credential.refresh()
        async with credential.session() as session, session.get("products") as response:
            assert response.status == 200
        return (await credential.token()).access_token

    try:
        assert len({asyncio.run(use()) for _ in range(3)}) == 3
    finally:
        ended.set()
        thread.join(10)
