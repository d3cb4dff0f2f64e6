"""A sandbox and a plain aiohttp client: nothing of linkauth's own client is used to judge the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from linkauth.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
