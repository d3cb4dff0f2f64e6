"""What stands in a store, byte for byte: another version of linkauth must find and read it."""

from __future__ import annotations

import base64

import attrs
import pytest

from linkauth.engine.codec import Codec
from linkauth.engine.encryption import Sealer
from linkauth.errors import ConfigurationError, CorruptRecord
from linkauth.oauth.token import Token
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.keys import answer_key, round_key, secret_key, state_key, token_key
from linkauth.protocol.limits import LimitRecord
from linkauth.protocol.records import (
    DeadRecord,
    PendingListRecord,
    PendingRecord,
    RoundRecord,
    SecretRecord,
    TokenRecord,
)
from linkauth.store import Record
from tests.engine.fakes import CLIENT, USER

TOKEN = Token(access_token="a", issued_at=1.0, expires_at=2.0, refresh_token="r", refresh_expires_at=9.0, scope="s")
WRITTEN = [
    (
        TokenRecord(vendor="v", account="ada", token=TOKEN),
        '{"linkauth":1,"kind":"token","vendor":"v","account":"ada","token":{"access_token":"a","token_type":"Bearer","scope":"s","expires_at":2.0,"issued_at":1.0,"refresh_token":"r","refresh_expires_at":9.0,"endpoint":null,"extra":{}}}',
    ),
    (  # a refresh token that came in alone
        TokenRecord(vendor="v", account="ada", token=Token(access_token="", expires_at=0.0, refresh_token="r")),
        '{"linkauth":1,"kind":"token","vendor":"v","account":"ada","token":{"access_token":"","token_type":"Bearer","scope":"","expires_at":0.0,"issued_at":0.0,"refresh_token":"r","refresh_expires_at":null,"endpoint":null,"extra":{}}}',
    ),
    (
        DeadRecord(vendor="v", account="ada", reason="why", spent="d", by_user=True),
        '{"linkauth":1,"kind":"reauthorize","vendor":"v","account":"ada","reason":"why","spent":"d","by_user":true}',
    ),
    (SecretRecord(vendor="v", client_secret="s"), '{"linkauth":1,"kind":"secret","vendor":"v","client_secret":"s"}'),
    (
        PendingListRecord(states=("state/v/a", "state/v/b")),
        '{"linkauth":1,"kind":"begun","states":["state/v/a","state/v/b"]}',
    ),
    (
        LimitRecord(
            vendor="v", by="b", rate=Note(retry_at=9.0, failures=1), secrets={"d": Note()}, slots=(1, 2), counts=(3, 4)
        ),
        (
            '{"linkauth":1,"kind":"limit","vendor":"v","by":"b","rate":{"doubt":"","since":0.0,"retry_at":9.0,"failures":1,'
            '"kind":"","error":"","description":"","status":0,"sealed":""},"secrets":{"d":{"doubt":"","since":0.0,"retry_at":0.0,'
            '"failures":0,"kind":"","error":"","description":"","status":0,"sealed":""}},"slots":[1,2],"counts":[3,4]}'
        ),
    ),
    (RoundRecord(next_at=5.0), '{"linkauth":1,"kind":"round","next_at":5.0}'),
    (
        PendingRecord(
            vendor="v",
            account="ada",
            token_key="t",
            state="s",
            redirect_uri="u",
            scope="",
            verifier=None,
            expires_at=3.0,
        ),
        '{"linkauth":1,"kind":"pending","vendor":"v","account":"ada","token_key":"t","state":"s","redirect_uri":"u","scope":"","verifier":null,"expires_at":3.0}',
    ),
]


def test_the_keys_stay_what_they_are():
    """A fleet that is upgraded one host at a time shares its records; another key would end every session."""
    assert token_key(CLIENT, "default") == "token/linkxg/65e3095ec63cd0ac05fa63cd4abde5c8afcb9025"
    assert token_key(USER, "ada") == "token/linkxg-user/fd24e2ceeebd1046ed556c2ed9e083f17e691d0c"
    assert secret_key(CLIENT) == "secret/linkxg/ea38aa1622ed0606718ad4a82ef229f522983bdf"
    assert answer_key(CLIENT) == "answer/linkxg/a7cb19458ff6a4328847ab48bb94f9e0c14a4db5"
    rounds = "round/keep-alive/f4ac04c93dc83fa56288efca4e402cabe64280ca"
    assert round_key([CLIENT, USER]) == round_key([USER, CLIENT]) == rounds
    assert state_key("linkkit", "abc") == "state/linkkit/1ac1b285e3739f61e79efcb0f3a4c357bd7dc971"


@pytest.mark.parametrize(("record", "written"), WRITTEN)
def test_a_plain_record_is_written_and_read_as_ever(record, written):
    """Format 1: whoever reads it next may be of another version."""
    codec = Codec()
    assert bytes(bytearray(codec.close("k", 7, record))) == written.encode()
    assert codec.open("k", Record(7, written.encode())) == record


def test_a_sealed_record_is_written_and_read_as_ever():
    """Magic, key id, nonce, ciphertext, bound to key and version."""
    key = base64.b64encode(bytes(range(32))).decode()
    sealed = (
        b"LA1\x1b\xed\x06\xee"
        + bytes(12)
        + b"u\x9e\xd9\xb7\xdbG\xe2\xc8|\xc0\x8b\x0f)\x00\xb3\xf2\xbb-2q\x12\xa3\x12@\xf5\xf0"
        b"\xd7\xa1\xe9\xdd336+\xb9\xdd^\xd0\x823\x1d\xf3\x0c\ro\xfd\x07 \xc9;\x12\xd6\xcd\xf7ual\x19\xf2"
    )
    codec = Codec(Sealer([key], bytes))
    assert codec.close("k", 7, RoundRecord(next_at=5.0)) == sealed
    assert codec.open("k", Record(7, sealed)) == RoundRecord(next_at=5.0)


def test_a_note_is_written_and_read_as_ever():
    """What another worker left may have been left by another version."""
    note = Note(doubt=digest(TOKEN), since=4.0, retry_at=6.0, failures=1, kind="NotSent", description="no")
    written = (
        b'{"doubt":"13a66431be3ac80c6dc30cacc2520c24","since":4.0,"retry_at":6.0,"failures":1,"kind":"NotSent",'
        b'"description":"no"}'
    )
    assert note.encode() == written
    assert Note.decode(written) == note


@pytest.mark.parametrize(
    "head", ['"linkauth":0,"kind":"round"', '"linkauth":1,"kind":7', '"linkauth":"1","kind":"round"', '"kind":"round"']
)
def test_a_record_of_another_format_or_kind_is_not_read(head):
    """Whatever else it holds: each of the two is enough."""
    with pytest.raises(CorruptRecord, match="no kind that linkauth knows"):
        Codec().open("k", Record(7, f'{{{head},"next_at":5.0}}'.encode()))


def test_a_token_that_no_header_can_carry_is_no_record():
    """It came from somewhere else than the vendor's answer; what the vendor said besides may be any text."""
    codec = Codec()
    odd = attrs.evolve(TOKEN, extra={"note": "two\nlines"})
    kept = TokenRecord(vendor="v", account="ada", token=odd)
    assert codec.open("k", Record(7, codec.close("k", 7, kept))) == kept
    for name in ("access_token", "refresh_token", "scope"):
        bad = TokenRecord(vendor="v", account="ada", token=attrs.evolve(TOKEN, **{name: "two\nlines"}))
        with pytest.raises(CorruptRecord):
            codec.open("k", Record(7, codec.close("k", 7, bad)))


def test_a_key_may_be_written_in_either_alphabet_of_base64():
    """``linkauth new-key``, openssl and Kubernetes differ in two characters; whatever else stands there is a mistake."""
    raw = b"\xfb\xef\xbe\xff" * 8
    usual, safe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    assert usual != safe
    sealed = Sealer([f" {usual}\n"], bytes).seal(b"value", b"bound")
    assert Sealer([safe], bytes).open(sealed, b"bound", "a record") == b"value"
    for wrong in (f"{usual[:5]}*{usual[5:]}", usual[:-4], f"{usual}AAAA"):
        with pytest.raises(ConfigurationError, match="32 bytes in base64"):
            Sealer([wrong], bytes)
