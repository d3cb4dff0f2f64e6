"""The connect pages' requests and answers, as aiohttp has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from aiohttp import web
from aiohttp.web import RequestPayloadError

from linkauth.web.visit import Answer, CutOff, Visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["AiohttpVisit"]

CHUNK = 65536
"""Bytes."""


class AiohttpVisit(Visit):
    """One request that aiohttp has taken."""

    @classmethod
    def of(cls, request: web.Request) -> Self:
        """The visit that ``request`` is."""
        return cls(
            request,
            method=request.method,
            word=request.match_info.get("vendor", ""),
            query=tuple(request.query.items()),
            cookies=request.cookies,
            content_type=request.content_type,
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, unpacked where it was packed."""
        try:
            async for chunk in self.request.content.iter_chunked(CHUNK):
                yield chunk
        except (RequestPayloadError, ConnectionError):  # not packed as it says, or cut off
            raise CutOff from None

    def respond(self, answer: Answer | web.StreamResponse) -> web.StreamResponse:
        """aiohttp's response. One that has begun to go out gets no cookies."""
        if isinstance(answer, Answer):
            answer = web.Response(status=answer.status, text=answer.text, headers=answer.headers)
        if not answer.prepared:
            for cookie in self.set_cookies:
                answer.headers.add("Set-Cookie", cookie)
        return answer
