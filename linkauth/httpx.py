"""httpx: a credential as ``httpx.Auth``, and a client that signs as ``credential.session()`` does.

::

    async with httpx.AsyncClient(auth=Auth(credential), base_url=...) as client:
        ...
    async with client(credential) as api:
        response = await api.get("products")
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
from httpx import USE_CLIENT_DEFAULT, TooManyRedirects

from linkauth.auth_steps import Signing, for_one_header, of_vendor
from linkauth.redirects import hop_by_hop

if TYPE_CHECKING:
    from linkauth.blocking import Credential as BlockingCredential
    from linkauth.engine.credential import Credential

__all__ = ["Auth", "client"]


class _EachHop(Signing, httpx.Auth):
    """For a client that asks for each hop."""


class Auth(_EachHop):
    """Signs the requests of an ``httpx.AsyncClient``, or of an ``httpx.Client`` with a credential of ``linkauth.blocking``.

    Requests to the vendor's own origin get the token; all others pass, and so do those with an ``Authorization`` or a user and
    password of the caller's. A 401, or what else the vendor says that an expired token is answered with, renews the token once
    and repeats the request (of several hops the last) once. Where the body cannot be sent again the 401 is the caller's, and
    the token is renewed all the same. After a redirect elsewhere and back the request is unsigned: ``client`` signs it.

    Raises ``ConfigurationError`` for a vendor whose token goes in a header of its own, which httpx would not take off at a
    redirect to another origin: ``client`` serves it.
    """

    def __init__(self, credential: Credential | BlockingCredential) -> None:
        super().__init__(for_one_header(credential, "httpx"))


class _Client(httpx.AsyncClient):
    def __init__(self, credential: Credential, **kwargs: Any) -> None:
        super().__init__(auth=_EachHop(credential), **of_vendor(credential, kwargs))
        self._header = credential.vendor.header

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = USE_CLIENT_DEFAULT,
        follow_redirects: Any = USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        follows = self.follow_redirects if follow_redirects is USE_CLIENT_DEFAULT else follow_redirects
        send = partial(super().send, auth=auth)
        if auth is not USE_CLIENT_DEFAULT or not follows:
            return await send(request, stream=stream, follow_redirects=follow_redirects)
        response: httpx.Response = await hop_by_hop(
            send, request, stream=stream, header=self._header, most=self.max_redirects, too_many=TooManyRedirects
        )
        return response


def client(credential: Credential, **kwargs: Any) -> httpx.AsyncClient:
    """An ``httpx.AsyncClient`` with the vendor's base URL, whose every hop is signed if it goes to the vendor, else not.

    ``kwargs`` are passed on. For a vendor that names an endpoint (Sage X3) the base URL is the configured root, and requests
    below it go to the endpoint. Redirects are followed where ``follow_redirects=True`` says so, as ever with httpx. Whoever
    makes the client closes it. Raises ``ConfigurationError`` for an ``auth`` among ``kwargs``.
    """
    return _Client(credential, **kwargs)
