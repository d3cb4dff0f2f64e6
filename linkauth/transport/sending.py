"""Request -> Response over aiohttp, for the token side alone.

A session of its own, so that nobody's middlewares, cookies, netrc or base URL meddle with a token request. No redirect
is followed: a secret goes where it was addressed, or nowhere. Every answer is read to its end and within limits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from linkauth.engine.flight import called_off
from linkauth.errors import MalformedResponse, NoAnswer, NotSent
from linkauth.oauth.exchange import Request, Response
from linkauth.transport.kept import Asked, Connector, Kept
from linkauth.transport.limit import Limit
from linkauth.transport.packing import ACCEPTED, Unpacker
from linkauth.transport.proxies import Proxies
from linkauth.transport.sessions import Answer, Sessions
from linkauth.transport.words import failure
from linkauth.version import __version__

if TYPE_CHECKING:
    from ssl import SSLContext
    from types import SimpleNamespace

    from linkauth.transport.proxies import Proxy

__all__ = ["CONNECTIONS", "LARGEST", "Transport"]

LARGEST: Final = 1 << 20
"""Bytes of an answer's body. A token answer has some thousand."""
CONNECT: Final = 5.0
"""Seconds for one address, so that a dead one leaves time for another try."""
CONNECTIONS: Final = 100
"""To one origin at a time, and as many of those that are kept. There is no limit over all: a vendor that hangs holds up nobody else's requests."""
KEPT: Final = 30.0
"""Seconds for which a connection that nobody uses stays open: less than vendors, and what is on the way to them, have patience."""
AGENT: Final = f"linkauth/{__version__}"
"""``User-Agent`` (RFC 9110 §10.1.5)."""


class Transport:
    """Sends token requests, from any event loop.

    What is good for one use has a connection of its own: one that the vendor closes for idleness at the moment when it is
    used again would leave a refresh token in doubt. What may be repeated (``Request.idempotent``) goes over one that is kept,
    and where that was closed meanwhile goes again at once.
    """

    def __init__(self, proxies: Proxies | None = None, tls: SSLContext | None = None) -> None:
        self._proxies = proxies or Proxies()
        self._tls = tls
        self._sessions = Sessions(lambda: self._session(self._connector(force_close=True)))
        self._kept = Kept(lambda: self._connector(force_close=False))
        self._keeping = Sessions(lambda: self._session(self._kept.connector(), owns=False))

    async def send(self, request: Request, seconds: float) -> Response:
        """One exchange: half of ``seconds`` for a connection, and ``seconds`` for the answer from when there is one.

        Raises ``NotSent`` where no connection came about, ``NoAnswer`` where one did and no whole answer came within
        the time, ``MalformedResponse`` where the answer is too large.
        """
        loop, limit = asyncio.get_running_loop(), Limit(seconds)
        begun = loop.time()
        found = await self._tried(request, limit, self._keeping if request.idempotent else self._sessions)
        if limit.stale:
            found = await self._tried(request, Limit(seconds - (loop.time() - begun)), self._sessions)
        if isinstance(found, Response):
            return found
        raise found

    async def aclose(self) -> None:
        """Close the connections that this loop keeps. They are made anew where something is sent after all."""
        await self._kept.aclose()

    async def _tried(self, request: Request, limit: Limit, sessions: Sessions) -> Response | NotSent | NoAnswer:
        """The answer, or why there is none."""
        proxy = self._proxies.to(request.url)
        url = URL(request.url, encoded=True)
        host = url.host or ""
        try:
            async with (
                limit.kept(),
                sessions.one() as session,
                session.request(
                    request.method,
                    url,
                    headers={"User-Agent": AGENT, "Accept-Encoding": ACCEPTED, **request.headers},
                    # The vendors' pages say which there is; of its own aiohttp puts one on an empty POST, too.
                    skip_auto_headers=["Content-Type"],
                    data=request.body or None,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT, limit.connect)),
                    trace_request_ctx=limit,
                    proxy=proxy.url if proxy else None,
                    proxy_headers=_to_the_proxy(proxy),
                ) as answer,
            ):
                return Response(
                    status=answer.status,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=await _body(answer, host),
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            limit.stale = limit.reused and isinstance(error, aiohttp.ClientConnectionError)
            return failure(error, host, proxy, limit)
        except asyncio.CancelledError:
            if called_off():
                raise
            # Whoever cancels all tasks cancels aiohttp's, too, such as a look-up of the name.
            return (NoAnswer if limit.sent else NotSent)(f"{host}: a task of the connection's was cancelled")

    def _connector(self, *, force_close: bool) -> Connector:
        return Connector(
            force_close=force_close,
            keepalive_timeout=None if force_close else KEPT,
            limit=0,
            limit_per_host=CONNECTIONS,
            ssl=self._tls or True,
        )

    def _session(self, connector: Connector, *, owns: bool = True) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_queued_start.append(_note_queued)
        trace.on_connection_queued_end.append(_note_called)
        trace.on_connection_reuseconn.append(_note_reused)
        trace.on_request_headers_sent.append(_note_sending)
        return aiohttp.ClientSession(
            connector=connector,
            connector_owner=owns,
            trace_configs=[trace],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # it is done here, within limits
            raise_for_status=False,
            trust_env=False,
            request_class=Asked,
            response_class=Answer,
        )


async def _note_queued(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    limit: Limit = context.trace_request_ctx
    limit.queued = True


async def _note_called(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    limit: Limit = context.trace_request_ctx
    limit.queued = False


async def _note_reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    limit: Limit = context.trace_request_ctx
    limit.reused = True


async def _note_sending(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    limit: Limit = context.trace_request_ctx
    limit.sending()


def _to_the_proxy(proxy: Proxy | None) -> dict[str, str] | None:
    if proxy is None:
        return None
    return {"User-Agent": AGENT} | ({"Proxy-Authorization": proxy.login} if proxy.login else {})


async def _body(answer: aiohttp.ClientResponse, host: str | None) -> bytes:
    body, packed = bytearray(), 0
    unpack = Unpacker(answer.headers.get("Content-Encoding", ""))
    async for chunk in answer.content.iter_any():
        packed += len(chunk)
        body += unpack(chunk, LARGEST + 1 - len(body))
        if max(packed, len(body)) > LARGEST:
            answer.close()
            del body, chunk  # a traceback with locals would show them
            raise MalformedResponse(f"{host}: the answer is larger than {LARGEST} bytes")
    unpack.end()
    return bytes(body)
