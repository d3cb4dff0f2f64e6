"""A callback that names an endpoint: through the mounted app, down to the resolver and the connector."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import pytest

from linkauth import AuthEngine, Credential
from linkauth.errors import LinkAuthError, NotSent, UntrustedEndpoint
from linkauth.oauth.url import is_loopback
from linkauth.vendors import SageX3
from tests.web.conftest import Page, Site, Visitor
from tests.web.pages import state_of

ROOT = "https://api.eu-prod-sagex3.com/v1"
ATTACKS = [
    "https://api.evil-sagex3.com/v1",
    "https://api.us-prod-sagex3.com.evil.example/v1",
    "https://api.us-prod-sagex3.com@evil.example/v1",
    "https://API.us-prod-sagex3.com/v1",
    "https://api.us-prod-sagex3.com:8443/v1",
    "https://api.us-prod-sagex3.com./v1",
    "https://api.us-prod-sagex3.com/v1evil",
    "https://localhost/v1",
    "http://127.0.0.1:1/v1",
    "https://[::ffff:127.0.0.1]/v1",
    "https://169.254.169.254/v1",
]


class Wire:
    """Which hosts were looked up and which were to be connected to, this machine's own aside. Nothing gets out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.resolved: list[str] = []
        self.connected: list[str] = []
        resolve, connect = socket.getaddrinfo, aiohttp.TCPConnector.connect

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else str(host)
            if is_loopback(name) or name in {"None", "0.0.0.0"}:
                return resolve(host, *args, **kwargs)
            self.resolved.append(name)
            raise socket.gaierror("nothing gets out")

        async def counted(connector: aiohttp.TCPConnector, request: Any, *args: Any, **kwargs: Any) -> Any:
            if not is_loopback(request.url.host):
                self.connected.append(request.url.host)
            return await connect(connector, request, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(aiohttp.TCPConnector, "connect", counted)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


class Heard(AuthEngine):
    """An engine that remembers how callbacks ended."""

    def __init__(self) -> None:
        super().__init__("memory:", timeout=0.5)
        self.ended: list[type[LinkAuthError]] = []

    async def complete(self, vendor: Any, params: Any) -> Credential:
        try:
            return await super().complete(vendor, params)
        except LinkAuthError as error:
            self.ended.append(type(error))
            raise


async def test_no_look_up_and_no_connection_for_an_endpoint_that_is_not_listed(
    site: Site, ada: Visitor, wire: Wire
) -> None:
    """``UntrustedEndpoint``, and not even DNS is asked; a callback of a region that is listed is sent there."""
    async with Heard() as engine:
        site.engine = engine
        sage = SageX3(
            client_id="c", client_secret="s", base_url=ROOT, customer="https://x3.example", regions=["us-prod"]
        )
        await site.serve(sage)
        await ada.sign_in("ada")
        state = state_of(await ada.begin("sagex3"))

        async def answered(**more: str) -> Page:
            params = {"authorizationCode": "c", "state": state, **more}
            return await ada.ask("POST", "/sagex3/callback", data=params)

        for endpoint in ATTACKS:
            page = await answered(endpoint=endpoint)
            assert page.status == 400, endpoint
        assert engine.ended == [UntrustedEndpoint] * len(ATTACKS)
        assert (wire.resolved, wire.connected) == ([], [])
        await answered(endpoint="https://api.us-prod-sagex3.com/v1")
        assert engine.ended[-1] is NotSent
        assert set(wire.resolved) == set(wire.connected) == {"api.us-prod-sagex3.com"}
