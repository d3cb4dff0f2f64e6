"""Signs requests to the vendor's own origin, and to no other.

aiohttp runs a middleware again for every redirect hop, and after it has taken the header off for a foreign origin. So
the origin is looked at each time: the token goes to the vendor alone, however a request gets elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.hdrs import AUTHORIZATION, EXPECT, HOST
from aiohttp.multipart import BodyPartReaderPayload
from yarl import URL

from linkauth.destination import destination, heard, serves
from linkauth.engine.credential import Credential as EngineCredential
from linkauth.errors import LinkAuthError
from linkauth.logins import is_from_netrc
from linkauth.signed import UNSIGNED, signed
from linkauth.vendors.vendor import origin

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from linkauth.engine.context import EngineContext
    from linkauth.oauth.token import Token
    from linkauth.vendors.vendor import Vendor

__all__ = ["Credential"]


class Credential(EngineCredential):
    """One account's authority at one vendor, and an aiohttp client middleware: ``ClientSession(middlewares=[this])``.

    Requests to the vendor's own origin get the header that its API wants, ``Authorization`` (RFC 6750 §2.1) unless the vendor
    says otherwise, where they bring none of their own; all others pass. A 401, or what else the vendor says that an expired
    token is answered with, renews the token once and repeats the request once. Where the request cannot be sent again (its body
    was streamed, or it waits for ``100 Continue``) the 401 is the caller's, and the token is renewed all the same; where the
    token cannot be renewed the 401 is the caller's, until there were several over a minute or more.
    """

    def __init__(self, context: EngineContext, vendor: Vendor, account: str) -> None:
        self._signed = UNSIGNED
        self._expired_statuses = vendor.expired_statuses
        super().__init__(context, vendor, account)

    def forget(self) -> None:
        """As for any credential; what was put on a request goes with its token."""
        super().forget()
        self._signed = UNSIGNED

    def session(self, **kwargs: Any) -> aiohttp.ClientSession:
        """An ordinary ``aiohttp.ClientSession`` with this middleware and the vendor's base URL.

        ``kwargs`` are passed on; ``middlewares`` among them come before this one. For a vendor that names an endpoint
        (Sage X3) the base URL is the configured root, and requests below it go to the endpoint. Whoever opens the
        session closes it.
        """
        kwargs.setdefault("base_url", f"{self.vendor.api(None)}/")
        kwargs["middlewares"] = (*kwargs.get("middlewares", ()), self)
        return aiohttp.ClientSession(**kwargs)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Sign ``request`` if it goes to the vendor; renew and repeat once at a 401."""
        last, url = self._signed, request.url
        if (
            url.raw_authority == last.authority
            and url.scheme == last.scheme
            and last.header not in request.headers
            and (token := await self.token()) is last.token
        ):
            request.headers[last.header] = last.value
        elif (found := await self._signed_anew(request)) is not None:
            token = found
        else:
            return await handler(request)
        response = await handler(request)
        if response.status in self._expired_statuses:
            return await self._refused(request, handler, token, response)
        if self.refusals is not None:
            heard(self, token, response.status)
        return response

    async def _signed_anew(self, request: ClientRequest) -> Token | None:
        """The token that was put on ``request``, should it go to the vendor and bring none of its own."""
        header = self.vendor.header
        if header in request.headers and not (header == AUTHORIZATION and await is_from_netrc(request)):
            return None  # the caller's own header, or user:password in the URL: the caller's will
        if not await serves(self, origin(str(_as_http(request.url)))):
            return None
        token = await self.token()
        return token if self._sign(request, token) else None

    async def _refused(
        self, request: ClientRequest, handler: ClientHandlerType, token: Token, response: ClientResponse
    ) -> ClientResponse:
        """What becomes of a 401: the answer to the repeated request, or ``response`` where that cannot be had."""
        once = _is_sent_once(request)
        if not once and not self.is_stuck(token):
            # Given back first: whoever else uses the session's pool is not held up while the token is renewed.
            response.release()
        try:
            fresh = await self.replacement(token)
        except BaseException as error:
            if once and isinstance(error, LinkAuthError):
                return response
            response.release()
            raise
        if once or fresh == token:
            return response
        response.release()
        request.headers.pop(self.vendor.header, None)  # should the new token be for another origin
        self._sign(request, fresh)
        response = await handler(request)
        heard(self, fresh, response.status)
        return response

    def _sign(self, request: ClientRequest, token: Token) -> bool:
        """Put the token on ``request``, on its way to the endpoint that the token names. False: it goes elsewhere."""
        url = str(_as_http(request.url))
        goes = destination(self.vendor, token, url)
        if goes is None:
            return False
        if goes != url:
            request.url = _as(request.url.scheme, URL(goes, encoded=True))
            request.headers[HOST] = request.url.host_port_subcomponent or ""
        header, value = self.vendor.header, self.vendor.signature(token)
        request.headers[header] = value
        if self.vendor.api(token) == self.vendor.api(None):  # else where it goes depends on more than its origin
            self._signed = signed(request.url, token, header, value)
            if self._state.token is not token:  # another thread's loop has learned something meanwhile
                self._signed = UNSIGNED
        return True


def _as_http(url: URL) -> URL:
    """A WebSocket begins as an HTTP request to the same server: ``ws`` is ``http``, ``wss`` is ``https`` (RFC 6455 §3)."""
    plain = {"ws": "http", "wss": "https"}.get(url.scheme)
    return url if plain is None else url.with_scheme(plain)


def _as(scheme: str, url: URL) -> URL:
    """``url``, an http one, with ``ws`` or ``wss`` where ``scheme`` is one of these."""
    return url.with_scheme({"http": "ws", "https": "wss"}[url.scheme]) if scheme in {"ws", "wss"} else url


def _is_sent_once(request: ClientRequest) -> bool:
    """Whether ``request`` cannot be repeated: its body is gone, or aiohttp would wait for a 100 that it has had."""
    return EXPECT in request.headers or _streamed_away(request.body)


def _streamed_away(body: object) -> bool:
    """Whether ``body`` cannot be sent again: aiohttp would send it empty, or cut.

    Before 3.14.5 aiohttp says so neither of a multipart body for its parts, nor of a part that is passed on as it was received.
    """
    if getattr(body, "consumed", False) or isinstance(body, BodyPartReaderPayload):
        return True
    return isinstance(body, aiohttp.MultipartWriter) and any(_streamed_away(part) for part, _, _ in body)
