"""Every reader of what a store, a file, a URL or a browser hands over, fed with anything: documented errors, and in time.

``LINKAUTH_FUZZ=100 pytest tests/fuzz`` tries each of them a hundred times as often. What vendors answer is fed in
``tests/oauth/test_fuzz.py``.
"""

from __future__ import annotations

import json
import os
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linkauth.engine.codec import Codec
from linkauth.engine.encryption import Sealer
from linkauth.errors import ConfigurationError, CorruptRecord
from linkauth.protocol.records import KINDS, PendingRecord
from linkauth.store import Record
from tests.fuzz.targets import KEY, NAME, SEALER, SEEDS, TARGETS, fit
from tests.oauth.test_fuzz import text, values

TIMES = 40 * int(os.environ.get("LINKAUTH_FUZZ", "1"))
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}

members = st.dictionaries(
    st.sampled_from(
        [
            "linkauth",
            "kind",
            "vendor",
            "account",
            "token",
            "reason",
            "state",
            "expires_at",
            "at",
            "next_at",
            *("rate", "client", "secret", "slots", "counts"),
            "states",
            "access_token",
            "refresh_token",
            "client_secret",
            "verifier",
            "redirect_uri",
            "scope",
            "token_key",
            "doubt",
            "since",
            *("status", "error", "description", "retry_at", "failures"),
            *("format", "key", "last", "version", "size", "expires", "note", "lease", "number", "until", "owner"),
            *("issuer", "token_endpoint", "authorization_endpoint", "token_endpoint_auth_methods_supported"),
        ]
    ),
    st.sampled_from([1, 2, *KINDS, "RateLimited", "who"]) | values,
    max_size=12,
)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good one with some bytes cut out, doubled or replaced."""
    whole = draw(st.sampled_from(SEEDS))
    begin, end = sorted(draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    return whole[:begin] + draw(st.binary(max_size=8)) + whole[end if draw(st.booleans()) else begin :]


anything = (
    st.binary(max_size=120)
    | mangled()
    | members.map(lambda value: json.dumps({"linkauth": 1, "kind": "token", **value}).encode())
    | values.map(lambda value: json.dumps(value).encode())
    | text.map(lambda told: f"redis://{told}".encode("utf-8", "replace"))
)


@pytest.mark.blocking
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@settings(max_examples=TIMES, **COMMON)
@given(data=anything)
@example(data=b"")
@example(data=b"[" * 100_000)
@example(data=b"LA1")
@example(
    data=b'{"issuer": "https://a.example.com", "token_endpoint": "https://a.example.com/t", "token_endpoint_auth_methods_supported": ["x"]}'
)
@example(
    data=b'{"format":1,"key":"token/linkxg/0","last":1,"version":1,"size":null,"expires":1%b,"note":"","lease":null}'
    % (b"0" * 400)
)
@example(data=b'{"kind":"InvalidGrant","error":"\\u001b[2J","description":"\\ud800","status":-5}')
@example(
    data=b'{"linkauth":1,"kind":"token","vendor":"v","account":"a","token":{"access_token":"a\\r\\nX: y","expires_at":2e9}}'
)
@example(data=b'{"linkauth":1,"kind":"reauthorize","vendor":"v","account":"a","reason":"\\u001b[2J"}')
@example(
    data=b'{"linkauth":1,"kind":"limit","vendor":"v","slots":[1],"counts":[-9],"rate":{"retry_at":1e308,"failures":9}}'
)
@example(data=b'["read", "1", "1", "0x10", "v", null, 0]')
@example(data=b'["granted", "1", "1", null, null, null, 8]')
@example(data=b'["busy", "1", "nan", null, null, null, "o", 1]')
@example(data=b'["read", "1", "1", "1", "v", null, 0]')
@example(data=b'["newer", "1", "1", null, null, null]')
@example(data=b"9" * 5000 + b" token/linkxg/0")
@example(data=b"token+linkxg+0@\xc2\xb2.answer\nx")
@example(data=b"token+linkxg+0@" + b"9" * 200 + b".answer\nx")
@example(data=b'{"linkauth":1,"kind":"token","vendor":"\\ud800","account":"a","token":{"access_token":"\\ud800"}}')
def test_a_reader_of_foreign_data(target, data):
    """Nothing but the documented errors comes out, whatever goes in."""
    target(data)


@pytest.mark.blocking
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_reader_is_bounded(target):
    """A megabyte of the worst is read or refused within seconds, and in a few dozen times its size."""
    for data in (
        b"[" * 2**20,
        b'{"a":' * 2**17,
        b"9" * 2**20,
        b'"' + b"\\u0000" * 2**17 + b'"',
        b"redis://" + b"@" * 2**20,
    ):
        tracemalloc.start()
        begun = time.process_time()
        target(data)
        took, (_, most) = time.process_time() - begun, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert took < 10
        assert most < 2**20 * 64


PENDING = PendingRecord(
    vendor="v", account="a", token_key="k", state="s", redirect_uri="r", scope="", verifier="v", expires_at=1.0
)


def test_a_sealed_record_opens_where_it_was_put_and_nowhere_else():
    """Moved to another key, put back as another version, changed in one bit, cut: it does not open; in its place it does."""
    codec = Codec(SEALER)
    value = codec.close(NAME, 7, PENDING)
    assert codec.open(NAME, Record(7, value)) == PENDING
    changed = [value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in range(3, len(value), 5)]
    wrong = [("token/linkxg/1", 7, value), (NAME, 8, value), (NAME, 6, value), (NAME, 7, value[:-1])]
    for key, version, data in [
        *wrong,
        *((NAME, 7, each) for each in changed),
        *((NAME, 7, value[:cut]) for cut in range(23)),
    ]:
        with pytest.raises(CorruptRecord, match=key) as caught:
            codec.open(key, Record(version, data))
        fit(caught.value)


def test_a_key_that_is_not_given_is_named():
    """A record of another key is refused with that key's id; of several keys the newest writes and all read."""
    new, old = ("A" * 42 + "E=", "B" * 42 + "E=")
    written = Codec(Sealer([old], bytes)).close(NAME, 1, PENDING)
    both = Codec(Sealer([new, old], bytes))
    assert both.open(NAME, Record(1, written)) == PENDING
    assert Codec(Sealer([new], bytes)).open(NAME, Record(1, both.close(NAME, 1, PENDING))) == PENDING
    with pytest.raises(CorruptRecord, match=written[3:7].hex()):
        Codec(Sealer([new], bytes)).open(NAME, Record(1, written))
    with pytest.raises(CorruptRecord, match="no keys were given"):
        Codec().open(NAME, Record(1, written))


def test_plain_records_are_read_only_by_leave():
    """With keys a record that is not sealed is refused: nobody slips one in; ``plain`` among the keys admits them."""
    plain = Codec().close(NAME, 1, PENDING)
    with pytest.raises(CorruptRecord, match="not encrypted though keys are given"):
        Codec(SEALER).open(NAME, Record(1, plain))
    migrating = Codec(Sealer([KEY, "plain"], bytes))
    assert migrating.open(NAME, Record(1, plain)) == PENDING
    assert migrating.close(NAME, 2, PENDING).startswith(b"LA1")


@pytest.mark.parametrize("keys", [[], ["plain"], ["short"], ["é" * 44], ["A" * 43], ["A" * 400]])
def test_keys_that_are_none_are_refused(keys):
    """A key is 32 bytes in base64, and there is at least one."""
    with pytest.raises(ConfigurationError, match=r"256-bit|32 bytes"):
        Sealer(keys, bytes)
