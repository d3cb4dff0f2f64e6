"""Serve the vendors on loopback, and say what to type to try each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.errors import ConfigurationError
from linkauth.oauth.url import is_loopback
from linkauth.sandbox import serve

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Serve until interrupted."""
    if not is_loopback(chosen.host):
        raise ConfigurationError("the sandbox gives tokens to anybody: it stays on loopback")
    try:
        await serve(chosen.host, chosen.port)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}") from None
    return 0
