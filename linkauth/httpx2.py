"""httpx2: a credential as ``httpx2.Auth``, and a client that signs as ``credential.session()`` does.

::

    async with httpx2.AsyncClient(auth=Auth(credential), base_url=...) as client:
        ...
    async with client(credential) as api:
        response = await api.get("products")
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
from httpx2 import USE_CLIENT_DEFAULT, TooManyRedirects

from linkauth.auth_steps import Signing, for_one_header, of_vendor
from linkauth.redirects import hop_by_hop

if TYPE_CHECKING:
    from linkauth.blocking import Credential as BlockingCredential
    from linkauth.engine.credential import Credential

__all__ = ["Auth", "client"]


class _EachHop(Signing, httpx2.Auth):
    """For a client that asks for each hop."""


class Auth(_EachHop):
    """As ``linkauth.httpx.Auth``, for an ``httpx2.AsyncClient`` or ``httpx2.Client``."""

    def __init__(self, credential: Credential | BlockingCredential) -> None:
        super().__init__(for_one_header(credential, "httpx2"))


class _Client(httpx2.AsyncClient):
    def __init__(self, credential: Credential, **kwargs: Any) -> None:
        super().__init__(auth=_EachHop(credential), **of_vendor(credential, kwargs))
        self._header = credential.vendor.header

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = USE_CLIENT_DEFAULT,
        follow_redirects: Any = USE_CLIENT_DEFAULT,
    ) -> httpx2.Response:
        follows = self.follow_redirects if follow_redirects is USE_CLIENT_DEFAULT else follow_redirects
        send = partial(super().send, auth=auth)
        if auth is not USE_CLIENT_DEFAULT or not follows:
            return await send(request, stream=stream, follow_redirects=follow_redirects)
        response: httpx2.Response = await hop_by_hop(
            send, request, stream=stream, header=self._header, most=self.max_redirects, too_many=TooManyRedirects
        )
        return response


def client(credential: Credential, **kwargs: Any) -> httpx2.AsyncClient:
    """As ``linkauth.httpx.client``: an ``httpx2.AsyncClient`` with the vendor's base URL, which looks at every hop."""
    return _Client(credential, **kwargs)
