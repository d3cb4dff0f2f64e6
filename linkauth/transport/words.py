"""What is said of a request that failed: where, why and, where a proxy is at fault, who has to act.

aiohttp's errors hold the request, headers and all, so only what is picked here goes on.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

import aiohttp

from linkauth.errors import NoAnswer, NotSent, line

if TYPE_CHECKING:
    from linkauth.transport.limit import Limit
    from linkauth.transport.proxies import Proxy

__all__ = ["failure"]

LONGEST: Final = 100
"""Characters of the system's own words."""


def failure(error: Exception, host: str, proxy: Proxy | None, limit: Limit) -> NotSent | NoAnswer:
    """The error for a request to ``host`` by way of ``proxy``. It holds nothing of ``error`` but some words."""
    if proxy is None or limit.sent:
        return (NoAnswer if limit.sent else NotSent)(f"{host}: {_words(error, limit)}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        words = _refusal(error.status, proxy)
    elif _is_of(error, proxy) or not isinstance(error, aiohttp.ClientConnectionError | TimeoutError):
        words = f"{_words(error, limit)}; whoever runs this app, or the proxy, has to act"
    else:  # whose fault it was, the proxy's or the vendor's behind it, cannot be known
        return NotSent(f"{host}, by the proxy {proxy.place}: {_words(error, limit)}")
    found = NotSent(f"{host}: the proxy {proxy.place}: {words}")
    found.who = "the operator"
    return found


def _is_of(error: Exception, proxy: Proxy) -> bool:
    """Whether it was the proxy itself that could not be reached."""
    return f"{getattr(error, 'host', '')}:{getattr(error, 'port', '')}" == proxy.place.replace("[", "").replace("]", "")


def _refusal(status: int, proxy: Proxy) -> str:
    if status != 407:
        return f"it opens no way there (HTTP {status}); whoever runs the proxy has to act"
    words = "it refuses the user or password" if proxy.login else "it asks for a user and password"
    return f"{words} in its URL (HTTP 407); whoever runs this app has to act"


def _words(error: Exception, limit: Limit) -> str:
    match error:
        case TimeoutError():
            words, why = _late(limit), ""
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as inner):
            words, why = "no trusted TLS connection came about", inner.verify_message
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError(reason=str(reason))):
            words, why = "no trusted TLS connection came about", reason.lower().replace("_", " ")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            words, why = "no trusted TLS connection came about", ""
        case aiohttp.ClientConnectorDNSError():
            words, why = "its name was not resolved", error.strerror or ""
        case aiohttp.ClientConnectorError():
            words, why = "no connection came about", _of_the_system(error)
        case aiohttp.ServerDisconnectedError():
            words, why = "it ended the connection without an answer", ""
        case _:
            words, why = "the connection failed", _of_the_system(error) or type(error).__name__
    return f"{words} ({line(why, LONGEST)})" if why else words


def _late(limit: Limit) -> str:
    if limit.sent:
        return "no answer in time"
    return "every connection to it is in use, and none became free in time" if limit.queued else "no connection in time"


def _of_the_system(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 and not isinstance(error, ssl.SSLError) else ""
