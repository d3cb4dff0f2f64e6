"""Requests are answered only where they ask for this machine by a name that nobody else can give.

A page in a browser may come from a name that its owner points at 127.0.0.1 afterwards (DNS rebinding): to the browser
all of the sandbox, ``/_control`` too, is then that page's own origin. Its requests carry that name in ``Host``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from linkauth.sandbox.wire import is_here, json_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["loopback_names_only"]


@web.middleware
async def loopback_names_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """421 (RFC 9110 §15.5.20) to a ``Host`` that is not ``localhost`` or a loopback address."""
    if is_here(_name(request.headers.get("Host", ""))):
        return await handler(request)
    return json_answer({"error": "the sandbox is at localhost or a loopback address, and at no other name"}, 421)


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # an address in brackets that is none
        return None
