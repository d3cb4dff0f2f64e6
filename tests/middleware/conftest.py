"""Two vendors on loopback, an engine, a credential at the first of them, and the clients that sign with it."""

from __future__ import annotations

import pytest

from linkauth import AuthEngine, LinkXG
from linkauth_stores.memory import MemoryStore
from tests.middleware.clients import CLIENTS, EVERY
from tests.middleware.site import Site, serving


@pytest.fixture
def make_site():
    """What is served; a file may have its own."""
    return Site


@pytest.fixture
async def site(make_site):
    async with serving(make_site()) as found:
        yield found


@pytest.fixture
async def other(make_site):
    async with serving(make_site()) as found:
        yield found


@pytest.fixture
async def engine():
    async with AuthEngine(MemoryStore(), timeout=6) as made:  # seconds: a busy machine takes some for one answer
        yield made


@pytest.fixture
def credential(engine, site):
    return engine.credential(LinkXG(client_id="shop", client_secret="s", base_url=f"{site.url}/v1"))


@pytest.fixture(params=EVERY)
def client(request):
    """Each HTTP client that signs with a credential."""
    return CLIENTS[request.param]()
