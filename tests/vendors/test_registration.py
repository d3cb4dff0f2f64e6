"""What cannot work is said when the vendor is made, and shows no secret."""

from __future__ import annotations

import attrs
import pytest

from linkauth.errors import ConfigurationError
from linkauth.oauth.token import Secret
from linkauth.protocol.keys import token_key, token_keys
from linkauth.vendors import Linkkit, LinkXG, LinkXGUser, OAuth2, RotationProfile, SageX3
from tests.vendors.vendor_answers import LINKKIT, LINKXG, MACHINE, OTHER, SAGE, USER

GOOD = {
    LinkXG: {"client_id": "c", "client_secret": "canary", "base_url": "https://a.example.com"},
    LinkXGUser: {"base_url": "https://a.example.com"},
    Linkkit: {"client_id": "c", "client_secret": "canary", "base_url": "https://a.example.com"},
    SageX3: {"client_id": "c", "client_secret": "canary", "base_url": "https://a.example.com", "customer": "https://x"},
    OAuth2: {"name": "n", "client_id": "c", "client_secret": "canary", "token_url": "https://a.example.com/token"},
}
BAD_URLS = [
    "",
    "example.com",
    "//example.com",
    "/path",
    "http://example.com",
    "http://10.0.0.1",
    "http://0.0.0.0",
    "http://a.localhost",
    "http://[::ffff:127.0.0.1]",
    "https://2130706433",
    "https://127.1",
    "https://0x7f.0.0.1",
    "https://0177.0.0.1",
    "https://[1]",
    "https://[:]",
    "http://localhost.evil.example.com",
    "http://evil%2f.localhost",
    "ftp://example.com",
    "https://",
    "https://user:canary@example.com",
    "https://canary@example.com",
    "https://@example.com",
    "https://example.com#canary",
    "https://example.com:canary",
    "https://example.com:99999",
    "https://example.com:0",
    "https://example.com:",
    "https://exa mple.com",
    "https://example.com\\@evil.com",
    "https://example.com.",
    "https://ex\u00e4mple.com",
    "https://example.com\n",
    "https://[::1",
    "https://[::1%25eth0]",
    "https://[v1.canary]",
    None,
    5,
    b"https://example.com",
]


def _refused(make, what=None):
    try:
        made = make()
    except ConfigurationError as error:
        caught = error
    else:
        raise AssertionError(f"{what!r} made {made}")
    assert isinstance(caught, ValueError)
    assert caught.__context__ is None
    assert "canary" not in str(caught) + repr(vars(caught))
    return caught


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_a_url_that_no_secret_may_go_to(kind):
    """https, or this machine, written so that everybody reads it alike."""
    where = "token_url" if kind is OAuth2 else "base_url"
    for url in BAD_URLS:
        _refused(lambda url=url: kind(**{**GOOD[kind], where: url}), url)


SPELT = [
    ("HTTPS://API.Example.COM:443/V1", "https://api.example.com/V1"),
    ("https://api.example.com:0443", "https://api.example.com"),
    ("https://api.example.com:8443/v1", "https://api.example.com:8443/v1"),
    ("http://LOCALHOST:80/v1", "http://localhost/v1"),
    ("http://[0:0::1]:080/v1", "http://[::1]/v1"),
    ("https://[2001:DB8::0:1]", "https://[2001:db8::1]"),
]


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("url", "spelt"), SPELT)
def test_two_spellings_are_one_root(kind, url, spelt):
    """Case of scheme and host, the default port, the last slash of a root: equal vendors, equal origins."""
    names = ["token_url", "authorize_url", "revoke_url", "api_url"] if kind is OAuth2 else ["base_url"]
    one, other = (kind(**{**GOOD[kind], **dict.fromkeys(names, given)}) for given in (url, spelt))
    assert (one, hash(one)) == (other, hash(other))
    assert [getattr(one, name) for name in names] == [spelt] * len(names)
    assert one.identity() == other.identity()
    assert one.api(None) == other.api(None)
    assert str(one.api(None)).startswith(spelt.removesuffix("/V1").removesuffix("/v1"))
    if kind is not OAuth2:
        assert kind(**{**GOOD[kind], "base_url": url + "/"}) == one


@pytest.mark.parametrize("kind", [LinkXG, LinkXGUser, Linkkit, SageX3], ids=lambda kind: kind.__name__)
def test_a_base_url_has_no_query(kind):
    """Paths are appended to it, and would end up in the query."""
    assert "query" in str(_refused(lambda: kind(**{**GOOD[kind], "base_url": "https://a.example.com?canary"})))


@pytest.mark.parametrize("where", ["authorize_url", "revoke_url", "api_url"])
@pytest.mark.parametrize("url", ["", "http://example.com", "https://u:canary@example.com", 5], ids=str)
def test_every_url_is_looked_at(where, url):
    """The generic vendor's other URLs are held to the same."""
    _refused(lambda: OAuth2(**{**GOOD[OAuth2], where: url}))


@pytest.mark.parametrize("kind", [LinkXG, Linkkit, SageX3, OAuth2], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("field", ["client_id", "client_secret"])
def test_credentials(kind, field):
    """Empty, unprintable, or no text at all."""
    for value in ("", "  ", "canary\n", "canary\0", 5, None, Secret("")):
        if (kind, field, value) != (OAuth2, "client_secret", None):
            assert field in str(_refused(lambda value=value: kind(**{**GOOD[kind], field: value}), value))


def test_customer_and_scope():
    """Sage's customer is required; scopes are texts."""
    assert "customer" in str(_refused(lambda: SageX3(**{**GOOD[SageX3], "customer": ""})))
    with pytest.raises(TypeError):
        SageX3(client_id="c", client_secret="canary", base_url="https://a.example.com")
    for kind in (LinkXG, Linkkit, SageX3, OAuth2):
        for scope in ("a\nb", None, ["a"]):
            assert "scope" in str(_refused(lambda kind=kind, scope=scope: kind(**{**GOOD[kind], "scope": scope})))


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9:5/x", "http://[::1]:8"])
def test_this_machine_needs_no_https(url):
    """Sandboxes and tests."""
    assert LinkXGUser(base_url=url + "/").base_url == url


@pytest.mark.parametrize("vendor", [LINKXG, USER, LINKKIT, SAGE, OTHER, MACHINE], ids=lambda vendor: vendor.name)
def test_a_vendor_shows_no_secret_and_stays_as_it_is(vendor):
    """Frozen, hashable, equal by value, and masked."""
    assert "canary" not in repr(vendor) + str(vendor) + str(vendor.identity()) + str(vendor.registration())
    assert vendor == attrs.evolve(vendor)
    assert hash(vendor) == hash(attrs.evolve(vendor))
    assert all(isinstance(part, str) for part in (*vendor.identity(), *vendor.registration()))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        vendor.base_url = "https://evil.example.com"


WRONG = [
    (OAuth2, {"extra": "audience=x"}),
    (OAuth2, {"extra": ["audience"]}),
    (OAuth2, {"extra": [("audience", "x")]}),
    (OAuth2, {"extra": None}),
    (OAuth2, {"extra": {"audience": ["x", "y"]}}),
    (OAuth2, {"authorize_extra": "prompt"}),
    (OAuth2, {"client_auth": ["post"]}),
    (OAuth2, {"client_auth": None}),
    (OAuth2, {"issuer": ["https://a.example.com"]}),
    (OAuth2, {"issuer": 5}),
    (OAuth2, {"lifetime": "60"}),
    (OAuth2, {"lifetime": True}),
    (OAuth2, {"lifetime": [60]}),
    (OAuth2, {"pkce": "no"}),
    (OAuth2, {"iss_required": 1, "issuer": "https://a.example.com"}),
    (OAuth2, {"rotation": "rotates"}),
    (OAuth2, {"rotation": None}),
    (OAuth2, {"name": ["n"]}),
    (OAuth2, {"former": "canary"}),
    (OAuth2, {"former": ["canary"]}),
    (OAuth2, {"former": {"token_url": "https://a.example.com/t"}}),
    (OAuth2, {"former": [{"client_secret": "canary"}]}),
    (Linkkit, {"pkce": "no"}),
    (SageX3, {"customer": ["https://x"]}),
    (SageX3, {"regions": "us-prod"}),
]


@pytest.mark.parametrize(("kind", "wrong"), WRONG, ids=str)
def test_a_value_of_another_kind(kind, wrong):
    """A bare text where several are meant, and what could be neither hashed nor compared: said when it is made."""
    _refused(lambda: kind(**{**GOOD[kind], **wrong}), wrong)


@pytest.mark.parametrize(
    "wrong",
    [60, "60", "60/60", (60,), (60, 60, 60), (0, 60), (-1, 60), (1.5, 60), (60, 0), (60, "60"), (60, 86_401), {60: 60}],
    ids=str,
)
def test_a_rate_that_nobody_can_keep_to(wrong):
    """So many requests in so many seconds, a day at the most: anything else is said when the vendor is made."""
    error = _refused(lambda: OAuth2(**GOOD[OAuth2], token_rate=wrong), wrong)
    assert "token_rate is (requests, seconds)" in str(error)


@pytest.mark.parametrize("rate", [(60, 60), [60, 60.0]], ids=str)
def test_a_rate_that_a_vendor_allows(rate):
    """Kept as two numbers, in one spelling; where none is stated it is unknown."""
    vendor = OAuth2(**GOOD[OAuth2], token_rate=rate)
    assert vendor.token_rate == (60, 60.0)
    assert hash(vendor) == hash(OAuth2(**GOOD[OAuth2], token_rate=(60, 60.0)))
    assert OAuth2(**GOOD[OAuth2], token_rate=(1, 86_400)).token_rate == (1, 86_400.0)
    assert OAuth2(**GOOD[OAuth2]).token_rate is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotates": "yes"},
        {"reuse_revokes": 1},
        {"replay_window": -1.0},
        {"replay_window": float("nan")},
        {"replay_window": "30"},
        {"replay_window": True},
    ],
    ids=str,
)
def test_a_profile_that_decides_nothing(wrong):
    """Whether a spent token is sent again hangs on it: each part is what it is said to be. Without an end is a number."""
    with pytest.raises(ConfigurationError):
        RotationProfile(**wrong)
    assert RotationProfile(replay_window=float("inf")).replay_window == float("inf")


def test_a_vendor_keeps_what_it_was_given():
    """A list or a mapping that its maker goes on changing changes no vendor, and each can be a key."""
    regions, extra = ["us-prod"], {"audience": "x"}
    sage, acme = SageX3(**GOOD[SageX3], regions=regions), OAuth2(**GOOD[OAuth2], extra=extra, authorize_extra=extra)
    before = {sage: 1, acme: 2}
    regions.append("eu-prod")
    extra["audience"] = "y"
    assert sage.regions == ("us-prod",)
    assert (dict(acme.extra), dict(acme.authorize_extra)) == ({"audience": "x"}, {"audience": "x"})
    same = SageX3(**GOOD[SageX3], regions=("us-prod",)), OAuth2(**GOOD[OAuth2], extra={"audience": "x"})
    assert before[same[0]] == 1
    assert same[1] not in before
    with pytest.raises(TypeError):
        acme.extra["audience"] = "z"


def test_what_may_change_without_a_new_login():
    """Whose session it is, is decided by name, registration, scope, customer and the extra parameters alone."""
    acme = OAuth2(**GOOD[OAuth2], authorize_url="https://a.example.com/authorize", extra={"audience": "x"})
    changes = [
        {"lifetime": 60.0},
        {"rotation": RotationProfile(rotates=False)},
        {"client_auth": "basic"},
        {"client_secret": "another"},
        {"pkce": False},
        {"issuer": "https://a.example.com"},
        {"api_url": "https://api.example.com"},
        {"revoke_url": "https://a.example.com/revoke"},
    ]
    assert {token_keys(attrs.evolve(acme, **change), "a") for change in changes} == {token_keys(acme, "a")}
    assert token_keys(attrs.evolve(SAGE, regions=["ca-prod"]), "a") == token_keys(SAGE, "a")
    assert token_keys(attrs.evolve(LINKKIT, pkce=True), "a") == token_keys(LINKKIT, "a")


def test_the_same_parameters_in_another_place():
    """``extra`` and ``authorize_extra`` are two things, and so are a name and a value that hold the sign between them."""
    both = {"extra": {"a": "1"}, "authorize_extra": {"a": "1"}}
    kinds = [both, {"extra": {"a": "1"}}, {"authorize_extra": {"a": "1"}}]
    kinds += [{"extra": {"a": "b=c"}}, {"extra": {"a=b": "c"}}, {"extra": {"a": "b", "c": "d"}}]
    kinds += [
        {"extra": {"a": "b"}, "authorize_extra": {"c": "d"}},
        {"extra": {"c": "d"}, "authorize_extra": {"a": "b"}},
    ]
    kinds += [{"extra": {"x": "0 extra"}}, {"authorize_extra": {"1 extra": "x"}}]
    assert len({token_key(attrs.evolve(OTHER, **kind), "a") for kind in kinds}) == len(kinds)


def test_other_registration_other_identity():
    """Vendor, client, customer, scope, endpoint and extra parameters each make another credential."""
    others = [
        attrs.evolve(SAGE, customer="https://other"),
        attrs.evolve(SAGE, scope="api.graphQL"),
        attrs.evolve(SAGE, client_id="other"),
        attrs.evolve(SAGE, base_url="https://api.us-prod-sagex3.com/v1"),
        attrs.evolve(MACHINE, scope="x"),
        attrs.evolve(MACHINE, extra={"audience": "x"}),
        attrs.evolve(OTHER, authorize_extra={"prompt": "x"}),
        SAGE,
        MACHINE,
        OTHER,
    ]
    assert len({(vendor.name, vendor.identity()) for vendor in others}) == len(others)
