"""Readers of foreign data as functions of bytes: what hypothesis and atheris both feed. Each raises nothing undocumented."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from linkauth.engine.envelope import Envelope
from linkauth.engine.note import Note, digest
from linkauth.engine.records import KINDS, TokenRecord
from linkauth.engine.sealing import Sealer
from linkauth.errors import (
    ConfigurationError,
    CorruptRecord,
    LinkAuthError,
    MalformedResponse,
    OAuthError,
    StateMismatch,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth import wire
from linkauth.oauth.exchange import Response
from linkauth.oauth.token import Token
from linkauth.store import Record, open_store
from linkauth_stores.slot import Slot
from tests.vendors.vendor_answers import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

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
    for envelope in (Envelope(), Envelope(SEALER), Envelope(Sealer(["plain", KEY], bytes))):
        try:
            found = envelope.open(NAME, Record(1, data))
        except CorruptRecord as error:
            fit(error)
            assert NAME in str(error)
            continue
        assert type(found) in KINDS.values()
        assert envelope.open(NAME, Record(1, envelope.close(NAME, 1, found))) == found
        if isinstance(found, TokenRecord):
            digest(found.token)
            repr(found)


def sealed_record(data: bytes) -> None:
    """The same, behind a seal that is good: as written by somebody who has the key."""
    value = SEALER.seal(data, f"linkauth record 1 1 {NAME}".encode())
    try:
        Envelope(SEALER).open(NAME, Record(1, value))
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


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (answer, record, sealed_record, note, slot, store_url, callback)
}

TOKEN = Token(access_token="a", refresh_token="r", expires_at=2e9, extra={"user": {"id": 1}})
SEEDS = [
    Envelope().close(NAME, 1, TokenRecord(vendor="linkxg", account="ada", token=TOKEN)),
    Envelope(SEALER).close(NAME, 1, TokenRecord(vendor="linkxg", account="ada", token=TOKEN)),
    Note(doubt="d", since=1.0, kind="RateLimited", error="e", description="d", status=429).encode(),
    Slot(last=3, version=2, value=b"{}").dump(NAME),
    b"redis+sentinel://user:pw@[::1]:26379,h/main?ssl=true&timeout=2",
    b'\x00{"access_token": "a", "token_type": "Bearer", "expires_in": 900, "refresh_token": "r"}',
    b'{"state": "s", "code": "c", "endpoint": "https://api.eu-sagex3.com/v1", "error": "access_denied"}',
]
