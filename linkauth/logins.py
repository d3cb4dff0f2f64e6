"""Logins that aiohttp takes from a netrc by itself, so that they are not taken for the caller's own will.

With ``trust_env=True`` aiohttp looks there for every request without an ``Authorization`` of its own, and sets that
header before any middleware runs.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aiohttp.hdrs import AUTHORIZATION

if TYPE_CHECKING:
    from aiohttp import ClientRequest

__all__ = ["is_from_netrc"]


async def is_from_netrc(request: ClientRequest) -> bool:
    """Whether ``request``'s ``Authorization`` is what a netrc holds for its host. One by the caller is told by its value."""
    shown = request.headers[AUTHORIZATION]
    if not request.session.trust_env or not shown.startswith("Basic ") or not request.url.host:
        return False
    return await asyncio.to_thread(_is_in_netrc, shown, request.url.host)


def _is_in_netrc(shown: str, host: str) -> bool:
    try:
        found = cast("tuple[str | None, ...] | None", netrc(_path()).authenticators(host))
    except (OSError, RuntimeError, NetrcParseError, ValueError):  # there is none, or none that can be read
        return False
    login, account, password = found or (None, None, None)
    return shown in {_basic(name, password or "") for name in (login, account) if name}


def _basic(name: str, password: str) -> str:
    """As aiohttp writes it (RFC 7617)."""
    return "Basic " + b64encode(f"{name}:{password}".encode("latin1", "replace")).decode("ascii")


def _path() -> Path:
    """Where aiohttp looks, too."""
    named = os.environ.get("NETRC")
    return Path(named) if named is not None else Path.home() / ("_netrc" if os.name == "nt" else ".netrc")
