"""The front door as it is promised: names, signatures, defaults, and what each vendor has no flow for."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

import linkauth
from linkauth import (
    AuthEngine,
    ConfigurationError,
    Credential,
    LinkAuthError,
    Linkkit,
    LinkXG,
    LinkXGUser,
    OAuth2,
    OAuthError,
    SageX3,
    StateMismatch,
    StoreError,
    Token,
    UnsupportedGrant,
    clients,
)
from linkauth.vendors import Vendor
from tests.front.vendors import REDIRECT, Vendors

EMPTY = inspect.Parameter.empty
NEEDED = {"client_id": EMPTY, "client_secret": EMPTY}


def parameters(function: Any) -> dict[str, tuple[Any, Any]]:
    """Names, kinds and defaults, without ``self``."""
    found = inspect.signature(function).parameters.values()
    return {each.name: (each.kind, each.default) for each in found if each.name != "self"}


def keywords(**defaults: Any) -> dict[str, tuple[Any, Any]]:
    return {name: (inspect.Parameter.KEYWORD_ONLY, default) for name, default in defaults.items()}


def plain(**defaults: Any) -> dict[str, tuple[Any, Any]]:
    return {name: (inspect.Parameter.POSITIONAL_OR_KEYWORD, default) for name, default in defaults.items()}


@pytest.mark.parametrize(
    ("kind", "promised"),
    [
        (LinkXG, {**NEEDED, "scope": "", "base_url": "https://api.linkxg.com/api/v1"}),
        (LinkXGUser, {"base_url": "https://api.linkxg.com/api/v1"}),
        (Linkkit, {**NEEDED, "scope": "", "base_url": "https://api.uselinkkit.com", "pkce": False}),
        (
            SageX3,
            {**NEEDED, "base_url": EMPTY, "customer": EMPTY, "scope": "businessDomain.ALL api.graphQL", "regions": ()},
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_vendors_arguments(kind: type[Vendor], promised: dict[str, Any]) -> None:
    """Each vendor is made of what the front door says, with its defaults, and of nothing else."""
    assert {name: default for name, (_, default) in parameters(kind).items()} == promised


def test_the_arguments_of_any_other_vendor() -> None:
    """``OAuth2`` takes what is promised; more may join."""
    promised = {
        "name": EMPTY,
        "client_id": EMPTY,
        "client_secret": None,
        "token_url": EMPTY,
        "authorize_url": None,
        "revoke_url": None,
        "scope": "",
        "api_url": None,
        "client_auth": "post",
        "pkce": True,
    }
    found = {name: default for name, (_, default) in parameters(OAuth2).items()}
    assert promised.items() <= found.items()
    assert all(found[name] is not EMPTY for name in found.keys() - promised.keys())


def test_the_vendors_names(vendors: Vendors) -> None:
    """The names under which records, routes and the command line know them."""
    names = {
        "LinkXG": "linkxg",
        "LinkXGUser": "linkxg-user",
        "Linkkit": "linkkit",
        "SageX3": "sagex3",
        "OAuth2": "acme",
    }
    assert {kind: vendors.make(kind).name for kind in names} == names


def test_signatures() -> None:
    """The engine's and the credential's methods take what the front door prints."""
    engine = parameters(AuthEngine)
    promised = {
        **plain(store="memory:"),
        **keywords(keys=None, refresh_ahead=None, timeout=10.0, escrow=None, on_event=None),
        **keywords(proxy=None, ssl=None, trust_env=False),
    }
    assert list(engine.items()) == list(promised.items())
    assert parameters(OAuth2.discover).items() >= keywords(timeout=10.0, proxy=None, ssl=None, trust_env=False).items()
    assert parameters(AuthEngine.credential) == plain(vendor=EMPTY, account="default")
    assert parameters(AuthEngine.complete) == plain(vendor=EMPTY, params=EMPTY)
    assert parameters(AuthEngine.statuses) == keywords(vendor=None, account=None)
    assert parameters(AuthEngine.check) == parameters(Credential.status) == {}
    assert parameters(Credential.token) == parameters(Credential.refresh) == parameters(Credential.logout) == {}
    assert parameters(Credential.rotate_secret) == {}
    unknown = dict.fromkeys(
        ("refresh_token", "access_token", "expires_at", "refresh_expires_at", "scope", "extra", "endpoint")
    )
    assert list(parameters(Credential.adopt).items()) == list(keywords(**unknown, replace=False, renew=True).items())
    assert parameters(Credential.login) == keywords(email=EMPTY, password=EMPTY)
    assert parameters(Credential.authorization_url) == plain(redirect_uri=EMPTY) | keywords(
        scope=None, tenant="", next_path=""
    )
    assert parameters(Credential.complete) == plain(params=EMPTY)
    assert list(parameters(clients.LinkXGClient)) == list(parameters(clients.LinkkitClient)) == ["session"]
    assert list(parameters(clients.SageX3Client)) == ["session"]
    assert parameters(clients.LinkXGClient.products).items() >= plain(category=None).items()
    assert list(parameters(clients.SageX3Client.graphql))[:3] == ["folder", "query", "variables"]


def test_a_token_has_what_is_promised() -> None:
    """The fields of the front door, frozen, with the header's value beside them."""
    fields = ["access_token", "token_type", "scope", "expires_at", "refresh_token", "refresh_expires_at", "endpoint"]
    token = Token(access_token="at", expires_at=1.0)
    assert {*fields, "extra"} <= {field.name for field in attrs.fields(Token)}
    assert token.authorization == "Bearer at"
    assert "at" not in repr(token).replace("expires_at", "").replace("issued_at", "").replace("refresh_expires_at", "")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        token.scope = "more"  # type: ignore[misc]


def test_the_tree_of_errors() -> None:
    """Every error of the front door comes from ``linkauth`` and derives as the page says."""
    said_no = ["InvalidRequest", "InvalidClient", "InvalidGrant", "UnauthorizedClient", "InvalidScope", "InvalidToken"]
    said_no += ["InsufficientScope", "AccessDenied", "Forbidden", "RateLimited", "AuthorizationPending"]
    said_no += ["NotFound", "Conflict", "UnprocessableContent"]
    others = ["ReauthorizationRequired", "StateMismatch", "UntrustedEndpoint", "MalformedResponse", "VendorUnavailable"]
    others += ["NotSent", "NoAnswer"]
    others += ["GraphQLError", "UnsupportedGrant", "ConfigurationError"]
    for name in (*said_no, *others, "StoreUnavailable", "CorruptRecord"):
        assert issubclass(getattr(linkauth, name), LinkAuthError)
    assert all(issubclass(getattr(linkauth, name), OAuthError) for name in said_no)
    assert issubclass(linkauth.StoreUnavailable, StoreError)
    assert issubclass(linkauth.CorruptRecord, StoreError)
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(linkauth.AlreadyConnected, ConfigurationError)


async def test_the_stores_by_class(tmp_path: Path, redis_url: str) -> None:
    """The built-in stores are made of what the front door prints, and an engine takes each of them."""
    import redis.asyncio

    from linkauth_stores.file import FileStore
    from linkauth_stores.memory import MemoryStore
    from linkauth_stores.redis import RedisStore

    client = redis.asyncio.Redis.from_url(redis_url)
    made = [MemoryStore(), FileStore(tmp_path / "a"), FileStore(str(tmp_path / "b")), RedisStore(redis_url)]
    for store in (*made, RedisStore(client)):
        async with AuthEngine(store) as engine:
            assert [status async for status in engine.statuses() if status.vendor == "nobody"] == []
        await store.aclose()
    await client.aclose()


async def test_what_a_vendor_has_no_flow_for(engine: AuthEngine, vendors: Vendors) -> None:
    """Each method that a vendor has no flow for raises ``UnsupportedGrant``, and nothing is sent."""
    xg, user, kit, sage, acme = (
        engine.credential(vendors.make(kind)) for kind in ("LinkXG", "LinkXGUser", "Linkkit", "SageX3", "OAuth2")
    )
    machine = engine.credential(vendors.make("OAuth2", authorize_url=None))
    params = {"code": "c", "state": "s"}
    for credential in (xg, kit, sage, acme, machine):
        with pytest.raises(UnsupportedGrant):
            await credential.login(email="ada@example.com", password="pw")
    for credential in (user, kit, sage, acme, machine):
        with pytest.raises(UnsupportedGrant):
            await credential.rotate_secret()
    for credential in (xg, user, machine):
        with pytest.raises(UnsupportedGrant):
            await credential.authorization_url(REDIRECT)
        with pytest.raises(UnsupportedGrant):
            await credential.complete(params)
        with pytest.raises(UnsupportedGrant):
            await engine.complete(credential.vendor, params)
    assert not any(vendors.sandbox.counters().values())


async def test_unsupported_is_said_without_a_store(vendors: Vendors) -> None:
    """Whether a vendor has a flow does not depend on a store that may be away."""
    async with AuthEngine("redis://127.0.0.1:1/0", timeout=1) as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        with pytest.raises(UnsupportedGrant):
            await credential.login(email="ada@example.com", password="pw")
        with pytest.raises(UnsupportedGrant):
            await credential.complete({"state": "s"})
        with pytest.raises(StateMismatch):
            await engine.credential(vendors.make("Linkkit")).complete({})


async def test_credential_makes_no_io_and_is_the_same_for_equal_arguments(vendors: Vendors) -> None:
    """Equal vendors and accounts give one object, other accounts another, and no store has to be there."""
    async with AuthEngine("redis://127.0.0.1:1/0") as engine:
        first = engine.credential(vendors.make("Linkkit"))
        assert engine.credential(vendors.make("Linkkit")) is first
        assert engine.credential(vendors.make("Linkkit"), "default") is first
        assert engine.credential(vendors.make("Linkkit"), "ada") is not first


async def test_session_passes_its_arguments_on(engine: AuthEngine, vendors: Vendors) -> None:
    """Headers, time-outs and middlewares given to ``session()`` are the session's, and calls are signed all the same."""
    seen: list[str] = []

    async def watch(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        seen.append(request.headers["X-Mine"])
        return await handler(request)

    credential = engine.credential(vendors.make("LinkXG"))
    limit = aiohttp.ClientTimeout(total=7)
    async with credential.session(headers={"X-Mine": "yes"}, timeout=limit, middlewares=[watch]) as session:
        assert type(session) is aiohttp.ClientSession
        assert session.timeout is limit
        async with session.get("products") as response:
            assert response.status == 200
    assert seen == ["yes"]


async def test_several_credentials_in_one_session(vendors: Vendors) -> None:
    """Each signs the requests to its own vendor in a session that holds them all."""
    from linkauth.sandbox import Sandbox

    async with Sandbox(separate=True) as apart, AuthEngine() as engine:
        theirs = Vendors(apart)
        kit = engine.credential(theirs.make("Linkkit"))
        anywhere = {"loopback_redirects": True}
        apart.linkkit.configure(anywhere)
        await theirs.connect(kit)
        xg = engine.credential(theirs.make("LinkXG"))
        async with aiohttp.ClientSession(middlewares=[xg, kit]) as session:
            for target in (f"{apart.linkxg.base_url}/products", f"{apart.linkkit.base_url}/v1/links"):
                async with session.get(target) as response:
                    assert response.status == 200
            async with session.get(f"{apart.elsewhere.base_url}/x"):
                pass
        assert apart.elsewhere.counts["with_authorization"] == 0


async def test_in_a_web_app(vendors: Vendors) -> None:
    """``app.cleanup_ctx.append(engine.cleanup_ctx)``: the engine lives as long as the app."""
    from aiohttp import web

    engine = AuthEngine("memory:")
    assert isinstance(engine.cleanup_ctx(web.Application()), AsyncIterator)
    app = web.Application()
    app.cleanup_ctx.append(engine.cleanup_ctx)
    runner = web.AppRunner(app)
    await runner.setup()
    credential = engine.credential(vendors.make("LinkXG"))
    assert (await credential.token()).access_token
    await runner.cleanup()
    with pytest.raises(ConfigurationError, match="closed"):
        await credential.refresh()
