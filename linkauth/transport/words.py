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
    elif _is_of(error, proxy) or not isinstance(error, aiohttp.ClientConnectionError):
        words = f"{_words(error, limit)}; whoever runs this app, or the proxy, has to act"
    else:  # the way stood, and the vendor did not do its part of the handshake
        return NotSent(f"{host}, by the proxy {proxy}: {_words(error, limit)}")
    found = NotSent(f"{host}: the proxy {proxy}: {words}")
    found.who = "the operator"
    return found


def _is_of(error: Exception, proxy: Proxy) -> bool:
    """Whether it was the proxy itself that could not be reached."""
    return f"{getattr(error, 'host', '')}:{getattr(error, 'port', '')}" == str(proxy).replace("[", "").replace("]", "")


def _refusal(status: int, proxy: Proxy) -> str:
    if status != 407:
        return f"it opens no way there (HTTP {status}); whoever runs the proxy has to act"
    words = "it refuses the user or password" if proxy.login else "it asks for a user and password"
    return f"{words} in its URL (HTTP 407); whoever runs this app has to act"


def _words(error: Exception, limit: Limit) -> str:
    match error:
        case TimeoutError() if limit.sent:
            return "no answer in time"
        case TimeoutError() if limit.queued:
            return "every connection to it is in use, and none became free in time"
        case TimeoutError():
            return "no connection in time"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as inner):
            return f"no trusted TLS connection came about{_in_brackets(inner.verify_message)}"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return f"no trusted TLS connection came about{_in_brackets(getattr(error, 'reason', None))}"
        case aiohttp.ClientConnectorDNSError():
            return f"its name was not resolved{_in_brackets(error.strerror)}"
        case aiohttp.ClientConnectorError():
            return f"no connection came about{_in_brackets(os.strerror(error.errno) if error.errno else None)}"
        case _:
            return f"the connection failed ({type(error).__name__})"


def _in_brackets(text: str | None) -> str:
    return f" ({line(text, LONGEST)})" if text else ""
