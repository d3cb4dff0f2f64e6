"""Notes beside records: what they say and to whom; where there are keys a failure's words are sealed, what workers act on stays legible."""

from __future__ import annotations

import json
from base64 import b64encode

import attrs
import pytest

from linkauth.engine.codec import Codec
from linkauth.engine.credential import Credential
from linkauth.engine.encryption import Sealer
from linkauth.errors import (
    InvalidClient,
    InvalidScope,
    MalformedResponse,
    NoAnswer,
    NotSent,
    RateLimited,
    UnauthorizedClient,
    VendorUnavailable,
)
from linkauth.oauth import wire
from linkauth.oauth.grants import basic
from linkauth.oauth.token import Secret
from linkauth.protocol.intent import Note, digest
from linkauth.vendors import OAuth2
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.test_windows import token
from tests.engine.virtual import virtual

KEY, OTHER = b64encode(b"k" * 32).decode(), b64encode(b"o" * 32).decode()

WORDS = "the vendor's own words"


async def failed(store: Store, keys: str | list[str] | None) -> str:
    """The key of a credential whose vendor has refused a worker with ``keys``, in its own words."""
    vendor = Vendor()
    vendor.fails(answer(401, {"error": "unauthorized_client", "error_description": WORDS}), times=2)
    credential = Worker(store, vendor, keys=keys).credential(CLIENT)
    with pytest.raises(UnauthorizedClient, match=WORDS):
        await credential.token()
    return credential.replica.key


async def told(store: Store, keys: str | list[str] | None) -> str:
    """What a worker with ``keys`` raises for the note that it finds, asking no vendor."""
    vendor = Vendor()
    with pytest.raises(UnauthorizedClient) as caught:
        await Worker(store, vendor, keys=keys).credential(CLIENT).token()
    assert vendor.counts.total() == 0
    return caught.value.description


@virtual
async def test_a_failures_words_are_sealed_where_there_are_keys():
    """The store shows no word of the vendor's; workers that have the key raise them, and others keep the distance alike."""
    store = Store()
    key = await failed(store, KEY)
    note = (await store.read(key)).note
    assert WORDS.encode() not in note
    assert b"unauthorized_client" not in note
    assert await told(store, [OTHER, KEY]) == WORDS
    assert await told(store, OTHER) == ""
    assert await told(store, None) == ""


@virtual
async def test_without_keys_a_note_is_as_it_was():
    """Nothing to seal with: the words stand there, as they did."""
    store = Store()
    note = json.loads((await store.read(await failed(store, None))).note)
    assert note["description"] == WORDS
    assert "sealed" not in note


@virtual
async def test_words_left_in_clear_by_an_older_worker_are_read():
    """While a fleet is upgraded, or given its keys, some notes have clear words: a worker with keys tells them, too."""
    store = Store()
    await failed(store, None)
    assert await told(store, KEY) == WORDS


@virtual
async def test_what_an_older_worker_acts_on_stays_legible():
    """A worker that knows no sealed words, for it is of the release before, finds the doubt and the distance all the same."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=KEY)
    credential = await logged_in(worker)
    vendor.fails(NoAnswer(WORDS), times=9)
    with pytest.raises(VendorUnavailable):
        await credential.refresh()
    found = json.loads((await store.read(credential.replica.key)).note)
    assert found.pop("sealed")
    assert found.keys() == {"doubt", "since", "retry_at", "failures", "kind"}
    assert found["doubt"] == digest(credential.peek())
    assert found["retry_at"] > found["since"] > 0


async def held(worker: Worker) -> Credential:
    """The user's credential, with its token in this worker's memory."""
    credential = worker.credential(USER)
    await credential.token()
    return credential


@virtual
async def test_status_says_that_something_failed_though_its_words_do_not_open():
    """With other keys the class of the failure is told in the words' place: an empty error would mean that all is well."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[KEY, "plain"])
    await logged_in(Worker(store, vendor))
    vendor.fails(NoAnswer(WORDS), times=9)
    with pytest.raises(VendorUnavailable):
        await (await held(worker)).refresh()
    assert [status.error async for status in worker.statuses()] == [WORDS]
    assert [status.error async for status in Worker(store, vendor).statuses()] == ["NoAnswer"]


def test_words_open_beside_their_own_record_alone():
    """Moved beside another record, damaged, or of another shape, they count as none; the rest of the note stays."""
    ours = Codec(Sealer([KEY], lambda size: b"n" * size))
    note = Note(doubt="d", since=1.0, retry_at=9.0, kind="RateLimited", error="slow_down", description=WORDS)
    closed = ours.close_note("a", note)
    assert ours.open_note("a", closed).description == WORDS
    for key, found in [
        ("b", closed),
        ("a", closed.replace(b'"sealed":"', b'"sealed":"AAAA')),
        ("a", closed.replace(b'"sealed":"', b'"sealed":"*')),
        ("a", closed.replace(b'"sealed":"', b'"sealed":"TEEx')),
    ]:
        left = ours.open_note(key, found)
        assert (left.doubt, left.since, left.retry_at, left.kind) == ("d", 1.0, 9.0, "RateLimited")
        assert (left.error, left.description) == ("", "")


@virtual
async def test_a_vendor_that_repeats_http_basic_gives_nothing_away():
    """The secret in base64, as it was sent, and in clear: not in the error, the event, the status or the note without keys."""
    secret = "k7Qz0-Vb3Xn9.Lm5Tw1Rj8Hc2Fd6"
    arguments = {"client_id": "the-app", "client_secret": secret, "token_url": "https://vendor.example/token"}
    oauth2 = OAuth2(name="generic", client_auth="basic", **arguments)
    sent = basic("the-app", Secret(secret))
    store, vendor = Store(), Vendor()
    said = f"no client for {sent} ({secret})"
    vendor.fails(answer(401, {"error": "unauthorized_client", "error_description": said}), times=9)
    worker = Worker(store, vendor)
    credential = worker.credential(oauth2)
    with pytest.raises(UnauthorizedClient, match="no client for") as caught:
        await credential.token()
    note = (await store.read(credential.replica.key)).note
    assert b"no client for" in note
    told = f"{caught.value} {vars(caught.value)} {worker.events} {note!r}"
    assert "****" in told
    assert secret[:12] not in told
    assert sent[20:40] not in told


@pytest.mark.parametrize("words", [["one"], ["one", 2], ["a", "b", "c"], {"error": "a"}, "slow_down", None])
def test_words_of_a_shape_that_no_linkauth_writes_count_as_none(words):
    """They open, for whoever wrote them had the key: what they say is not guessed at, and the rest of the note stays."""
    sealer = Sealer([KEY], lambda size: b"n" * size)
    sealed = b64encode(sealer.seal(wire.dump(words), b"linkauth note 1 a")).decode()
    found = Codec(sealer).open_note("a", Note(doubt="d", since=1.0, kind="RateLimited", sealed=sealed).encode())
    assert (found.doubt, found.since, found.kind) == ("d", 1.0, "RateLimited")
    assert (found.error, found.description) == ("", "")
    whole = b64encode(sealer.seal(wire.dump(["slow_down", WORDS]), b"linkauth note 1 a")).decode()
    assert Codec(sealer).open_note("a", Note(sealed=whole).encode()).description == WORDS


@pytest.mark.parametrize("refresh", [None, ""])
def test_what_has_no_refresh_token_is_in_no_doubt(refresh):
    """Nothing can be spent, so there is nothing to recognise."""
    assert digest(None) == ""
    assert digest(attrs.evolve(token(1), refresh_token=refresh)) == ""


def test_any_text_that_json_can_carry_is_a_refresh_token():
    """Half a surrogate pair is no Unicode text, yet a vendor may send it, and the note is written all the same."""
    odd = attrs.evolve(token(1), refresh_token="\ud800")
    assert digest(odd) != digest(attrs.evolve(odd, refresh_token="\ud801")) != ""


def test_a_note_of_nothing_is_nothing():
    """An empty note is what a store that was never told anything has."""
    assert Note().encode() == b""
    assert Note.decode(b"") == Note()


def test_a_failure_is_written_down_as_it_was():
    """What another worker needs to raise it again, and one more failure in the row."""
    noted = Note(doubt="d", since=4.0, failures=2).failing(NotSent("no way"), 9.0)
    assert noted == Note(doubt="d", since=4.0, failures=3, retry_at=9.0, kind="NotSent", description="no way")
    refused = Note().failing(InvalidScope("invalid_scope", "no such", status=400), 9.0)
    assert refused == Note(
        failures=1, retry_at=9.0, kind="InvalidScope", error="invalid_scope", description="no such", status=400
    )


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("rate_limited", "slowly", status=420, retry_after=7.0),
        InvalidClient("invalid_client", "who?", status=401),
        MalformedResponse("half an answer"),
        VendorUnavailable("oops", retry_after=7.0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_is_raised_elsewhere_as_it_was(error):
    """Class, words, status and the time to wait: a worker that was only told raises what the one that saw it did."""
    found = Note.decode(Note().failing(error, 9.0).encode()).failure(7.0)
    assert type(found) is type(error)
    assert (str(found), vars(found)) == (str(error), vars(error))


def test_a_note_is_shown_to_people_as_one_short_line():
    """Whoever can write to the store could write here: no line breaks, no end of words, no status that is none."""
    odd = "a\nb" + "c" * 1000
    found = Note.decode(Note(kind=odd, error=odd, description=odd).encode())
    for words in (found.kind, found.error, found.description):
        assert words.isprintable()
        assert len(words) <= 401  # an ellipsis for what is cut off
    for status, told in ((-1, 0), (100, 100), (999, 999), (1000, 0)):
        assert Note.decode(Note(status=status).encode()).status == told


def test_a_failure_of_a_kind_that_this_version_does_not_know_is_told_in_its_words():
    """A newer linkauth may have classes of its own; what is no error's name is none."""
    for kind in ("TooNew", "annotations", ""):
        found = Note(kind=kind, description="in words").failure(7.0)
        assert (type(found), str(found), found.retry_after) == (VendorUnavailable, "in words", 7.0)
