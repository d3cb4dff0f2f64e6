"""What was sent does not come back in words: in any form, whole or in part, and in bounded time."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from html import escape
from html.entities import html5
from urllib.parse import quote, quote_plus

import pytest

from linkauth.oauth import wire
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.grants import basic
from linkauth.oauth.masking import Mask
from linkauth.oauth.refusals import said
from linkauth.oauth.token import Secret
from tests.processor import at_most

SECRET = 'q+/9 ~"\\ü-Zk_47%xW;&p'
UPPER = "".join(char.upper() if char.isascii() else char for char in SECRET)
BASIC = basic("the app/1", Secret(SECRET))


def _named(text: str) -> str:
    """``text`` with each character as HTML names it, where it does, by the longest name: ``&plus;`` and ``&lowbar;`` too."""
    names = {char: f"&{name}" for name, char in sorted(html5.items(), key=lambda item: len(item[0])) if name[-1] == ";"}
    return "".join(names.get(char, char) for char in text)


FORMS = {
    "plain": SECRET,
    "form": quote_plus(SECRET),
    "url": quote(SECRET),
    "every character": "".join(f"%{byte:02X}" for byte in SECRET.encode()),
    "lower-case escapes": "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    "twice": quote(quote_plus(SECRET)),
    "json": json.dumps(SECRET)[1:-1],
    "json, nothing escaped that need not be": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "json, all escaped": "".join(f"\\u{ord(char):04X}" for char in SECRET),
    "json in json": json.dumps(json.dumps(SECRET))[3:-3],
    "a form in json": json.dumps(quote_plus(SECRET).replace("/", "\\/")),
    "repr": repr(SECRET.encode())[2:-1],
    "html": escape(SECRET),
    "html by number": "".join(f"&#{ord(char)};" for char in SECRET),
    "html by number, in hexadecimal": "".join(f"&#x{ord(char):X};" for char in SECRET),
    "html by name": _named(SECRET),
    "html by name, in a form": quote_plus(_named(SECRET)),
    "html by number, padded": "".join(f"&#{ord(char):07};" for char in SECRET),
    "html by number, in hexadecimal and padded": "".join(f"&#x{ord(char):07x};" for char in SECRET),
    "upper case": UPPER,
    "basic": BASIC,
    "basic, quoted": json.dumps({"Authorization": BASIC}),
    "basic without its scheme": BASIC.removeprefix("Basic "),
    "base64url": urlsafe_b64encode(f"id:{SECRET}".encode()).decode().rstrip("="),
    "base64 of more": b64encode(f"client_secret={quote_plus(SECRET)}&x=1".encode()).decode(),
    "base64 in a form": quote_plus(b64encode(f":{SECRET}".encode())),
}


def _telling(form: str, words: str) -> list[str]:
    """Pieces of eight characters of what was repeated, and of six bytes of the secret in what is base64 of it."""
    left = words.replace("****", " ")
    encoded = form not in {SECRET, UPPER} and re.fullmatch(r"(\"?\{?\"?Authorization\"?: ?\"?)?[\w+/=% -]+[\"}]*", form)
    if not encoded:
        return [form[at : at + 8] for at in range(len(form) - 7) if form[at : at + 8] in left]
    found = []
    for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", left):
        for start in range(4):
            plain = b64decode(
                run[start:].replace("-", "+").replace("_", "/").ljust(len(run) + 4, "A")[: len(run) // 4 * 4]
            )
            found += [piece for piece in PIECES if piece in plain]
    return found


PIECES = [data[at : at + 6] for data in (SECRET.encode(), quote_plus(SECRET).encode()) for at in range(len(data) - 5)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_no_form_of_a_secret_is_shown(form):
    """Whichever encoding it was sent in, and those that a vendor may put it into: stars, and the words around them."""
    words = Mask([SECRET, BASIC])(f"the client gave <{form}>, which is wrong")
    assert words.startswith("the client gave <")
    assert words.endswith("which is wrong")
    assert "****" in words
    assert not _telling(form, words), words


@pytest.mark.parametrize(
    ("length", "told", "kept"), [(60, 11, 12), (24, 11, 12), (20, 9, 10), (16, 7, 8), (9, 7, 8), (7, 6, 7)]
)
def test_a_piece_of_a_secret(length, told, kept):
    """Few characters tell which one it was; 12 of a long one, and half of a shorter, are masked, wherever they stand."""
    secret = "k7Qz0-Vb3Xn9.Lm5Tw1Rj8Hc2Fd6Gs4Py~aEuIoZxCvBnMqWeRtYuIoPaSdF"[:length]
    assert len(set(secret[:24].lower())) == min(length, 24)
    for start in {0, length - kept}:
        mask = Mask([secret])
        assert mask(f"<{secret[start : start + told]}>") == f"<{secret[start : start + told]}>"
        assert mask(f"<{secret[start : start + kept]}>") == "<****>"


def test_words_that_are_no_secret_stay():
    """What has nothing of a secret in it is repeated as it came, escapes and all."""
    for words in ("100% of \\u0041 &amp; %zz &#65; \\", "", "x" * 100, "ü \U0001f600 %F0%9F%98%80"):
        assert Mask([SECRET, None, ""])(words) == words
    assert Mask([])(SECRET) == SECRET


@pytest.mark.parametrize(
    "text",
    [
        "%" * 4096,
        "\\u" * 2048,
        "\\u0041" * 682,
        "&#" * 2048,
        "&plus;" * 682,
        "&" + "a" * 4095,
        "&a1" * 1365,
        "&#" + "0" * 4094,
        "a" * 4096,
        "%25" * 1365,
        "\ud800" * 4096,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_hostile_words_take_bounded_time(text):
    """Words made to be slow, and secrets that a vendor made so, are through in a moment: nothing is tried twice."""
    mask = Mask(["a" * 4096, "%25" * 1000, "a" * 7 + "b"])
    with at_most(2):
        for _ in range(5):
            mask(text)


def test_a_large_value_is_not_searched_to_its_end():
    """A JSON value is masked in all its texts and names, lists and objects; what nobody would read is left out."""
    value = {
        "message": f"bad {SECRET}",
        SECRET: [{"a": [SECRET, 5, None, True]}],
        "long": "x" * 10_000_000,
        "z": SECRET,
    }
    shown = wire.fit(value, SECRET, whole=True)
    assert 65_000 < len(shown.pop("long")) < 65_537
    assert shown == {"message": "bad ****", "****": [{"a": ["****", 5, None, True]}], "…": "…"}


REQUESTS = {
    "form": Request.form("https://v.example/token", {"client_id": "the-app", "client_secret": SECRET}),
    "an own parameter": Request.form("https://v.example/token", {"client_id": "the-app", "api_pin": SECRET}),
    "json": Request.json("https://v.example/token", {"client_id": "the-app", "deep": [{"refreshToken": SECRET}]}),
    "basic": Request.form("https://v.example/token", {"client_id": "the-app"}, {"Authorization": BASIC}),
    "bearer": Request(url="https://v.example/token", headers={"authorization": f"Bearer {SECRET}"}),
    "another header": Request(url="https://v.example/token", headers={"X-Api-Key": SECRET}),
    "query": Request(url=f"https://v.example/token?key={quote_plus(SECRET)}"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_whatever_was_sent_is_masked_in_the_answer(request_, form):
    """Each part of a request that is not public: the words of its answer do not repeat it; ids and scopes they may."""
    body = json.dumps({"error": f"no {form}", "error_description": f"the-app may not: {form}"}).encode()
    code, words = said(Response(status=400, body=body, request=request_), ("error", "error_description"))
    assert words.startswith("the-app may not: ")
    assert not _telling(form, code + words), words


def test_a_short_secret_is_masked_where_it_is_known_as_one():
    """A secret is one however short, in a field or in HTTP Basic; a short parameter of an app's own is a word."""
    body = b'{"error": "invalid_grant", "error_description": "n0 is wrong for web"}'
    for request in (
        Request.form("https://v.example", {"password": "n0", "mode": "web"}),
        Request(url="https://v.example", headers={"Authorization": basic("web", Secret("n0"))}),
    ):
        answer = Response(status=400, body=body, request=request)
        assert said(answer, ("error", "error_description")) == ["invalid_grant", "**** is wrong for web"]


def test_what_was_sent_may_be_no_text():
    """Numbers and the like hide no secret beside them."""
    sent = {"n": 5, "on": True, "deep": {"no": None, "list": [1.5, {"password": "p"}]}, "pin": "longer than most"}
    assert Request.json("https://v.example", sent).secrets() == ("p", "longer than most")


@pytest.mark.parametrize("written", ["not base64!", "abc", "\u00e4\u00f6"])
def test_a_basic_that_is_none_is_a_secret_as_it_is(written):
    """Nobody's password is found in it: the whole is masked, and nothing fails."""
    assert Request(url="https://v.example", headers={"Authorization": f"Basic {written}"}).secrets() == (written,)
