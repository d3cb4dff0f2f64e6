"""Reading a callback's parameters: from the query, or from a form or JSON in a POST's body."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from linkauth.oauth import wire
from linkauth.web.landing import Landing, bad_callback
from linkauth.web.visit import CutOff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from linkauth.web.visit import Visit

__all__ = ["BadCallback", "of_query", "parameters"]

LARGEST: Final = 64 * 1024
"""Bytes of a body. A code, even if it is a JWT, is a tenth of it."""
MOST: Final = 64
"""Parameters."""
PATIENCE: Final = 10.0
"""Seconds in which a body has to come."""


class BadCallback(Exception):
    """The callback cannot be read. ``landing`` is what to answer."""

    def __init__(self, landing: Landing) -> None:
        super().__init__(landing.status)
        self.landing = landing


async def parameters(visit: Visit) -> Mapping[str, str]:
    """The callback's parameters. Raises ``BadCallback``; its page repeats nothing of what came.

    A parameter may come once only (RFC 6749 §3.1), in JSON too (RFC 8259 §4 leaves it open which of two counts). Values
    in JSON that are no text are left to the vendor to refuse.
    """
    if visit.method == "GET":
        return _once(visit.query)
    body = await _body(visit)
    match visit.content_type:
        case "application/x-www-form-urlencoded":
            with suppress(ValueError):  # not UTF-8, or too many
                return of_query(body.decode())
        case "application/json":
            value: object = wire.decode(body)
            if isinstance(value, dict):
                json.loads(body, object_pairs_hook=_once, parse_int=str)  # for what comes twice alone
                return cast("dict[str, Any]", wire.as_object(cast("object", value)))
        case _:
            raise BadCallback(bad_callback(415, "type"))
    raise BadCallback(bad_callback(400, "unreadable"))


def of_query(text: str) -> Mapping[str, str]:
    """The parameters in a query, or in a form's body. Raises ``BadCallback`` for one that comes twice, ``ValueError`` for too many."""
    return _once(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST))


def _once(pairs: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    found = wire.Masked()
    for name, value in pairs:
        if name in found:
            raise BadCallback(bad_callback(400, "twice"))
        found[name] = value
    return found


async def _body(visit: Visit) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in visit.chunks():
                body += chunk
                if len(body) > LARGEST:
                    raise BadCallback(bad_callback(413, "large"))
    except TimeoutError:
        status, why = 408, "slow"
    except CutOff:
        status, why = 400, "cut"
    else:
        return bytes(body)
    raise BadCallback(bad_callback(status, why))
