"""One engine of a module, and ``asyncio.run`` once for each task, as job queues and serverless functions do it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkauth import AuthEngine, LinkXGUser
from linkauth.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = 0.3
VENDOR = 0.5
"""Seconds that a task and a renewal take."""


@contextmanager
def vendor(delay: float) -> Iterator[Sandbox]:
    """A sandbox in a thread of its own: LinkXG users whose tokens last 2 s, and renewals that take ``delay`` seconds."""
    started, ended, made = threading.Event(), threading.Event(), []
    limits = {"token_limit": None, "login_limit": None, "refresh_limit": None, "user_token_lifetime": 2.0}

    async def serve() -> None:
        async with Sandbox(linkxg=limits) as sandbox:
            # The vendor acts at once: what is lost after that is the answer, and the session with it.
            sandbox.linkxg.faults.add(Fault(endpoint="refresh", when="after", delay=delay, times=None))
            made.append(sandbox)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    try:
        yield made[0]
    finally:
        ended.set()
        thread.join(30)


@pytest.fixture(params=["memory", "file", "redis"])
def store(request, tmp_path) -> str:
    """The URL of a store of the test's own."""
    if request.param == "memory":
        return "memory:"
    if request.param == "file":
        return f"file:{tmp_path / 'store'}"
    return f"{request.getfixturevalue('redis_url')}?prefix=t{uuid.uuid4().hex}"


@pytest.fixture
def _silence(caplog) -> Iterator[None]:
    """No "Unclosed client session", no "Task was destroyed", no ResourceWarning, and as many sockets open as before."""
    caplog.set_level(logging.WARNING, "asyncio")
    gc.collect()
    before = _sockets()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    assert _sockets() <= before


def _sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += str(each.readlink()).startswith("socket:")
        except OSError:
            continue  # the one by which the folder is read
    return found


def by_run(main) -> None:
    asyncio.run(main)


def by_recipe(main) -> None:
    """Until the task is done; then cancel all, gather, stop: the recipe that programs use who handle signals."""
    loop = asyncio.new_event_loop()

    async def stop() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop.stop()

    async def program() -> None:
        await main
        stopping.append(loop.create_task(stop()))

    stopping: list[asyncio.Task[None]] = []
    running = loop.create_task(program())
    try:
        loop.run_forever()
        running.result()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.mark.long
@pytest.mark.blocking
@pytest.mark.usefixtures("_silence")
@pytest.mark.parametrize("inside", [True, False], ids=["entered", "not entered"])
@pytest.mark.parametrize("way", [by_run, by_recipe])
def test_a_session_survives_fifty_short_tasks(store, way, inside):
    """Renewals take longer than tasks last. Every task has a token, and no answer, so no session, is lost."""
    with vendor(VENDOR) as sandbox:
        xg = sandbox.linkxg
        engine = AuthEngine(store, timeout=5)
        credential = engine.credential(LinkXGUser(base_url=xg.base_url))

        async def work() -> None:
            await credential.token()
            await asyncio.sleep(TASK)

        async def task() -> None:
            async with engine if inside else contextlib.nullcontext():
                await work()

        asyncio.run(_login(credential, xg))
        for _ in range(50):
            way(task())
        renewed = xg.counts["refresh_token"]
        asyncio.run(_refreshed(credential, engine))
        assert renewed >= 5
        assert xg.counts["refresh_reuse"] == 0


@pytest.mark.long
@pytest.mark.blocking
@pytest.mark.usefixtures("_silence")
def test_a_session_survives_short_tasks_in_threads(store):
    """Four threads, each with ``asyncio.run`` for each of its tasks, and one engine for all of them."""
    failed = []
    with vendor(VENDOR) as sandbox:
        xg = sandbox.linkxg
        engine = AuthEngine(store, timeout=5)
        credential = engine.credential(LinkXGUser(base_url=xg.base_url))

        async def task() -> None:
            async with engine:
                await credential.token()
                await asyncio.sleep(TASK)

        def worker() -> None:
            for _ in range(15):
                try:
                    asyncio.run(task())
                except Exception as error:  # told by the test's thread
                    failed.append(error)

        asyncio.run(_login(credential, xg))
        threads = [threading.Thread(target=worker) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        asyncio.run(_refreshed(credential, engine))
        assert failed == []
        assert xg.counts["refresh_reuse"] == 0


async def _login(credential, xg) -> None:
    await credential.login(email=xg.email, password=xg.password)


async def _refreshed(credential, engine) -> None:
    async with engine:
        assert (await credential.refresh()).access_token


KILLED = """
import asyncio, json, sys
from linkauth import AuthEngine, LinkXGUser

engine = AuthEngine("memory:", timeout=60)
base_url, *who = json.loads(sys.stdin.readline())
credential = engine.credential(LinkXGUser(base_url=base_url))

async def main():
    await credential.login(email=who[0], password=who[1])
    asyncio.get_running_loop().create_task(credential.refresh())
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.blocking
def test_a_second_interrupt_ends_the_program_all_the_same():
    """The first Ctrl-C waits for the vendor's answer, which takes a minute here; the second does not."""
    with vendor(60.0) as sandbox:
        xg = sandbox.linkxg
        program = subprocess.Popen(
            [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert program.stdin is not None
        try:
            with program.stdin as line:
                print(json.dumps([xg.base_url, xg.email, xg.password]), file=line, flush=True)
            _until(lambda: xg.counts["refresh_token"])
            program.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(1)
            program.send_signal(signal.SIGINT)
            assert program.wait(20) != 0
        finally:
            program.kill()
            program.wait()
            sandbox.linkxg.faults.clear()


def _until(what) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
