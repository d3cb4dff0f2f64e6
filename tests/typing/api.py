"""The front door as type checkers see it. Never run: mypy --strict and pyright strict read it.

``assert_type`` says what a user's editor knows. Where it is wrong, both checkers fail.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import aiohttp

import linkauth
from linkauth import (
    ApiKey,
    AuthEngine,
    Conflict,
    Credential,
    Forbidden,
    Linkkit,
    LinkXG,
    LinkXGUser,
    NoAnswer,
    NotFound,
    NotSent,
    OAuth2,
    OAuthError,
    RateLimited,
    SageX3,
    Status,
    Token,
    TokenStore,
    UnprocessableContent,
    VendorUnavailable,
    open_store,
)
from linkauth.clients import (
    Connection,
    Limit,
    Link,
    LinkkitClient,
    LinkXGClient,
    Product,
    ProductDetail,
    SageX3Client,
    Usage,
)
from linkauth.web import Look, OfTenant, connect_app
from linkauth_stores.file import FileStore
from linkauth_stores.memory import MemoryStore
from linkauth_stores.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from aiohttp import web

# The package looks its names up as they are asked for; a checker knows them all the same, and no other.
assert_type(linkauth.open_store("memory:"), TokenStore)
linkauth.AuthEngin  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnusedExpression]  # noqa: B018

linkxg = LinkXG(client_id="id", client_secret="secret", scope="products:read")
linkxg_eu = LinkXG(client_id="id", client_secret="secret", base_url="https://eu.example/api/v1")
linkxg_user = LinkXGUser(base_url="https://eu.example/api/v1")
key = ApiKey(name="acme", key="secret", api_url="https://acme.example/api", header="X-Api-Key")
assert_type(OAuth2.of("shopify", client_id="id", client_secret="secret", shop="acme"), OAuth2)
linkkit = Linkkit(client_id="id", client_secret="secret", scope="", pkce=True)
sagex3 = SageX3(client_id="id", client_secret="secret", base_url="https://x3.example/v1", customer="https://c.example")
sagex3_us = SageX3(
    client_id="id",
    client_secret="secret",
    base_url="https://x3.example/v1",
    customer="https://c.example",
    regions=["us-prod", "https://x3.example/v2"],
)
assert_type(sagex3_us.regions, tuple[str, ...])
acme = OAuth2(name="acme", client_id="id", token_url="https://acme.example/token", client_auth="none")
acme_basic = OAuth2(
    name="acme",
    client_id="id",
    client_secret="secret",
    token_url="https://acme.example/token",
    authorize_url="https://acme.example/authorize",
    revoke_url="https://acme.example/revoke",
    api_url="https://acme.example/api/",
    scope="read write",
    client_auth="basic",
    pkce=False,
)
assert_type(linkxg.name, str)


def engines(path: Path) -> None:
    AuthEngine()
    AuthEngine("file:~/.linkauth", keys="key", refresh_ahead=60.0, timeout=5.0, escrow="/var/lib/app")
    AuthEngine(keys="key", escrow=Path("/var/lib/app"))
    AuthEngine("memory:", keys=["new", "old"])
    AuthEngine(proxy="http://proxy:3128", ssl=ssl.create_default_context(), trust_env=True)
    AuthEngine(MemoryStore())
    AuthEngine(FileStore(path))
    AuthEngine(RedisStore("redis://localhost"))
    assert_type(open_store("memory:"), TokenStore)


async def first_minute() -> None:
    async with AuthEngine("memory:") as engine:
        assert_type(engine, AuthEngine)
        credential = engine.credential(linkxg)
        assert_type(credential, Credential)
        async with credential.session(raise_for_status=True) as session:
            assert_type(session, aiohttp.ClientSession)
        # A credential is an aiohttp client middleware like any other, and several may sit in one session.
        aiohttp.ClientSession(middlewares=[credential, engine.credential(linkkit, account="ada")])


async def life(engine: AuthEngine, params: Mapping[str, str]) -> None:
    credential = engine.credential(sagex3, "customer")
    assert_type(await credential.token(), Token)
    assert_type(await credential.refresh(), Token)
    assert_type(await credential.login(email="ada@example.com", password="secret"), Token)
    assert_type(await credential.authorization_url("https://app.example/callback", scope="read"), str)
    assert_type(await credential.complete(params), Token)
    assert_type(await engine.complete(sagex3, params), Credential)
    assert_type(await credential.adopt(refresh_token="rt", replace=True), Token)
    await credential.adopt(access_token="at", expires_at=1.0, refresh_expires_at=2.0, scope="", extra={"a": [1]})
    await credential.rotate_secret()
    await credential.logout()
    async for status in engine.statuses():
        assert_type(status, Status)
        assert_type(status.vendor, str)
        assert_type(status.expires_at, float | None)


def token(token: Token) -> None:
    assert_type(token.scope, str)
    assert_type(token.expires_at, float)
    assert_type(token.refresh_expires_at, float | None)
    assert_type(token.endpoint, str | None)
    assert_type(token.claims, Mapping[str, Any])
    headers: dict[str, str] = {"Authorization": token.authorization, "X": token.access_token + token.token_type}
    del headers


def errors(error: Exception) -> float | None:
    match error:
        case RateLimited():
            assert_type((error.limit, error.remaining), tuple[int | None, int | None])
            return assert_type(error.reset_at, float | None)
        case NotSent() | NoAnswer() | VendorUnavailable():
            return assert_type(error.retry_after, float | None)
        case NotFound() | Conflict() | UnprocessableContent() | Forbidden():
            assert_type(error.details, Any)
        case OAuthError():
            assert_type((error.error, error.description, error.status), tuple[str, str, int])
        case linkauth.LinkAuthError():
            assert_type(error.args, tuple[Any, ...])
        case _:
            pass
    return None


async def shop(tenant: str) -> linkauth.Vendor | None:
    return sagex3 if tenant == "acme" else None


def vendor_of(status: Status) -> linkauth.Vendor | None:
    return sagex3 if status.vendor == "sagex3" else None


def at_a_failure(request: web.Request, error: linkauth.LinkAuthError) -> web.Response | None:
    return None if error.who == "the user" else web.Response(text=str(error))


async def web_app(app: web.Application, engine: AuthEngine) -> None:
    app.cleanup_ctx.append(engine.cleanup_ctx)
    url = "https://app.example.com/connect"
    connect_app(engine, [linkkit, sagex3], public_url=url, account=lambda _: "ada")
    look = Look(colour="#06c", logo="/static/logo.svg", words={"lang": "de", "again": "Noch einmal"})
    connect_app(engine, {"links": linkkit}, public_url=url, account=lambda _: None, look=look)
    words: dict[str, linkauth.Vendor | OfTenant] = {"links": linkkit, "x3": shop, "eu": lambda _: sagex3}
    connect_app(engine, words, public_url=url, account=lambda _: None, on_failed=at_a_failure)
    assert_type(await engine.keep_alive(linkkit, vendor_of, lambda _: [sagex3], rounds=1), int)


async def first_calls(session: aiohttp.ClientSession) -> None:
    linkxg_client = LinkXGClient(session)
    usage = await linkxg_client.usage()
    assert_type(usage, Usage)
    assert_type(usage.limits["MAX_CONNECTIONS"], Limit)
    assert_type(usage.rate_limits["API_REQUESTS_DAY"].resets_at, datetime | None)
    async for product in linkxg_client.products(category="steel"):
        assert_type(product, Product)
    async for connection in linkxg_client.connections():
        assert_type(connection, Connection)
        async for theirs in linkxg_client.connection_products(connection.id):
            assert_type(theirs, Product)
    assert_type(await linkxg_client.product("id"), ProductDetail)
    async for link in LinkkitClient(session).links(search="shoe"):
        assert_type(link, Link)
    x3 = SageX3Client(session)
    (folder, *_) = await x3.folders()
    await x3.graphql(folder, "query { a }", {"variable": 1})
