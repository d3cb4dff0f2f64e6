"""Readers of foreign data as functions of bytes: what hypothesis and atheris both feed. Each raises nothing undocumented."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeVar

from linkauth.engine.codec import Codec
from linkauth.engine.encryption import Sealer
from linkauth.engine.escrow import FolderEscrow
from linkauth.errors import (
    ConfigurationError,
    CorruptRecord,
    LinkAuthError,
    MalformedResponse,
    OAuthError,
    StateMismatch,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth import wire
from linkauth.oauth.discovery import discovery
from linkauth.oauth.exchange import Response
from linkauth.oauth.token import Token
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.records import KINDS, CheckRecord, DeadRecord, TokenRecord
from linkauth.store import Record, open_store
from linkauth.vendors import OAuth2
from linkauth_stores.redis.ears import Ears
from linkauth_stores.redis.store import RedisStore
from linkauth_stores.slot import Lease, Slot
from tests.vendors.vendor_answers import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.oauth.exchange import Flow

T = TypeVar("T")

KEY = base64.b64encode(bytes(32)).decode()
SEALER = Sealer([KEY], bytes)
NAME = "token/linkxg/0"


def fit(error: LinkAuthError) -> None:
    """An error as every error has to be: one printable line, with nothing of what was read behind it."""
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    assert error.__context__ is None or isinstance(error.__context__, LinkAuthError), error.__context__


def answer(data: bytes) -> None:
    """A token answer, its status in the first byte."""
    status = (200, 400, 401, 429, 500, 503)[data[0] % 6] if data else 200
    for case in CASES:
        outcome = case.outcome(Response(status=status, body=data[1:], sent_at=1e9))
        if isinstance(outcome, LinkAuthError):
            assert isinstance(outcome, OAuthError | MalformedResponse | VendorUnavailable)
            fit(outcome)


def record(data: bytes) -> None:
    """A record as a store has it, with keys and without; what opens can be written again and is the same then."""
    for codec in (Codec(), Codec(SEALER), Codec(Sealer(["plain", KEY], bytes))):
        try:
            found = codec.open(NAME, Record(1, data))
        except CorruptRecord as error:
            fit(error)
            assert NAME in str(error)
            continue
        assert type(found) in KINDS.values()
        assert codec.open(NAME, Record(1, codec.close(NAME, 1, found))) == found
        if isinstance(found, DeadRecord):
            assert found.reason.isprintable()  # an error says it, and a terminal shows it
        if isinstance(found, TokenRecord):
            assert found.token.authorization.isprintable()
            digest(found.token)
            repr(found)


def sealed_record(data: bytes) -> None:
    """The same, behind a seal that is good: as written by somebody who has the key."""
    value = SEALER.seal(data, f"linkauth record 1 1 {NAME}".encode())
    try:
        Codec(SEALER).open(NAME, Record(1, value))
    except CorruptRecord as error:
        fit(error)


def note(data: bytes) -> None:
    """A note: whatever it is, it is read, and the failure that it tells can be raised."""
    found = Note.decode(data)
    fit(found.failure(1.0))
    assert Note.decode(found.encode()) == found or not found.encode()


def slot(data: bytes) -> None:
    """A file of the file store."""
    for read in (lambda: Slot.load(data, NAME, "a file"), lambda: Slot.load_head(data, None, "a file")):
        try:
            read()
        except CorruptRecord as error:
            assert str(error).isprintable()


def store_url(data: bytes) -> None:
    """A URL of a store: opened or refused, and no part of it but the scheme is repeated."""
    text = data.decode("utf-8", "replace")
    try:
        opened = open_store(text)
    except ConfigurationError as error:
        assert len(str(error)) < 1000
    else:
        asyncio.run(opened.aclose())


def callback(data: bytes) -> None:
    """A callback's parameters, as JSON: a request to a trusted place, or a documented error."""
    params = wire.as_object(wire.decode(data))
    from tests.oauth.test_fuzz import CALLED_BACK, PENDING

    for vendor in CALLED_BACK:
        try:
            request = next(vendor.exchange(params, PENDING))
        except (OAuthError, UntrustedEndpoint, StateMismatch) as error:
            fit(error)
        else:
            assert request.url.startswith("https://")


def metadata(data: bytes) -> None:
    """An authorization server's metadata, and the vendor that is made of it: a trusted place, or a documented error."""
    try:
        found = _always(discovery("https://a.example.com"), Response(status=200, body=data))
    except (MalformedResponse, UntrustedEndpoint) as error:
        fit(error)
        return
    try:
        vendor = OAuth2.from_metadata(found, name="x", client_id="c", client_secret="a secret")
    except ConfigurationError as error:
        fit(error)
    else:
        assert vendor.token_url.startswith("https://")


def _always(flow: Flow[T], answer: Response) -> T:
    """What a flow ends in whose every request is answered so."""
    try:
        next(flow)
        while True:
            flow.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def redis_answer(data: bytes) -> None:
    """What stands where a Redis server should: an answer of any shape, as JSON (texts are bytes on the wire)."""
    asyncio.run(_asked(_on_the_wire(wire.decode(data))))


async def _asked(answer: object) -> None:
    async def evalsha(*_: object) -> object:
        return answer

    client = SimpleNamespace(
        evalsha=evalsha,
        get_encoder=lambda: SimpleNamespace(decode_responses=False),
        pubsub=lambda **_: None,  # no ears: the store does without
    )
    store = RedisStore(client, timeout=0.5)
    try:
        for call in (
            lambda: store.read(NAME),
            lambda: store.claim(NAME, "o", 1, 0, b""),
            lambda: store.commit(NAME, 1, b"v"),
            lambda: store.extend(NAME, 1, 1),
            lambda: store.release(NAME, 1),
            lambda: store.take(NAME),
            lambda: store.delete(NAME, 1),
            lambda: store.wait_for_change(NAME, 2**60, 0.0),
        ):
            try:
                found = await call()
            except (StoreUnavailable, CorruptRecord) as error:
                fit(error)
                continue
            record = getattr(found, "record", None)
            assert record is None or (type(record.version) is int and type(record.value) is bytes)
            assert 0 <= getattr(found, "now", 0.0) < 1e17
    finally:
        await store.aclose()


def _on_the_wire(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return [_on_the_wire(each) for each in value] if isinstance(value, list) else value


def announcement(data: bytes) -> None:
    """What anybody who may publish says in the channel: a change, or nothing."""
    ears = Ears(lambda: None, "c", 1.0)
    ears._hear({"type": "message", "data": data})
    assert len(ears._recent) == 1


def escrow(data: bytes) -> None:
    """A folder with whatever in it, the first line a file's name: what is found can be opened, or is refused in words."""
    name, _, content = data.partition(b"\n")
    with tempfile.TemporaryDirectory() as folder:
        kept = FolderEscrow(folder, lambda count: b"x" * count)
        with contextlib.suppress(OSError, ValueError):  # a name that is none
            (Path(folder) / os.fsdecode(name.replace(b"/", b"+"))).write_bytes(content)
        found = kept._find(NAME)
        if found is not None:
            assert found.key == NAME
            assert 0 <= found.number < 10**16
            record(found.value)
        for each in kept._everything():
            assert each.key.isascii()
            assert each.key.isprintable()
        kept._drop(NAME, 10**16)
        assert kept._find(NAME) is None


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        answer,
        record,
        sealed_record,
        note,
        slot,
        store_url,
        callback,
        metadata,
        redis_answer,
        announcement,
        escrow,
    )
}

TOKEN = Token(access_token="a", refresh_token="r", expires_at=2e9, extra={"user": {"id": 1}})
SEEDS = [
    Codec().close(NAME, 1, TokenRecord(vendor="linkxg", account="ada", token=TOKEN)),
    Codec(SEALER).close(NAME, 1, TokenRecord(vendor="linkxg", account="ada", token=TOKEN)),
    Codec().close(NAME, 1, CheckRecord(at=2e9)),
    Note(doubt="d", since=1.0, kind="RateLimited", error="e", description="d", status=429).encode(),
    Slot(last=3, version=2, value=b"{}").dump(NAME),
    Slot(last=3, expires=1e9, lease=Lease(number=3, owner="o", until=2e9, found=b"n")).dump(NAME),
    (
        b'{"issuer": "https://a.example.com", "token_endpoint": "https://a.example.com/t", '
        b'"token_endpoint_auth_methods_supported": ["client_secret_post"]}'
    ),
    b'["granted", "1700000000", "5", "7", "{}", null, 8, 0]',
    b'["busy", "1700000000", "5", null, null, "note", "holder", 500]',
    b'["read", "1700000000", "5", "7", "{}", null, 0]',
    b"7 token/linkxg/0",
    b"token+linkxg+0@7.answer\n" + Codec(SEALER).close(NAME, 7, DeadRecord(vendor="v", account="a", reason="r")),
    b"redis+sentinel://user:pw@[::1]:26379,h/main?ssl=true&timeout=2",
    b'\x00{"access_token": "a", "token_type": "Bearer", "expires_in": 900, "refresh_token": "r"}',
    b'{"state": "s", "code": "c", "endpoint": "https://api.eu-sagex3.com/v1", "error": "access_denied"}',
]
