"""Requests read as strictly as the documents allow, and answers in JSON."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NOT_STORED",
    "BadRequest",
    "Refusal",
    "bearer",
    "form",
    "integer",
    "is_here",
    "json_answer",
    "json_object",
    "no_type_for_nothing",
    "once",
]

NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 §5.1: for every answer that carries a token. The sandbox says it with all of them."""


class BadRequest(Exception):
    """A request that is not formed as documented. Its words name a parameter, never a value."""


class Refusal(Exception):
    """Ends a handler with ``response``."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def no_type_for_nothing(request: web.Request) -> None:
    """Raises a ``Refusal`` with 415 for a content type where there is no content, as a strict server answers."""
    if request.method == "POST" and "Content-Type" in request.headers and not request.can_read_body:
        raise Refusal(json_answer({"error": "Unsupported Media Type", "statusCode": 415}, 415))


async def form(request: web.Request) -> dict[str, str]:
    """The fields of an ``application/x-www-form-urlencoded`` body. Raises ``BadRequest``.

    Empty fields count as left out, and none may come twice (RFC 6749 §3.2).
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadRequest("Content-Type must be application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl((await request.read()).decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise BadRequest("the body is not a form in UTF-8") from None
    return once(pairs)


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Name and value pairs as a mapping. Raises ``BadRequest`` where a name comes twice."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise BadRequest(f"{name[:40]} is given more than once")
    return {name: value for name, value in pairs if value}


async def json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in an ``application/json`` body. Raises ``BadRequest``."""
    if request.content_type != "application/json":
        raise BadRequest("Content-Type must be application/json")
    try:
        value: object = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object")
    return value  # pyright: ignore[reportUnknownVariableType]  # keys of a JSON object are strings


def bearer(request: web.Request) -> str | None:
    """The token of ``Authorization: Bearer`` (RFC 6750 §2.1), None where there is not exactly one."""
    headers = request.headers.getall("Authorization", [])
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    return token if scheme.lower() == "bearer" and token and " " not in token else None


def is_here(host: str | None) -> bool:
    """Whether a host name means this machine whoever resolves it: ``localhost``, or a loopback address."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def integer(request: web.Request, name: str, default: int, at_most: int | None = None) -> int:
    """A query parameter that counts from 1. Raises ``BadRequest``."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < 1:
        raise BadRequest(f"{name} must be a positive whole number")
    if at_most is not None and int(text) > at_most:
        raise BadRequest(f"{name} must be at most {at_most}")
    return int(text)


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``value`` as JSON, never to be stored."""
    return web.json_response(value, status=status, headers={**NOT_STORED, **(headers or {})})
