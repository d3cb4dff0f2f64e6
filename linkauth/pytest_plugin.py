"""The pytest plugin: a sandbox and an engine for the tests of apps that use linkauth. Installed with it, found by pytest itself.

::

    async def test_the_report(linkauth_sandbox, linkauth_engine):
        credential = linkauth_engine.credential(linkauth_sandbox.linkxg.vendor())
        ada = await linkauth_sandbox.linkkit.connect(linkauth_engine, "ada")

They live in the test's own event loop: by pytest-asyncio in its strict and its auto mode, and by anyio on asyncio. It is loaded in
everybody's pytest, so until a test asks for a fixture it imports nothing else of ``linkauth``, and none of its libraries.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from linkauth import AuthEngine
    from linkauth.sandbox import Sandbox

__all__ = ["linkauth_engine", "linkauth_sandbox", "pytest_configure"]


async def _sandbox() -> AsyncIterator[Sandbox]:
    from linkauth.sandbox import Sandbox  # noqa: PLC0415  # not before a test asks

    async with Sandbox() as running:
        yield running


async def _engine() -> AsyncIterator[AuthEngine]:
    from linkauth import AuthEngine  # noqa: PLC0415  # not before a test asks

    async with AuthEngine() as running:
        yield running


def pytest_configure(config: pytest.Config) -> None:
    """Make the fixtures of pytest-asyncio, should it be here: in its strict mode it takes no others."""
    if config.pluginmanager.hasplugin("asyncio"):
        import pytest_asyncio  # noqa: PLC0415  # it is there already

        fixtures = ModuleType("linkauth.pytest_plugin.by_asyncio")
        for name, made in (("sandbox", _sandbox), ("engine", _engine)):
            setattr(fixtures, name, pytest_asyncio.fixture(made, name=f"_linkauth_{name}_by_asyncio"))
        config.pluginmanager.register(fixtures)


_linkauth_sandbox_by_anyio = pytest.fixture(_sandbox, name="_linkauth_sandbox_by_anyio")
_linkauth_engine_by_anyio = pytest.fixture(_engine, name="_linkauth_engine_by_anyio")


@pytest.fixture
def linkauth_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """The vendors on loopback, fresh for each test: ``linkauth.sandbox.Sandbox``."""
    found: Sandbox = request.getfixturevalue(f"_linkauth_sandbox_by_{_by(request)}")
    return found


@pytest.fixture
def linkauth_engine(request: pytest.FixtureRequest) -> AuthEngine:
    """An engine with an empty store in memory, entered, and left when the test ends."""
    found: AuthEngine = request.getfixturevalue(f"_linkauth_engine_by_{_by(request)}")
    return found


def _by(request: pytest.FixtureRequest) -> str:
    return "anyio" if "anyio_backend" in request.fixturenames else "asyncio"
