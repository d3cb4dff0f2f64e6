"""What the import costs a process that starts: processor time of a child, the interpreter's own start included."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.measure import Bench
from benchmarks.ours import LINKAUTH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from benchmarks.measure import Figures, Scene, Turn

NEEDED = "what linkauth needs: aiohttp, attrs, cattrs"
MODULES = {
    NEEDED: "aiohttp, attrs, cattrs",
    LINKAUTH: "linkauth; linkauth.AuthEngine",  # the package alone imports nothing
    "aiohttp-oauth2-client": "aiohttp_oauth2_client.grant.client_credentials",
    "Authlib": "authlib.integrations.httpx_client",
    "azure-identity": "azure.identity.aio",
    "google-auth": "google.auth.transport.requests",
    "msal": "msal",
    "requests-oauth2client": "requests_oauth2client",
}


def _child(modules: str) -> float:
    """Seconds of a child that imports them; no ``.pyc`` is to be written while it is measured: the first turn does that."""
    process = subprocess.Popen([sys.executable, "-c", f"import {modules}"])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here
    assert process.returncode == 0, modules
    return used.ru_utime + used.ru_stime


async def _turn(modules: str) -> Figures:
    return {"ms of processor time": 1e3 * await asyncio.to_thread(_child, modules)}


@asynccontextmanager
async def _opened(_: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    there = {name: modules for name, modules in MODULES.items() if name not in peers.ABSENT}
    yield {name: partial(_turn, modules) for name, modules in there.items()}


IMPORTS = Bench("import", "A process that starts and imports it", _opened, NEEDED, rounds=9)
