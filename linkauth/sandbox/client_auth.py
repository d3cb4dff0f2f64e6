"""How a client shows who it is at the authorization server (RFC 6749 §2.3), and how it is refused (§5.2)."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from linkauth.sandbox.wire import Refusal, json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

__all__ = ["credentials", "refusal"]


def credentials(request: web.Request, fields: Mapping[str, str]) -> tuple[str, str, str | None]:
    """How the client authenticates, its id, and its secret if it has one."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        given = fields.get("client_secret")
        return "none" if given is None else "post", fields.get("client_id", ""), given
    if "client_secret" in fields:
        raise refusal("invalid_request", "More than one way of client authentication is used")
    try:
        client, _, given = b64decode(value, validate=True).decode("ascii").partition(":")
    except ValueError:
        return "basic", "", None
    return "basic", unquote_plus(client), unquote_plus(given)


def refusal(error: str, description: str, status: int = 400, headers: Mapping[str, str] | None = None) -> Refusal:
    """An error of RFC 6749 §5.2."""
    return Refusal(json_answer({"error": error, "error_description": description}, status, headers))
