"""JSON and words: foreign data is read strictly, and what comes of it shows nothing."""

from __future__ import annotations

import copy
import json
import math
import pickle
import sys

import attrs
import pytest

from linkauth.errors import MalformedResponse
from linkauth.oauth import limits, wire
from linkauth.oauth.token import Secret, SecretStr


def test_what_is_not_json_is_none():
    """``decode`` never raises."""
    for body in (b"", b"{", b"\xff", b"<html>", b"[" * 100_000, b"{}" * 2, b"\xef\xbb\xbf{}"):
        assert wire.decode(body) in (None, {})


def test_nesting_has_an_end():
    """What is read must also be written to the store, from a deeper stack."""
    deep = b"[" * wire.DEEPEST + b"]" * wire.DEEPEST
    assert wire.decode(deep) is not None
    assert wire.decode(b"[" + deep + b"]") is None


def test_numbers_that_no_float_holds():
    """Read as the largest there is: the field is refused by whoever uses it, the rest survives."""
    body = b'{"a": NaN, "b": 1e999, "c": -Infinity, "d": -1e999, "e": 1%s, "f": 12}' % (b"0" * 5000)
    largest = sys.float_info.max
    assert list(wire.decode(body).values()) == [largest, largest, -largest, -largest, largest, 12]


def test_dump_writes_whatever_was_read():
    """Half a surrogate pair, too; what is not JSON is the caller's mistake."""
    value = {"a": "\ud800 ä", "b": [1, 2.5, None, True]}
    assert json.loads(wire.dump(value)) == value
    with pytest.raises(ValueError):
        wire.dump({"a": math.nan})


@attrs.frozen
class _Sample:
    text: str
    number: float = 0.0
    words: list[str] | None = None


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({}, "text"),
        ({"text": 5}, "text"),
        ({"text": None}, "text"),
        ({"text": "a", "number": "5"}, "number"),
        ({"text": "a", "number": True}, "number"),
        ({"text": "a", "number": None}, "number"),
        ({"text": "a", "number": 10**400}, "number"),
        ({"text": "a", "number": math.inf}, "number"),
        ({"text": "a", "number": math.nan}, "number"),
        ({"text": "a", "words": "abc"}, "words"),
        ({"text": "a", "words": [1]}, "words"),
        ([], ""),
        ("canary", ""),
        (None, ""),
    ],
    ids=str,
)
def test_structure_is_strict(value, named):
    """A number is no text, ``true`` is no number, a text is no list; the field is named, never its value."""
    with pytest.raises(MalformedResponse) as caught:
        wire.structure(value, _Sample, "the sample")
    assert named in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_structure_ignores_what_it_does_not_know():
    """Vendors add fields; an int is a fine float."""
    found = wire.structure({"text": "a", "number": 5, "words": ["b", "c"], "new": {}}, _Sample, "x")
    assert found == _Sample("a", 5.0, ["b", "c"])


@attrs.frozen
class _Size:
    text: str


wire.teach(_Size, lambda value: _Size(str(value)))  # before whatever holds one


@wire.answer(rename=wire.camel)
@attrs.frozen
class _Answer:
    created_at: _Size
    all_sizes: tuple[_Size, ...] = ()
    extra: dict[str, object] = attrs.field(factory=dict)


@wire.answer()
@attrs.frozen
class _Plain:
    created_at: str


def test_an_answer_is_read_by_the_vendors_names_and_keeps_the_rest():
    """camelCase becomes ours, an array a tuple, a taught type is read as it was taught, what has no field is ``extra``."""
    found = wire.structure({"createdAt": 5, "allSizes": ["a"], "new": 1}, _Answer, "x")
    assert found == _Answer(_Size("5"), (_Size("a"),), {"new": 1})
    assert wire.structure({"created_at": "now", "new": 1}, _Plain, "x") == _Plain("now")


@pytest.mark.parametrize("value", [[], "canary", None, {"createdAt": 1, "allSizes": "canary"}], ids=str)
def test_an_answer_of_another_shape_is_none(value):
    """No object, or a text where an array belongs: ``MalformedResponse`` that shows nothing of it."""
    with pytest.raises(MalformedResponse) as caught:
        wire.structure(value, _Answer, "the answer")
    assert "canary" not in str(caught.value)


def test_words():
    """One printable line of at most 300 characters, secrets masked in each way in which they are sent."""
    assert wire.words("a\r\nb\x1b\u202ec") == "a  b  c"
    assert len(wire.words("x" * 10_000)) == 301
    assert wire.words(5) == wire.words(None) == wire.words(["a"]) == ""
    hidden = "a b/ü"
    assert wire.words("a b/ü a+b%2F%C3%BC a%20b%2F%C3%BC", hidden, None, "") == "**** **** ****"
    assert wire.words("abcabc", "abc", "abcabc") == "****"
    assert wire.words("x" * 299 + "secret", "secret").endswith("*…")


def test_retry_after():
    """Seconds; a date without one to count from, a fraction or nonsense is None."""
    assert limits.retry_after({"retry-after": " 17 "}) == 17
    for text in ("", "-1", "1.5", "x", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 10, "\u0661", "\u00b2"):
        assert limits.retry_after({"retry-after": text}) is None


def test_fit():
    """A vendor's own JSON with every text and name as ``words`` makes it, at every depth; all else is left as it is."""
    told = {"a b": ["a b", {"field\n": "a%20b is wrong" + "x" * 400}], "n": [1, 2.5, None, True]}
    shown = wire.fit(told, "a b")
    assert shown["n"] == [1, 2.5, None, True]
    assert shown["****"][0] == "****"
    assert shown["****"][1]["field "].startswith("**** is wrongxx")
    assert len(shown["****"][1]["field "]) == 301
    assert wire.fit(None) is None


def test_rate_limit():
    """Counts and Unix seconds where they are that; seconds from now, milliseconds and nonsense are None."""
    said = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": " 0 ", "x-ratelimit-reset": "1700000060"}
    assert limits.rate_limit(said) == {"limit": 60, "remaining": 0, "reset_at": 1_700_000_060.0}
    nothing = {"limit": None, "remaining": None, "reset_at": None}
    for text in ("", "-1", "1.5", "x", "9" * 5000, "\u0661", "\u00b2", "1e9", "0x10", "60, 60;w=60"):
        assert limits.rate_limit(dict.fromkeys(said, text)) == nothing
    for text in ("30", "999999999", "1700000060000", "0000000060"):
        assert limits.rate_limit({"x-ratelimit-reset": text})["reset_at"] is None


@pytest.mark.parametrize(
    ("until", "now", "seconds"),
    [
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30),
        ("Wednesday, 21-Oct-26 07:28:30 GMT", "Wed Oct 21 07:28:00 2026", 30),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("Sat, 31 Feu 2026 00:00:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 9999 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "yesterday", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT" + " " * 99 + "x", "Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_as_a_date(until, now, seconds):
    """A date counts from the answer's own Date, by no clock of ours; one in the past is no wait."""
    assert limits.retry_after({"retry-after": until, "date": now}) == seconds


def test_masked_shows_nothing():
    """Neither an answer nor a Secret nor what it reveals shows up in a ``repr``; none of them is pickled."""
    secret = Secret("canary")
    for value in (wire.Masked(a="canary"), secret, secret.reveal(), [secret.reveal()], {"a": secret}):
        assert "canary" not in repr(value)
    for value in (f"{secret}", str(secret), f"{secret!r:>30}", repr(copy.deepcopy(secret))):
        assert "canary" not in value
    assert secret.reveal() == "canary"
    for value in (secret, SecretStr("canary")):
        with pytest.raises(TypeError):
            pickle.dumps(value)
    assert Secret("\ud800") == Secret("\ud800") != Secret("a")
