"""What is stored is sealed and opens only as its own record; keys and settings that cannot work are told at once."""

from __future__ import annotations

import sys
from base64 import b64encode

import pytest

from linkauth.errors import (
    ConfigurationError,
    CorruptRecord,
)
from tests.engine.fakes import USER, Store, Vendor, Worker, logged_in
from tests.engine.virtual import virtual

KEYS = [b64encode(bytes([number]) * 32).decode() for number in range(3)]


@virtual
async def test_what_is_stored_is_sealed_and_several_keys_open_it():
    """Nothing of a token is in the store; the newest key writes, older ones read; records are sealed anew as they are renewed."""
    store, vendor = Store(), Vendor()
    old = await logged_in(Worker(store, vendor, keys=KEYS[0]))
    first = (await store.read(old.replica.key)).record
    assert first.value.startswith(b"LA1")
    assert b"refresh" not in first.value
    both = Worker(store, vendor, keys=[KEYS[1], KEYS[0]]).credential(USER)
    assert await both.token() == await old.token()
    await both.refresh()
    new = Worker(store, vendor, keys=KEYS[1]).credential(USER)
    assert await new.token() == await both.token()
    with pytest.raises(CorruptRecord):
        await Worker(store, vendor, keys=KEYS[0]).credential(USER).token()


@pytest.mark.parametrize("keys", [KEYS[2], None], ids=["wrong", "none"])
@virtual
async def test_a_wrong_key_names_record_and_key(keys):
    """The operator learns which record and which key; the vendor is not asked, the record not touched."""
    store, vendor = Store(), Vendor()
    sealed = await logged_in(Worker(store, vendor, keys=KEYS[0]))
    before = (await store.read(sealed.replica.key)).record
    with pytest.raises(CorruptRecord) as caught:
        await Worker(store, vendor, keys=keys).credential(USER).token()
    assert sealed.replica.key in str(caught.value)
    assert ("key " in str(caught.value)) == (keys is not None)
    assert caught.value.who == "the operator"
    assert (await store.read(sealed.replica.key)).record == before
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_a_record_that_was_moved_does_not_open():
    """Put under another account's key, or back under an older version, a sealed record is no good."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=KEYS[0])
    ada = await logged_in(worker, "ada")
    value = (await store.read(ada.replica.key)).record.value
    mallory = worker.credential(USER, "mallory")
    claim = await store.claim(mallory.replica.key, "x", 1, 0, b"")
    await store.commit(mallory.replica.key, claim.number, value)
    with pytest.raises(CorruptRecord, match="moved"):
        await mallory.token()
    claim = await store.claim(ada.replica.key, "x", 1, 10**13, b"")
    await store.commit(ada.replica.key, claim.number, value)
    with pytest.raises(CorruptRecord, match="moved"):
        await Worker(store, vendor, keys=KEYS[0]).credential(USER, "ada").token()


@virtual
async def test_plain_records_are_read_only_where_that_is_asked_for():
    """A store from before there were keys: refused, unless ``plain`` is among the keys; then renewed records are sealed."""
    store, vendor = Store(), Vendor()
    plain = await logged_in(Worker(store, vendor))
    with pytest.raises(CorruptRecord, match="plain"):
        await Worker(store, vendor, keys=KEYS[0]).credential(USER).token()
    moving = Worker(store, vendor, keys=[KEYS[0], "plain"]).credential(USER)
    assert await moving.token() == await plain.token()
    await moving.refresh()
    assert (await store.read(moving.replica.key)).record.value.startswith(b"LA1")


@pytest.mark.parametrize("keys", ["", "short", "é" * 43, b64encode(b"x" * 31).decode(), [], ["plain"], [KEYS[0], "x"]])
def test_keys_that_are_none(keys):
    """Each is a ``ConfigurationError`` when the engine is made, and shows nothing of the key."""
    with pytest.raises(ConfigurationError) as caught:
        Worker(Store(), Vendor(), keys=keys)
    assert KEYS[0] not in str(caught.value)
    assert "short" not in str(caught.value)


def test_without_the_extra_keys_are_refused_in_words(monkeypatch):
    """``cryptography`` is not there: said when the engine is made, with the cure, and not when something is stored."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ConfigurationError, match=r"linkauth\[crypto\]"):
        Worker(Store(), Vendor(), keys=KEYS[0])


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"refresh_ahead": -1},
        {"refresh_ahead": float("nan")},
    ],
)
def test_settings_that_cannot_work(settings):
    """A time-out of nothing, a lead that is none: a ``ConfigurationError`` when the engine is made."""
    with pytest.raises(ConfigurationError):
        Worker(Store(), Vendor(), **settings)
