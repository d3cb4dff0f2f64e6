"""Serve the vendors on loopback, and say what to type to try each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from linkauth.errors import ConfigurationError
from linkauth.oauth.url import is_loopback
from linkauth.sandbox import Sandbox

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Serve until interrupted."""
    if not is_loopback(chosen.host):
        raise ConfigurationError("the sandbox gives tokens to anybody: it stays on loopback")
    try:
        async with Sandbox(host=chosen.host, port=chosen.port) as sandbox:
            print(f"The sandbox is at {sandbox.url}. Ctrl-C ends it.", flush=True)
            await asyncio.Event().wait()
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}") from None
    return 0
