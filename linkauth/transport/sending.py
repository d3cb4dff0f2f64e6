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
"""To one origin at a time. There is no limit over all: a vendor that hangs holds up nobody else's requests."""
AGENT: Final = f"linkauth/{__version__}"
"""``User-Agent`` (RFC 9110 §10.1.5)."""


class Transport:
    """Sends token requests, from any event loop. Nothing is left open when the last of a loop's is over."""

    def __init__(self, proxies: Proxies | None = None, tls: SSLContext | None = None) -> None:
        self._proxies = proxies or Proxies()
        self._tls = tls
        self._sessions = Sessions(self._session)

    async def send(self, request: Request, seconds: float) -> Response:
        """One exchange: half of ``seconds`` for a connection, and ``seconds`` for the answer from when there is one.

        Raises ``NotSent`` where no connection came about, ``NoAnswer`` where one did and no whole answer came within
        the time, ``MalformedResponse`` where the answer is too large.
        """
        limit = Limit(seconds)
        proxy = self._proxies.to(request.url)
        url = URL(request.url, encoded=True)
        host = url.host or ""
        try:
            async with (
                limit.kept(),
                self._sessions.one() as session,
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
            failed = failure(error, host, proxy, limit)
        except asyncio.CancelledError:
            if called_off():
                raise
            # Whoever cancels all tasks cancels aiohttp's, too, such as a look-up of the name.
            failed = (NoAnswer if limit.sent else NotSent)(f"{host}: a task of the connection's was cancelled")
        raise failed

    def _session(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_queued_start.append(_note_queued)
        trace.on_connection_queued_end.append(_note_called)
        trace.on_request_headers_sent.append(_note_sending)
        return aiohttp.ClientSession(
            # Each exchange has a connection of its own: one that the vendor closes for idleness at the moment when
            # it is used again would leave a refresh token in doubt.
            connector=aiohttp.TCPConnector(
                force_close=True, limit=0, limit_per_host=CONNECTIONS, ssl=self._tls or True
            ),
            trace_configs=[trace],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # it is done here, within limits
            raise_for_status=False,
            trust_env=False,
            response_class=Answer,
        )


async def _note_queued(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    limit: Limit = context.trace_request_ctx
    limit.queued = True


async def _note_called(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    limit: Limit = context.trace_request_ctx
    limit.queued = False


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
