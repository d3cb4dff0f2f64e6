"""Answers that grant and are nearly RFC 6749's: ``OAuth2`` reads them, and refuses what would harm."""

from __future__ import annotations

import math
from urllib.parse import urlencode

import attrs
import pytest

from linkauth.errors import ConfigurationError, MalformedResponse, VendorUnavailable
from linkauth.oauth import grants, wire
from linkauth.oauth.moments import iso_date
from linkauth.testing import play
from linkauth.vendors import OAuth2
from tests.vendors.vendor_answers import BY_NAME, CASES, CURRENT, OTHER, SENT_AT, answer

CASE = BY_NAME["oauth2-renew"]
DATE = "Tue, 01 Jan 2030 00:00:00 GMT"
IN_2030 = 1_893_456_000
FORM = "application/x-www-form-urlencoded"
OURS = [case for case in CASES if case.name.startswith("oauth2")]
STRICT = [case for case in CASES if not case.name.startswith(("oauth2", "user", "linkkit"))]


def _read(response, vendor=OTHER):
    return play(vendor.renew(CURRENT), response)[0]


def _lives(response, vendor=OTHER):
    token = _read(response, vendor)
    return token.expires_at - token.issued_at


def _refused(response, vendor=OTHER):
    with pytest.raises(MalformedResponse) as caught:
        _read(response, vendor)
    return caught.value


@pytest.mark.parametrize("case", OURS, ids=lambda case: case.name)
@pytest.mark.parametrize("kind", [None, "", "bot", "user", "BEARER", "bearer ", "JWT", "machine", "popular"])
def test_a_token_type_that_needs_no_proof_is_bearer(case, kind):
    """Missing (LinkedIn, Shopify) or a word of the vendor's own (Slack's "bot"): sent as a Bearer token."""
    assert case.outcome(case.ok(token_type=kind)).authorization == "Bearer at-2"


@pytest.mark.parametrize(
    "kind",
    [
        *("mac", "MAC", "hmac-sha256", "DPoP", "dpop", "pop", "PoP", "N_A", "n_a", " mac", 5, []),
        *(
            "mac_sha_256",
            "signed_pop",
            "http-mac",
            "hotk-pk",
            "HoK",
            "urn:ietf:params:oauth:token-type:pop",
            "proof_of_possession",
        ),
    ],
)
def test_a_token_type_that_needs_a_proof_is_refused(kind):
    """RFC 6749 §7.1: a type that is not understood is not used; what it rotated is kept."""
    error = _refused(CASE.ok(token_type=kind))
    assert "token_type" in str(error)
    assert error.salvage.refresh_token == "rt-2"


@pytest.mark.parametrize(
    ("said", "scope"),
    [
        (["read", "write"], "read write"),
        (["read write", "admin"], "read write admin"),
        ("read,write", "read write"),
        ("read, write", "read write"),
        (" read  write ", "read write"),
        ("user:email,repo", "user:email repo"),
        (["read", None, "write"], "read write"),
        ("read write\n", "read write"),
        ([], "granted before"),
        ("", "granted before"),
        (",", "granted before"),
        (None, "granted before"),
    ],
)
def test_scopes_are_read_with_spaces_between(said, scope):
    """A list (Twitch), commas (GitHub, Slack); what names no scope leaves it as it was (RFC 6749 §6)."""
    assert _read(CASE.ok(scope=said)).scope == scope


def test_a_scope_under_another_name():
    """Bitbucket's ``scopes``, Facebook's ``granted_scopes``; RFC 6749's own name goes before, where it says something."""
    assert _read(CASE.ok(scope=None, scopes="repository account")).scope == "repository account"
    assert _read(CASE.ok(scope="", granted_scopes=["email", "public_profile"])).scope == "email public_profile"
    assert _read(CASE.ok(scope="read", scopes="write")).scope == "read"
    assert _refused(CASE.ok(scope=None, scopes=5)).salvage.refresh_token == "rt-2"


@pytest.mark.parametrize("scope", [["read", 5], {"read": True}, 5, "a\r\nb", ["a\nb"]])
def test_a_scope_that_is_none_is_refused(scope):
    """No guess at what was granted, and nothing that breaks out of a line; what it rotated is kept."""
    assert _refused(CASE.ok(scope=scope)).salvage.refresh_token == "rt-2"


@pytest.mark.parametrize(
    "said",
    [
        {"expires": 3600},
        {"expires": "3600"},
        {"expires_in": "3600"},
        {"expires_in": "3600.0"},
        {"expires_in": 3600.0},
        {"expires_at": "2030-01-01T01:00:00Z"},
        {"expires_at": "2030-01-01 01:00:00"},
        {"expires_at": "2030-01-01T02:00:00.123+01:00"},
        {"expires_at": IN_2030 + 3600},
        {"expires_at": str(IN_2030 + 3600)},
        {"expires": IN_2030 + 3600},
        {"expires_on": f"{IN_2030 + 3600}"},
        {"expires": "Tue, 01 Jan 2030 01:00:00 GMT"},
        {"expires_at": 3600},
        {"expires_in": 3600, "expires_at": "2031-01-01T00:00:00Z", "expires": 5},
        {"expires_in": 0, "expires_at": IN_2030 + 3600},
        {"expires_in": "", "expires": 3600},
        {"expires": 0, "expires_at": IN_2030 + 3600},
        {"expires_in_sec": 3600, "expires_in": 3600000},
        {"expires_in": " 3600 "},
        {"expires_in": "3600s"},
        {"expires_in": "3600.0 s"},
        {"expiresIn": 3600},
        {"EXPIRES_IN": "3600"},
        {"Expires-In": 3600},
        {".expires": "Tue, 01 Jan 2030 01:00:00 GMT"},
        {"expiresAt": "2030-01-01T01:00:00Z"},
        {"accessTokenExpiresAt": "2030-01-01T01:00:00.000Z"},
        {"expiry": "2030-01-01T02:00:00.123456789+01:00"},
        {"expiry_date": (IN_2030 + 3600) * 1000},
        {"expires_at": (IN_2030 + 3600) * 1000.0},
        {"expires_at": str((IN_2030 + 3600) * 1000)},
        {"expires_at": "2030-01-01 01:00:00 UTC"},
        {"expires_at": "2030-01-01 01:00:00+00"},
        {"expires_at": "2030-01-01T01:00Z"},
        {"expires_in": None, "expires_at": IN_2030 + 3600},
    ],
    ids=str,
)
def test_a_lifetime_under_its_names_and_spellings(said):
    """Deezer's ``expires``, GitHub's ``expires_at``: less the answer's ``Date``, and counted from the sending."""
    response = attrs.evolve(CASE.ok(**{"expires_in": None, **said}), headers={"date": DATE})
    token = _read(response)
    assert token.issued_at == SENT_AT
    assert token.expires_at == SENT_AT + 3600


@pytest.mark.parametrize("date", [None, "", "yesterday", "x" * 100])
def test_a_moment_without_a_date_is_less_the_time_of_the_sending(date):
    """By the store's clock, which the whole fleet goes by."""
    response = attrs.evolve(
        CASE.ok(expires_in=None, expires_at=SENT_AT + 90), headers={} if date is None else {"date": date}
    )
    assert _lives(response) == 90


@pytest.mark.parametrize(
    "said", [0, "0", -1, "-1", 10**12, 10**299, 10**400, float("nan")], ids=lambda said: str(said)[:8]
)
def test_a_lifetime_that_says_nothing_is_the_users_to_state(said):
    """VK and Mailchimp say 0: ``lifetime`` stands in its place, and where there is none the error names it."""
    assert _lives(CASE.ok(expires_in=said), attrs.evolve(OTHER, lifetime=3600.0)) == 3600
    error = _refused(CASE.ok(expires_in=said))
    assert "expires_in" in str(error)
    assert "lifetime=" in str(error)
    assert error.salvage.refresh_token == "rt-2"


@pytest.mark.parametrize("said", ["never", True, [], {"seconds": 60}, "1 h"], ids=str)
def test_a_lifetime_that_is_no_number_is_the_users_to_state(said):
    """``"never"`` with ``lifetime=math.inf``, and the like; without one the error names the option."""
    assert _read(CASE.ok(expires_in=said), attrs.evolve(OTHER, lifetime=math.inf)).expires_at == grants.NEVER
    error = _refused(CASE.ok(expires_in=said))
    assert "lifetime=" in str(error)
    assert error.salvage.refresh_token == "rt-2"


@pytest.mark.parametrize(
    "said",
    [{}, {"expires": 0}, {"expires_at": "soon"}, {"expires_at": "9999-12-31T23:59:59Z"}, {"expires": [1]}],
    ids=str,
)
def test_a_lifetime_that_is_missing(said):
    """The error tells which option states it, and with that option the token is taken."""
    response = CASE.ok(expires_in=None, **said)
    assert "expires_in missing" in str(_refused(response))
    assert "lifetime=" in str(_refused(response))
    assert _lives(response, attrs.evolve(OTHER, lifetime=60.0)) == 60


def test_a_token_that_has_expired_already_is_refused():
    """A moment in the vendor's own past is no reason to state a lifetime: the token is over."""
    response = attrs.evolve(CASE.ok(expires_in=None, expires_at=IN_2030 - 5), headers={"date": DATE})
    assert "expires_in" in str(_refused(response, attrs.evolve(OTHER, lifetime=3600.0)))


@pytest.mark.parametrize("case", STRICT, ids=lambda case: case.name)
def test_a_refusal_of_the_three_vendors_names_no_option(case):
    """They document ``expires_in``, and their answers have no ``lifetime`` to be stated."""
    error = case.outcome(case.ok(expires_in=None))
    assert type(error) is MalformedResponse
    assert "lifetime=" not in str(error)


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=utf-8", "Application/X-WWW-Form-Urlencoded", "text/plain"])
def test_a_form_is_read_by_its_type(kind):
    """Stack Exchange, and proxies that rewrite: the same members, as texts."""
    fields = {"access_token": "at-2", "expires_in": 3600, "refresh_token": "rt-2", "scope": "read,write"}
    response = answer(urlencode(fields).encode(), content_type=kind)
    token = _read(response)
    assert (token.access_token, token.refresh_token, token.scope) == ("at-2", "rt-2", "read write")
    assert token.expires_at == SENT_AT + 3600


def test_a_form_behind_a_pages_type():
    """QQ sends one as text/html; a page of that type is none, whatever stands in it."""
    form = b"\xef\xbb\xbfaccess_token=at-2&expires_in=7776000&refresh_token=rt-2"
    for kind in ("text/html", "text/plain", FORM):
        assert _read(answer(form, content_type=kind)).refresh_token == "rt-2"
    with pytest.raises(VendorUnavailable):
        _read(answer(b"<p>?a=b&access_token=at-2&expires_in=60", content_type="text/html"))


@pytest.mark.parametrize(
    "spell",
    [
        lambda said: {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): one for name, one in said.items()},
        lambda said: {name.title().replace("_", ""): one for name, one in said.items()},
        lambda said: {
            name.split("_")[0] + "".join(w.title() for w in name.split("_")[1:]): one for name, one in said.items()
        },
        lambda said: {name.upper(): one for name, one in said.items()},
        lambda said: {name.replace("_", "-"): one for name, one in said.items()},
    ],
    ids=["snake", "Pascal", "camel", "UPPER", "kebab"],
)
def test_names_however_they_are_spelt(spell):
    """No option for ``accessToken``: as refusals are, grants are read without case, dashes and underscores."""
    said = {
        "access_token": "at-2",
        "refresh_token": "rt-2",
        "token_type": "bot",
        "expires_in": 3600,
        "refresh_expires_in": 1800,
    }
    token = _read(answer(spell(said)))
    assert (token.access_token, token.refresh_token, token.token_type) == ("at-2", "rt-2", "Bearer")
    assert (token.expires_at, token.refresh_expires_at) == (SENT_AT + 3600, SENT_AT + 1800)
    assert "at-2" not in str(dict(token.extra))
    assert _refused(answer(spell({**said, "expires_in": 0}))).salvage.refresh_token == "rt-2"


def test_a_name_that_is_spelt_right_goes_before():
    """Where both are there, the one of RFC 6749 is meant."""
    assert _read(CASE.ok(accessToken="other", refreshToken="other", expiresIn=5)).access_token == "at-2"
    assert _lives(CASE.ok(accessToken="other", refreshToken="other", expiresIn=5)) == 60


@pytest.mark.parametrize("encode", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "iso-8859-15"])
def test_an_answer_in_another_charset(encode):
    """A mark at its beginning, or a name with an umlaut in it that is no UTF-8: the tokens in it are read all the same."""
    body = '{"user":"M\u00fcller","access_token":"at-2","expires_in":3600,"refresh_token":"rt-2"}'
    token = _read(answer(body.encode(encode), content_type=f"application/json; charset={encode}"))
    assert (token.access_token, token.refresh_token) == ("at-2", "rt-2")


def test_an_answer_in_a_list_of_one():
    """The object that is meant."""
    body = [{"access_token": "at-2", "expires_in": 3600}]
    assert _read(answer(body)).access_token == "at-2"
    for wrong in ([*body, *body], [], ["at-2"], [body]):
        _refused(answer(wrong))


@pytest.mark.parametrize("said", [None, "", False, [], {}, 0], ids=repr)
def test_a_refresh_token_that_is_none(said):
    """``null``, PHP's ``false``: the one that was used goes on (RFC 6749 §6)."""
    assert _read(CASE.ok(refresh_token=said)).refresh_token == CURRENT.refresh_token


def test_what_a_bad_form_rotated_is_kept():
    """An access token that comes twice is none; the new refresh token beside it is the only one that is good."""
    response = answer(b"access_token=a&access_token=b&expires_in=3600&refresh_token=rt-2", content_type=FORM)
    assert _refused(response).salvage.refresh_token == "rt-2"


def test_json_is_json_whatever_its_type():
    """Vendors that send JSON as text/html or as a form are many."""
    for kind in ("text/html", FORM, "text/plain", "application/octet-stream"):
        assert _read(attrs.evolve(CASE.ok(), headers={"content-type": kind})).access_token == "at-2"


@pytest.mark.parametrize(
    "said",
    [
        {"refresh_token_expires_in": "1800"},
        {"refresh_expires_in": 1800},
        {"x_refresh_token_expires_in": 1800},
        {"refresh_token_expires_at": IN_2030 + 1800},
        {"refresh_expires_at": "2030-01-01T00:30:00Z"},
        {"refresh_token_expires": 1800},
        {"refreshTokenExpiresIn": 1800},
        {"refreshTokenExpiresAt": "2030-01-01T00:30:00Z"},
        {"refresh_token_expires_on": (IN_2030 + 1800) * 1000},
    ],
    ids=str,
)
def test_when_the_refresh_token_lapses(said):
    """Keycloak, TikTok, QuickBooks and others: keep-alive goes by it."""
    response = attrs.evolve(CASE.ok(**said), headers={"date": DATE})
    assert _read(response).refresh_expires_at == SENT_AT + 1800


@pytest.mark.parametrize("said", [0, "0", -5, None, "", "next week", True, [], 10**30])
def test_a_lapse_that_says_nothing_refuses_no_token(said):
    """Keycloak's offline tokens say 0, and never lapse."""
    assert _read(CASE.ok(refresh_token_expires_in=said)).refresh_expires_at is None


@pytest.mark.parametrize("said", [None, 0])
def test_a_token_that_never_expires(said):
    """Stated with ``math.inf``; stored as a number that every release reads: the end of the year 9999."""
    vendor = attrs.evolve(OTHER, lifetime=math.inf)
    token = _read(CASE.ok(expires_in=said), vendor)
    assert token.expires_at == grants.NEVER == iso_date("9999-12-31T23:59:59Z")
    assert float(wire.decode(wire.dump(attrs.asdict(token)))["expires_at"]) == token.expires_at
    assert _lives(CASE.ok(expires_in=60), vendor) == 60


@pytest.mark.parametrize("lifetime", [0, -1, math.nan, -math.inf, grants.LONGEST_LIFETIME + 1, "60", True])
def test_a_lifetime_that_cannot_be_meant(lifetime):
    """Seconds up to ten years, or ``math.inf``."""
    with pytest.raises(ConfigurationError, match="lifetime"):
        attrs.evolve(OTHER, lifetime=lifetime)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T23:59:60z", 951_868_800),
        ("2030-01-01T00:00:00-05:30", IN_2030 + 19_800),
        ("2030-13-01T00:00:00Z", None),
        ("2030-01-32T00:00:00Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("2030-01-01", None),
        ("٢٠٣٠-01-01T00:00:00Z", None),
        ("2030-01-01T00:00:00Z" + " " * 100, None),
    ],
)
def test_dates_of_iso_8601(text, seconds):
    """RFC 3339's form, with a space or a comma where people write one."""
    assert iso_date(text) == seconds


def test_the_lifetimes_name_no_other_session():
    """Whose session it is does not depend on them: they may be stated later, without a new login."""
    assert isinstance(OTHER, OAuth2)
    assert attrs.evolve(OTHER, lifetime=math.inf).identity() == OTHER.identity()
