"""Other libraries as subjects, those that are installed: ``pip install -e '.[bench]'``. Each as its documentation shows it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from aiohttp import ClientSession

from benchmarks.by_hand import Bare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.by_hand import Ask, Holder
    from benchmarks.server import Server

    Now = Callable[[], object]
    Peeker = Callable[[Server], AbstractAsyncContextManager[Now]]
    """As a holder, but for code that is not asynchronous. It has its token when it is opened."""


@asynccontextmanager
async def _aiohttp_oauth2_client(server: Server) -> AsyncIterator[Ask]:
    from aiohttp_oauth2_client.grant.client_credentials import ClientCredentialsGrant

    async with ClientCredentialsGrant(server.token_url, "a", "b") as grant:
        yield grant.prepare_headers


@asynccontextmanager
async def _authlib(server: Server) -> AsyncIterator[Ask]:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    expired = {"access_token": "-", "token_type": "Bearer", "expires_at": 1}
    wanted = {"token_endpoint": server.token_url, "grant_type": "client_credentials"}
    async with AsyncOAuth2Client("a", "b", token=expired, leeway=0.2, **wanted) as client:

        async def ask() -> object:
            await client.ensure_active_token(client.token)
            return client.token

        yield ask


@asynccontextmanager
async def _azure_identity(server: Server) -> AsyncIterator[Ask]:
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.identity.aio import ClientSecretCredential

    class Loopback(AioHttpTransport):
        """It will not ask by plain http; so what it asks is brought here."""

        async def send(self, request, **config):
            request.url = server.token_url
            return await super().send(request, **config)

    async with ClientSecretCredential("common", "a", "b", transport=Loopback()) as credential:

        async def ask() -> object:
            return await credential.get_token("https://api.example/.default")

        yield ask


@asynccontextmanager
async def _aiobotocore(server: Server) -> AsyncIterator[Ask]:
    from aiobotocore.credentials import AioRefreshableCredentials

    async with ClientSession() as session:
        bare = Bare(server.token_url, session)

        async def refreshed() -> dict[str, str]:
            key = await bare.fetch()
            ends = datetime.fromtimestamp(bare.until, UTC).isoformat()
            return {"access_key": key, "secret_key": "b", "token": key, "expiry_time": ends}

        expired = datetime.fromtimestamp(1, UTC)
        yield AioRefreshableCredentials("-", "b", "-", expired, refreshed, "bench").get_frozen_credentials


@asynccontextmanager
async def _msal(server: Server) -> AsyncIterator[Now]:
    import msal
    import requests

    class Loopback(requests.Session):
        """It will not ask by plain http; so what it asks is brought here."""

        def request(self, method, url, **more):
            return super().request(method, url.replace("https://login.microsoftonline.com", server.root), **more)

    with Loopback() as session:
        app = msal.ConfidentialClientApplication(
            "a",
            client_credential="b",
            authority="https://login.microsoftonline.com/common",
            http_client=session,
            instance_discovery=False,
        )

        def ask() -> object:
            return app.acquire_token_for_client(["https://api.example/.default"])["access_token"]

        ask()
        yield ask


@asynccontextmanager
async def _google_auth(server: Server) -> AsyncIterator[Now]:
    import google.auth.transport.requests
    import google.oauth2.credentials

    credentials = google.oauth2.credentials.Credentials(
        None, refresh_token="refresh-0", token_uri=server.token_url, client_id="a", client_secret="b"
    )
    request = google.auth.transport.requests.Request()

    def ask() -> object:
        headers: dict[str, str] = {}
        credentials.before_request(request, "GET", "https://api.example/", headers)
        return headers

    ask()
    yield ask
    request.session.close()


@asynccontextmanager
async def _requests_oauth2client(server: Server) -> AsyncIterator[Now]:
    import requests
    from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth

    client = OAuth2Client(server.token_url, client_id="a", client_secret="b", testing=True)
    auth = OAuth2ClientCredentialsAuth(client)
    request = requests.Request("GET", "https://api.example/").prepare()

    def ask() -> object:
        return auth(request)

    ask()
    yield ask
    client.session.close()


@asynccontextmanager
async def _httpx_auth(server: Server) -> AsyncIterator[Now]:
    import httpx
    import httpx_auth

    with httpx.Client() as client:
        auth = httpx_auth.OAuth2ClientCredentials(server.token_url, client_id="a", client_secret="b", client=client)
        request = httpx.Request("GET", "https://api.example/")

        def ask() -> object:
            return next(auth.auth_flow(request))

        ask()
        yield ask


def _here(*packages: str) -> bool:
    """Whether they are all installed."""
    try:
        return all(version(package) for package in packages)
    except PackageNotFoundError:
        return False


_HOLDERS: dict[str, Holder] = {
    "aiobotocore": _aiobotocore,
    "aiohttp-oauth2-client": _aiohttp_oauth2_client,
    "Authlib": _authlib,
    "azure-identity": _azure_identity,
}
_PEEKERS: dict[str, Peeker] = {
    "google-auth": _google_auth,
    "httpx-auth": _httpx_auth,
    "msal": _msal,
    "requests-oauth2client": _requests_oauth2client,
}
_NEEDS = {"Authlib": ["httpx2"], "google-auth": ["requests"]}
"""What a peer needs for what is asked of it here, and does not bring."""
PACKAGES = sorted(name for name in [*_HOLDERS, *_PEEKERS] if _here(name, *_NEEDS.get(name, [])))
"""Those that are installed, by the name that pip knows."""
ABSENT = sorted({*_HOLDERS, *_PEEKERS} - set(PACKAGES))
"""Those that are not."""
HOLDERS = {name: holder for name, holder in _HOLDERS.items() if name in PACKAGES}
PEEKERS = {name: peeker for name, peeker in _PEEKERS.items() if name in PACKAGES}
