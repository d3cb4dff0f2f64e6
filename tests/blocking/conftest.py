"""A vendor that rotates, a file store, and scripts in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager

import pytest

from linkauth import AuthEngine, OAuth2
from linkauth.sandbox import Sandbox

PATIENCE = 60.0
"""Seconds that a busy machine may take for one line."""


@pytest.fixture
async def sandbox():
    async with Sandbox(oauth2={"loopback_redirects": True}) as running:
        yield running


@pytest.fixture
def arguments(sandbox):
    server = sandbox.oauth2
    return {
        "name": "acme",
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "token_url": server.token_url,
        "authorize_url": server.authorize_url,
        "api_url": server.api_url,
    }


@pytest.fixture
def vendor(arguments):
    return OAuth2(**arguments)


@pytest.fixture
async def store(sandbox, vendor, tmp_path):
    """The URL of a store in which Ada is connected."""
    url = f"file:{tmp_path / 'tokens'}"
    async with AuthEngine(url) as engine:
        asked = await engine.credential(vendor, "ada").authorization_url("http://127.0.0.1/back")
        await engine.complete(vendor, sandbox.oauth2.consent(asked).params)
    return url


@pytest.fixture
def start(arguments, store):
    """Starts ``tests.blocking.script``; ended when the block ends."""

    @asynccontextmanager
    async def started(what):
        paths = os.pathsep.join(path for path in sys.path if path)
        program = (sys.executable, "-m", "tests.blocking.script", what, store, json.dumps(arguments))
        process = await asyncio.create_subprocess_exec(
            *program, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={**os.environ, "PYTHONPATH": paths}
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return started


async def line(process) -> str:
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode().strip()
