"""A request of httpx's or httpx2's, signed and at a 401 sent again, in steps: the same for their sync clients and their async ones.

The two have one interface, so nothing of either is imported here. Both strip ``Authorization`` at a redirect to another
origin and run an ``Auth`` once for all hops; so what is looked at is the last hop, and whether it still has the header.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Coroutine, Generator, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import attrs

from linkauth.destination import destination, heard, serves
from linkauth.errors import LinkAuthError
from linkauth.vendors.vendor import origin

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential
    from linkauth.oauth.token import Token

__all__ = ["Ask", "Read", "Request", "Send", "Steps", "is_own", "signed"]


class Request(Protocol):
    """What both clients send."""

    url: Any
    stream: Any

    @property
    def headers(self) -> MutableMapping[str, str]:
        """By name, whatever its case."""
        ...


class Response(Protocol):
    """What both clients answer with."""

    status_code: int

    @property
    def request(self) -> Any: ...


@attrs.frozen
class Ask:
    """Call this of the credential's; its value, or its ``LinkAuthError``, comes back."""

    call: Callable[[], Coroutine[Any, Any, Any]]


@attrs.frozen
class Send:
    """Send this; the response comes back."""

    request: Any


@attrs.frozen
class Read:
    """Read this response to its end, so that its connection is free."""

    response: Any


Steps: TypeAlias = Generator[Ask | Send | Read, Any, None]


def is_own(request: Request, header: str) -> bool:
    """Whether the caller has put ``header`` on ``request``, or a user and password into its URL."""
    return header in request.headers or (header.lower() == "authorization" and bool(request.url.userinfo))


def signed(credential: Credential, request: Request) -> Steps:
    """Send ``request``, signed if it goes to the vendor; renew and send its last hop again at a 401, once."""
    vendor = credential.vendor
    own = is_own(request, vendor.header)
    if request.url.userinfo and "Authorization" not in request.headers:
        request.headers["Authorization"] = _basic(request.url)  # as the client would, had it no other auth
    if own or not (yield Ask(partial(serves, credential, origin(str(request.url))))):
        yield Send(request)
        return
    token: Token = yield Ask(credential.token)
    if not _sign(credential, request, token):
        yield Send(request)
        return
    response: Response = yield Send(request)
    hop = response.request
    if not _is_signed(credential, hop, token):
        return  # what another origin answers says nothing of the token
    if response.status_code not in vendor.expired_statuses:
        heard(credential, token, response.status_code)
        return
    yield from _refused(credential, hop, token, response)


def _refused(credential: Credential, hop: Request, token: Token, response: Response) -> Steps:
    """Renew, and send ``hop`` again where it can be sent again and there is another token; else ``response`` is the caller's."""
    once = _is_sent_once(hop.stream)
    if not once and not credential.is_stuck(token):
        # Whoever else uses the client's pool is not held up while the token is renewed.
        yield Read(response)
    try:
        fresh: Token = yield Ask(partial(credential.replacement, token))
    except LinkAuthError:
        if once:
            return
        raise
    if once or fresh == token:
        return
    hop.headers.pop(credential.vendor.header, None)  # should the new token be for another origin
    _sign(credential, hop, fresh)
    response = yield Send(hop)
    if _is_signed(credential, response.request, fresh):
        heard(credential, fresh, response.status_code)


def _sign(credential: Credential, request: Request, token: Token) -> bool:
    """Put ``token`` on ``request``, on its way to the endpoint that the token names. False: it goes elsewhere."""
    url = str(request.url)
    goes = destination(credential.vendor, token, url)
    if goes is None:
        return False
    if goes != url:
        request.url = type(request.url)(goes)
        request.headers["Host"] = request.url.netloc.decode("ascii")
    request.headers[credential.vendor.header] = credential.vendor.signature(token)
    return True


def _is_signed(credential: Credential, hop: Request, token: Token) -> bool:
    """Whether ``hop`` went to the vendor with ``token``: neither elsewhere nor, coming back from there, without it."""
    vendor = credential.vendor
    return hop.headers.get(vendor.header) == vendor.signature(token)


def _basic(url: Any) -> str:
    """A URL's user and password (RFC 7617)."""
    return "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode("ascii")


def _is_sent_once(stream: Any) -> bool:
    """Whether a body cannot be sent again: it is made while it is sent, or read from what has no beginning to go back to.

    What the client has whole it can send by both of its kinds; of a multipart body the files are read again from their beginning.
    """
    if not (hasattr(stream, "__iter__") and hasattr(stream, "__aiter__")):
        return True
    files = (getattr(field, "file", b"") for field in getattr(stream, "fields", ()))
    return not all(isinstance(file, str | bytes) or file.seekable() for file in files)
