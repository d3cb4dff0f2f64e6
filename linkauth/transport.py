"""Request -> Response over aiohttp, for the token side alone.

A session of its own, so that nobody's middlewares, cookies, proxies or base URL meddle with a token request. No redirect
is followed: a secret goes where it was addressed, or nowhere. Every answer is read to its end and within limits.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import aiohttp
import attrs
from yarl import URL

from linkauth.errors import MalformedResponse, NoAnswer, NotSent
from linkauth.oauth.exchange import Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import SimpleNamespace

__all__ = ["Transport"]

LARGEST: Final = 1 << 20
"""Bytes of an answer's body. A token answer has some thousand."""
CONNECT: Final = 5.0
"""Seconds for a connection, so that one dead address leaves time for another try."""

LAST_LOOK: Final = 0.1
"""Seconds at the end of the limit, counted only while this process runs.

A process that was stopped, or starved, wakes past its limit with the answer perhaps in its socket's buffer; and an answer
that brings a new refresh token is lost with the session.
"""

log = logging.getLogger("linkauth")


@attrs.define
class _Sending:
    """What is not sent ``by`` half of the time is not sent at all: the other half is the vendor's, for its answer."""

    by: float
    sent: bool = False


class Transport:
    """Sends token requests. One session for each event loop, made when first needed."""

    def __init__(self) -> None:
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    async def send(self, request: Request, seconds: float) -> Response:
        """One exchange within ``seconds``.

        Raises ``NotSent`` where no connection came about, ``NoAnswer`` where one did and no whole answer came within
        the time, ``MalformedResponse`` where the answer is too large.
        """
        sending = _Sending(asyncio.get_running_loop().time() + seconds / 2)
        host = URL(request.url).host
        limit = aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT, seconds / 2))
        try:
            async with (
                _within(seconds),
                self._session().request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=request.body,
                    allow_redirects=False,
                    timeout=limit,
                    trace_request_ctx=sending,
                ) as answer,
            ):
                return Response(
                    status=answer.status,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=await _body(answer, host),
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # aiohttp's errors hold the request, headers and all: only the class's name goes on.
            fault = f"{host}: {_words(error)}"
        raise (NoAnswer if sending.sent else NotSent)(fault)

    async def aclose(self) -> None:
        """Close this loop's session."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_sending)
            session = aiohttp.ClientSession(
                # Each exchange has a connection of its own: one that the vendor closes for idleness at the moment when
                # it is used again would leave a refresh token in doubt.
                connector=aiohttp.TCPConnector(force_close=True),
                trace_configs=[trace],
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                raise_for_status=False,
                trust_env=False,
            )
            self._sessions[loop] = session
        return session


@asynccontextmanager
async def _within(seconds: float) -> AsyncGenerator[None]:
    """As ``asyncio.timeout``, and looks once more (``LAST_LOOK``) where the limit passed while nothing ran."""
    loop = asyncio.get_running_loop()
    look = min(LAST_LOOK, seconds / 2)
    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(seconds - look, lambda: limit.reschedule(loop.time() + look))
        try:
            yield
        finally:
            timer.cancel()


async def _note_sending(
    _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
) -> None:
    # Called when the headers are about to be handed to the connection: from here on the vendor may act on them.
    sending: _Sending = context.trace_request_ctx
    if asyncio.get_running_loop().time() > sending.by:
        raise TimeoutError
    sending.sent = True


async def _body(answer: aiohttp.ClientResponse, host: str | None) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > LARGEST:
            answer.close()
            del body, chunk  # a traceback with locals would show them
            raise MalformedResponse(f"{host}: the answer is larger than {LARGEST} bytes")
    return bytes(body)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "no trusted TLS connection came about"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection came about"
    return f"the connection failed ({type(error).__name__})"
