"""Writes what a release of linkauth keeps in its stores, as raw bytes, for ``test_stored.py`` to read with the newest.

Run it with the release that is to be remembered, from a checkout of that::

    git worktree add /tmp/release COMMIT
    cd /tmp/release && PYTHONPATH=.:stores python …/tests/stored/write.py …/tests/stored/COMMIT.json
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import attrs
from redis.asyncio import Redis

from linkauth.engine.credential import Credential
from linkauth.engine.engine import Engine
from linkauth.engine.world import World
from linkauth.errors import MalformedResponse
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.token import Token
from linkauth.vendors import Linkkit, LinkXG, LinkXGUser, OAuth2, SageX3, Vendor

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
YEAR_3000 = 32_503_680_000.0
APP = {"client_id": "app", "client_secret": "of the constructor"}
PAGES = {**APP, "token_url": "https://acme.example/token", "authorize_url": "https://acme.example/authorize"}
ODD = "HTTPS://Api.Example.COM:443/v1"


def registrations() -> dict[str, Vendor]:
    """One of each vendor, and those whose keys are easily changed: odd spellings, and ``extra`` in all its places."""
    audience, prompt = {"audience": "https://api.acme.example/?a=b"}, {"prompt": "consent", "access_type": "offline"}
    return {
        "linkxg": LinkXG(**APP, scope="products:read"),
        "linkxg, odd root": LinkXG(**APP, base_url=ODD),
        "linkxg-user": LinkXGUser(),
        "linkxg-user, odd root": LinkXGUser(base_url=ODD + "/"),
        "linkkit": Linkkit(**APP, scope="links"),
        "linkkit, odd root": Linkkit(**APP, base_url=ODD),
        "sagex3": SageX3(**APP, base_url="https://api.eu-prod-sagex3.com/v1", customer="https://x3.example"),
        "sagex3, odd root": SageX3(
            **APP, base_url="https://API.eu-prod-sagex3.com:443/v1/", customer="https://other.example"
        ),
        "machine": OAuth2(name="machine", **APP, token_url="https://acme.example/token?tenant=a", scope="a b"),
        "pages": OAuth2(name="pages", **PAGES),
        "pages, odd": OAuth2(
            name="pages",
            **APP,
            token_url="https://ACME.example:443/token/",
            authorize_url="https://acme.example:443/Authorize",
        ),
        "extra": OAuth2(name="extra", **PAGES, extra=audience),
        "authorize_extra": OAuth2(name="authorize-extra", **PAGES, authorize_extra=prompt),
        "both": OAuth2(name="both", **PAGES, extra=audience, authorize_extra={**prompt, "audience": "overridden"}),
        "machine, extra": OAuth2(name="m-extra", **APP, token_url="https://ACME.example/token", extra=audience),
    }


def token_of(name: str) -> Token:
    """The token that is stored for ``name``."""
    return Token(
        access_token=f"access of {name}",
        refresh_token=f"refresh of {name}",
        expires_at=YEAR_3000,
        issued_at=YEAR_3000 - 1e10,
        refresh_expires_at=YEAR_3000,
        scope="as granted",
        endpoint="https://api.us-prod-sagex3.com/v1" if name.startswith("sagex3") else None,
        extra={"user": {"id": "7"}, "odd": [1, None, "\u00e4"]},
    )


async def _send(request: Request, seconds: float) -> Response:
    """A vendor that rotates secrets, and of two registrations one in a way that nobody understands."""
    body = {"client_secret": "rotated"} if "api.linkxg.com" in request.url else {"mystery": "rotated"}
    return Response(status=200, body=json.dumps(body).encode())


async def write(store: Any, keys: str | None) -> dict[str, str]:
    """Store a session of each registration, a session that is over, secrets, and an authorization. Its state."""
    world = World(
        send=_send,
        monotonic=time.monotonic,
        wall=time.time,
        random=random.Random(1),
        entropy=secrets.token_bytes,
    )
    engine = Engine(store, world, Credential, keys=keys)
    for name, vendor in registrations().items():
        replica = engine.credential(vendor, "ada").replica
        claim, at = await replica.claim(b"", newer_than=0)
        await replica.store(token_of(name), claim.number, at, irreplaceable=True)
    await engine.credential(registrations()["linkxg"], "ada").rotate_secret()
    with contextlib.suppress(MalformedResponse):  # as it must be: the answer is kept
        await engine.credential(registrations()["linkxg, odd root"], "ada").rotate_secret()
    over = engine.credential(registrations()["linkxg-user"], "over")
    claim, at = await over.replica.claim(b"", newer_than=0)
    await over.replica.store(token_of("over"), claim.number, at, irreplaceable=True)
    await over.logout()
    Linkkit.pending_lifetime = OAuth2.pending_lifetime = 1e9
    states = {}
    for name in ("linkkit", "linkkit, odd root", "authorize_extra"):
        url = await engine.credential(registrations()[name], "begun").authorization_url("https://app.example/back")
        states[name] = url.partition("state=")[2].partition("&")[0]
    await engine.aclose()
    return states


def _folder(path: Path) -> dict[str, str]:
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return {str(file.relative_to(path)): b64encode(file.read_bytes()).decode() for file in files}


async def _database(url: str) -> dict[str, dict[str, str]]:
    found = {}
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter():
            assert await redis.type(key) == b"hash", key
            fields = await redis.hgetall(key)
            found[key.decode()] = {name.decode(): b64encode(value).decode() for name, value in fields.items()}
    return found


async def main(target: Path) -> None:
    """Write ``target``: a folder in clear and one sealed, and a database."""
    from linkauth_stores.file import FileStore
    from linkauth_stores.redis import RedisStore
    from tests.servers import Server

    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, keys in (("clear", None), ("sealed", KEY)):
            where = Path(folder) / name
            store = FileStore(where)
            states = await write(store, keys)
            await store.aclose()
            told[name] = {"states": states, "files": _folder(where)}
        with Server(Path(folder) / "redis") as server:
            redis = RedisStore(server.url)
            states = await write(redis, None)
            await redis.aclose()
            told["redis"] = {"states": states, "hashes": await _database(server.url)}
    target.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    attrs.resolve_types(Token)  # as soon as the release is the wrong one, it shows
    asyncio.run(main(Path(sys.argv[1])))
