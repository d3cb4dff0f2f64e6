"""A place on another origin, where no credential may ever arrive. It counts what does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from linkauth.sandbox.part import Endpoint, Part
from linkauth.sandbox.wire import json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

__all__ = ["Elsewhere", "Settings"]


@attrs.define
class Settings:
    """There is nothing to set."""


class Elsewhere(Part[Settings]):
    """``counts``: ``elsewhere_requests``, and of these ``with_authorization`` and ``with_body``."""

    name: ClassVar[str] = "elsewhere"
    prefix: ClassVar[str] = "/elsewhere"

    def endpoints(self) -> Iterator[Endpoint]:
        """Every path."""
        yield Endpoint("elsewhere", "*", "/{rest:.*}", self._arrived)

    async def _arrived(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.counts["with_authorization"] += int("Authorization" in request.headers)
        self.counts["with_body"] += int(bool(body))
        return json_answer({"elsewhere": True, "authorization": "Authorization" in request.headers})
