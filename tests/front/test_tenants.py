"""Sage X3 for two of its customers on one app: two workers on one store, over real HTTP, and a third that keeps both alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from linkauth import AuthEngine, SageX3
from linkauth.clients import SageX3Client
from linkauth.sandbox import Sandbox
from linkauth.web import connect_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from linkauth import Status

KEYS = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CUSTOMERS = {"acme": "https://x3.acme.example", "beta": "https://x3.beta.example"}


@pytest.fixture
async def sage() -> AsyncIterator[Any]:
    """Sage X3, with the sandbox's client."""
    async with Sandbox(sagex3={"loopback_redirects": True}) as sandbox:
        yield sandbox.sagex3


class App:
    """One worker of an app, mounted on a server of its own."""

    def __init__(self, engine: AuthEngine, sage: Any) -> None:
        self.engine, self.sage = engine, sage

    def company(self, tenant: str) -> SageX3 | None:
        if tenant not in CUSTOMERS:
            return None
        client = {"client_id": self.sage.client_id, "client_secret": self.sage.client_secret}
        return SageX3(**client, base_url=self.sage.base_url, customer=CUSTOMERS[tenant])

    async def companies_of(self, status: Status) -> list[SageX3 | None]:
        return [self.company(tenant) for tenant in CUSTOMERS if status.account == "ada"]

    def server(self, public_url: str) -> TestServer:
        app = web.Application()
        connect = connect_app(self.engine, {"sagex3": self.company}, public_url=public_url, account=lambda _: "ada")
        app.add_subapp("/connect", connect)
        return TestServer(app)


async def test_two_tenants_two_workers_one_store(url: str, sage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun at one worker and answered at another, sealed in a folder and on Redis; each calls its own X3; both are kept."""
    monkeypatch.setattr("linkauth.engine.keep_alive.EARLIEST", 0.0)
    monkeypatch.setattr("linkauth.engine.keep_alive.LATEST", 0.0)
    async with AuthEngine(url, keys=KEYS) as one, AuthEngine(url, keys=KEYS) as other, aiohttp.ClientSession() as http:
        first, second = App(one, sage), App(other, sage)
        async with (
            first.server("http://127.0.0.1:1/connect") as at_first,
            second.server("http://127.0.0.1:1/connect") as at_second,
        ):
            pages = {}
            for tenant in CUSTOMERS:
                start = at_first.make_url(f"/connect/sagex3?tenant={tenant}&next=/books/{tenant}")
                async with http.get(start, allow_redirects=False) as response:
                    assert response.status == 303
                    pages[tenant] = response.headers["Location"]
            for tenant in reversed(CUSTOMERS):
                callback = sage.consent(pages[tenant])
                where = at_second.make_url("/connect/sagex3/callback")
                async with http.post(where, data=callback.params, allow_redirects=False) as response:
                    assert (response.status, response.headers["Location"]) == (303, f"/books/{tenant}")
            async with http.get(at_second.make_url("/connect/sagex3?tenant=gamma")) as response:
                assert response.status == 404
        tokens = {}
        for tenant, customer in CUSTOMERS.items():
            credential = one.credential(first.company(tenant), "ada")
            tokens[tenant] = await credential.token()
            (pairing,) = [each for each in sage.pairings.values() if each.customer == customer]
            assert pairing.session is not None
            async with credential.session() as session:
                assert await SageX3Client(session).folders()
        assert len({token.access_token for token in tokens.values()}) == 2
        async with AuthEngine(url, keys=KEYS) as keeper:
            assert await keeper.keep_alive(App(keeper, sage).companies_of, rounds=1) == 2
        for tenant in CUSTOMERS:
            fresh = await other.credential(second.company(tenant), "ada").refresh()
            assert fresh.refresh_token != tokens[tenant].refresh_token
