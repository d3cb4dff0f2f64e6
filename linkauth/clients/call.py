"""One call to a vendor's API: the answer's body, or a typed error that holds no token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote

import aiohttp
import attrs

from linkauth import errors
from linkauth.errors import (
    ConfigurationError,
    LinkAuthError,
    MalformedResponse,
    NoAnswer,
    NotSent,
    OAuthError,
)
from linkauth.oauth import grants
from linkauth.oauth.exchange import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

__all__ = ["Answer", "call", "get", "refuse", "segment"]

OK: Final = 200
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of an answer. None of the documented answers comes near it."""

_BY_STATUS: Final[dict[int, type[OAuthError]]] = {
    400: errors.InvalidRequest,
    401: errors.InvalidToken,
    403: errors.AccessDenied,
    404: errors.NotFound,
    409: errors.Conflict,
    422: errors.UnprocessableContent,
}
"""What a status means where the vendor's code is not one that is documented (RFC 6750 §3.1)."""


@attrs.frozen
class Answer:
    """A vendor's answer, read to its end, and the URL that was asked in truth (a middleware may have moved it)."""

    response: Response
    url: URL


async def call(
    session: aiohttp.ClientSession,
    method: str,
    url: str | URL,
    *,
    vendor: str,
    params: Mapping[str, str] | None = None,
    json: object = None,
) -> Answer:
    """Ask the API at ``url``, relative to the session's base URL. The answer may be a refusal.

    Redirects are not followed: none is documented, and the body of a call is nobody else's business.

    Raises ``VendorUnavailable`` where no answer came (``NotSent`` where the vendor saw nothing of the request),
    ``MalformedResponse`` for an answer above 16 MiB, ``ConfigurationError`` for a session without a base URL, and
    whatever the session's credential raises.
    """
    how: dict[str, Any] = {"params": params, "json": json, "headers": {"Accept": "application/json"}}
    fault: LinkAuthError
    try:
        async with session.request(method, url, allow_redirects=False, raise_for_status=False, **how) as answer:
            body = await _read(answer, vendor)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            sent = answer.request_info
            # Without body and query: what the caller asked for is no secret of the credential's.
            request = Request(method=sent.method, url=str(sent.url.origin()), headers=dict(sent.headers))
            return Answer(Response(status=answer.status, headers=headers, body=body, request=request), sent.url)
    except aiohttp.InvalidURL:
        fault = ConfigurationError("the session has no base URL: make it with credential.session()")
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        fault = NotSent(f"no connection to {vendor} ({type(error).__name__})")
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        fault = NoAnswer(f"{vendor} did not answer ({type(error).__name__})")
    # Built and raised apart: aiohttp's errors hold the request's headers, the token among them.
    raise fault


async def get(
    session: aiohttp.ClientSession,
    url: str,
    *,
    vendor: str,
    params: Mapping[str, str] | None = None,
) -> Answer:
    """The answer of a GET that succeeded. Raises as ``call`` and, for any status but 200, as ``refuse``."""
    answer = await call(session, "GET", url, vendor=vendor, params=params)
    if answer.response.status != OK:
        refuse(answer.response, vendor)
    return answer


async def _read(answer: aiohttp.ClientResponse, vendor: str) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(65536):
        body += chunk
        if len(body) > LARGEST:
            raise MalformedResponse(f"{vendor}'s answer is larger than {LARGEST} bytes")
    return bytes(body)


def refuse(response: Response, vendor: str, codes: Mapping[str, type[OAuthError]] | None = None) -> NoReturn:
    """Raise what a refusing API answer means.

    The refusal's words are read where any of the vendors puts them: ``{"error": {"code", "message"}}``, ``{"error",
    "error_description"}``, ``{"error": "text"}`` or ``{"message"}``. ``codes``: the vendor's own. A code that neither
    the vendor's page nor RFC 6749 has keeps its words in ``.error``, and the status decides the class: 400
    ``InvalidRequest``, 401 ``InvalidToken``, 403 ``AccessDenied``, 404 ``NotFound``, 409 ``Conflict``, 422
    ``UnprocessableContent``, 429 ``RateLimited``, 5xx ``VendorUnavailable``. ``.details`` is the envelope's.
    """
    code, description = _said(response)
    details = grants.details(response)
    error = grants.refusal(response, vendor, code, description, codes, _BY_STATUS, details)
    kind = _BY_STATUS.get(response.status)
    if kind is not None and type(error) is OAuthError:
        error = kind(code, description, status=response.status, details=details)
    raise error


def _said(response: Response) -> list[str]:
    enveloped = grants.said(response, ("code", "message"), inside="error")
    if any(enveloped):
        return enveloped
    message, error, description = grants.said(response, ("message", "error", "error_description"))
    return [error or message, description]


def segment(value: str, what: str) -> str:
    """``value`` as one segment of a path (RFC 3986 §3.3). Raises ``ConfigurationError`` where it cannot be one."""
    if value in {"", ".", ".."}:  # a dot segment would be resolved away, and the call would go elsewhere
        raise ConfigurationError(f"{what} is empty or a dot segment")
    return quote(value, safe="")
