"""The HTTP clients that sign with a credential, behind one small interface: the same promises, the same tests.

A session has ``get``, ``post`` and ``request`` as aiohttp has them, and its answers ``status``, ``read()``, ``text()`` and ``url``.
"""

from __future__ import annotations

import asyncio
from typing import Any, Self

import aiohttp
import pytest

from tests.middleware.site import chunks


class Aiohttp:
    """The middleware in a ``ClientSession``."""

    each_hop = True
    """Whether every hop of a redirect is looked at, and so any header may carry the token."""
    error = aiohttp.ClientError
    """The client's own errors, which none of linkauth's is."""
    chunks = staticmethod(chunks)
    """A body that is made while it is sent."""

    def session(self, credential: Any, **kwargs: Any) -> Any:
        """A session with the vendor's base URL."""
        return credential.session(**kwargs)

    def bare(self, credential: Any) -> Any:
        """One without, for any URL."""
        return aiohttp.ClientSession(middlewares=[credential])


class Httpx:
    """``client()`` of ``linkauth.httpx`` or ``linkauth.httpx2``."""

    each_hop = True
    chunks = staticmethod(chunks)

    def __init__(self, name: str) -> None:
        self.theirs = pytest.importorskip(name)
        self.ours = pytest.importorskip(f"linkauth.{name}")
        self.error = self.theirs.HTTPError

    def session(self, credential: Any, **kwargs: Any) -> Any:
        return Session(self.ours.client(credential, follow_redirects=True, **kwargs))

    def bare(self, credential: Any) -> Any:
        return self.session(credential, base_url="")


class WithAuth(Httpx):
    """``Auth`` in an ``AsyncClient`` of the user's own."""

    each_hop = False

    def session(self, credential: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("base_url", f"{credential.vendor.api(None)}/")
        return Session(self.theirs.AsyncClient(auth=self._auth(credential), follow_redirects=True, **kwargs))

    def _auth(self, credential: Any) -> Any:
        if credential.vendor.header != "Authorization":
            pytest.skip("Auth refuses a header of the vendor's own: tests/middleware/test_httpx.py")
        return self.ours.Auth(credential)


class Blocking(WithAuth):
    """``Auth`` with a credential of ``linkauth.blocking``, in a sync ``Client``, each call in a thread."""

    def chunks(self) -> Any:
        yield from [b"chunk"] * 4

    def session(self, credential: Any, **kwargs: Any) -> Any:
        from linkauth.blocking import Credential

        kwargs.setdefault("base_url", f"{credential.vendor.api(None)}/")
        auth = self._auth(Credential(credential))
        return Session(self.theirs.Client(auth=auth, follow_redirects=True, **kwargs), in_thread=True)


class Session:
    """An httpx client as the tests see it."""

    def __init__(self, client: Any, *, in_thread: bool = False) -> None:
        self.client, self._in_thread = client, in_thread

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._in_thread:
            self.client.close()
        else:
            await self.client.aclose()

    def request(self, method: str, url: Any, *, data: Any = None, **kwargs: Any) -> Answer:
        if data is not None:
            kwargs["data" if isinstance(data, dict) else "content"] = data
        return Answer(self._sent(method, str(url), **kwargs))

    def get(self, url: Any, **kwargs: Any) -> Answer:
        return self.request("GET", url, **kwargs)

    def post(self, url: Any, **kwargs: Any) -> Answer:
        return self.request("POST", url, **kwargs)

    async def _sent(self, *args: Any, **kwargs: Any) -> Any:
        if self._in_thread:
            return await asyncio.to_thread(self.client.request, *args, **kwargs)
        return await self.client.request(*args, **kwargs)


class Answer:
    """A response as aiohttp has it: awaited, or entered."""

    def __init__(self, coming: Any) -> None:
        self._coming = coming

    def __await__(self) -> Any:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        self._response = await self._coming
        self.status, self.url = self._response.status_code, self._response.url
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self) -> bytes:
        return self._response.content

    async def text(self) -> str:
        return self._response.text

    async def json(self) -> Any:
        return self._response.json()


CLIENTS: dict[str, Any] = {
    "aiohttp": Aiohttp,
    "httpx": lambda: Httpx("httpx"),
    "httpx2": lambda: Httpx("httpx2"),
    "httpx Auth": lambda: WithAuth("httpx"),
    "httpx2 Auth": lambda: WithAuth("httpx2"),
    "httpx blocking": lambda: Blocking("httpx"),
    "httpx2 blocking": lambda: Blocking("httpx2"),
}
EVERY = [
    pytest.param(name, marks=() if name == "aiohttp" else pytest.mark.long, id=name.replace(" ", "-"))
    for name in CLIENTS
]
"""Parameters of the fixture ``client``. The test command has aiohttp alone installed."""
