"""Signs requests to the vendor's own origin, and to no other.

aiohttp runs a middleware again for every redirect hop, and after it has taken the header off for a foreign origin. So
the origin is looked at each time: the token goes to the vendor alone, however a request gets elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.hdrs import AUTHORIZATION, HOST
from aiohttp.multipart import BodyPartReaderPayload
from yarl import URL

from linkauth.engine.credential import Credential as EngineCredential
from linkauth.errors import LinkAuthError
from linkauth.vendors.vendor import origin

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from linkauth.oauth.token import Token

__all__ = ["Credential"]

UNAUTHORIZED = 401


class Credential(EngineCredential):
    """One account's authority at one vendor, and an aiohttp client middleware: ``ClientSession(middlewares=[this])``.

    Requests to the vendor's own origin get the ``Authorization`` header (RFC 6750 §2.1), unless they bring one of their
    own. A 401 renews the token once and repeats the request once, where its body can be sent again. All others pass.
    """

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
        if AUTHORIZATION in request.headers:
            return await handler(request)  # the caller's own header, or user:password in the URL: the caller's will
        if origin(str(request.url)) == origin(self.vendor.api(None)) or (
            (known := await self._known()) and origin(str(request.url)) == origin(self.vendor.api(known))
        ):
            token = await self.token()
        else:
            return await handler(request)
        if not self._sign(request, token):
            return await handler(request)
        response = await handler(request)
        if response.status != UNAUTHORIZED or _streamed_away(request.body) or self.in_vain(token):
            return response
        # Given back first: with a small pool the renewal could not get a connection otherwise.
        response.release()
        fresh = await self.replacement(token)
        request.headers.pop(AUTHORIZATION, None)  # should the new token be for another origin
        self._sign(request, fresh)
        response = await handler(request)
        self.accepted(fresh, yes=response.status != UNAUTHORIZED)
        return response

    async def _known(self) -> Token | None:
        """The token, where only it knows which origin is the vendor's. Another origin's request must not fail of it."""
        if not self.vendor.roams:
            return self._holding.token
        try:
            token = self._holding.token or await self.token()
            self.vendor.api(token)  # an endpoint that is not believed makes no origin the vendor's
        except LinkAuthError:
            return None
        return token

    def _sign(self, request: ClientRequest, token: Token) -> bool:
        """Put the token on ``request``, on its way to the endpoint that the token names. False: it goes elsewhere."""
        root, endpoint = self.vendor.api(None), self.vendor.api(token)
        url = str(request.url)
        if endpoint != root and url.startswith(f"{root}/"):
            request.url = URL(endpoint + url[len(root) :], encoded=True)
            request.headers[HOST] = request.url.host_port_subcomponent or ""
        if origin(str(request.url)) != origin(endpoint):
            return False
        request.headers[AUTHORIZATION] = token.authorization
        return True


def _streamed_away(body: object) -> bool:
    """Whether ``body`` cannot be sent again: aiohttp would send it empty, or cut.

    Before 3.14.5 aiohttp says so neither of a multipart body for its parts, nor of a part that is passed on as it was received.
    """
    if getattr(body, "consumed", False) or isinstance(body, BodyPartReaderPayload):
        return True
    return isinstance(body, aiohttp.MultipartWriter) and any(_streamed_away(part) for part, _, _ in body)
