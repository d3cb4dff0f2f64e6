"""Sage X3: where the client secret may go."""

from __future__ import annotations

import attrs
import pytest

from linkauth.errors import AuthorizationPending, ConfigurationError, UntrustedEndpoint
from linkauth.testing import play
from linkauth.vendors import SageX3
from tests.vendors.vendor_answers import (
    BY_NAME,
    CURRENT,
    LINKKIT,
    LINKXG,
    OTHER,
    PENDING,
    ROOT,
    SAGE,
    USER,
    answer,
    nothing_sent,
)

ATTACKS = {
    "a domain that anybody can register": "https://api.evil-sagex3.com/v1",
    "a region that is not listed": "https://api.customerregion-sagex3.com/v1",
    "another version of a listed one": "https://api.us-prod-sagex3.com/v2",
    "a longer path": "https://api.us-prod-sagex3.com/v1evil",
    "an attacker's host": "https://evil.example.com/v1",
    "http": "http://api.eu-prod-sagex3.com/v1",
    "no scheme": "api.us-prod-sagex3.com/v1",
    "another scheme": "ftp://api.us-prod-sagex3.com/v1",
    "scheme-relative": "//api.us-prod-sagex3.com/v1",
    "upper-case scheme": "HTTPS://api.us-prod-sagex3.com/v1",
    "an IPv4 address": "https://203.0.113.9/v1",
    "an IPv4 address as a number": "https://3405803785/v1",
    "an IPv6 address": "https://[2001:db8::1]/v1",
    "loopback": "https://127.0.0.1/v1",
    "localhost": "http://localhost:8080/v1",
    "userinfo": "https://api.us-prod-sagex3.com@evil.example.com/v1",
    "userinfo before the right host": "https://evil@api.us-prod-sagex3.com/v1",
    "userinfo with a password": "https://api.us-prod-sagex3.com:443@evil.example.com/v1",
    "another port": "https://api.us-prod-sagex3.com:8443/v1",
    "another port at home": "https://api.eu-prod-sagex3.com:8443/v1",
    "port 443 spelt out": "https://api.us-prod-sagex3.com:443/v1",
    "port 0443": "https://api.us-prod-sagex3.com:0443/v1",
    "an empty port": "https://api.us-prod-sagex3.com:/v1",
    "a port that is none": "https://api.us-prod-sagex3.com:evil/v1",
    "a dot at the end": "https://api.us-prod-sagex3.com./v1",
    "a dot at the end at home": "https://api.eu-prod-sagex3.com./v1",
    "upper case": "https://API.US-PROD-SAGEX3.COM/v1",
    "upper case at home": "https://api.EU-prod-sagex3.com/v1",
    "punycode": "https://api.xn--us-prod-sagex3-abc-sagex3.com/v1",
    "punycode of the whole": "https://api.xn--sgex3-2ta-sagex3.com/v1",
    "a Cyrillic a": "https://\u0430pi.us-prod-sagex3.com/v1",
    "a Cyrillic e": "https://api.us-prod-sag\u0435x3.com/v1",
    "a full-width dot": "https://api\uff0eus-prod-sagex3.com/v1",
    "an ideographic full stop": "https://evil.com\u3002us-prod-sagex3.com/v1",
    "a Kelvin sign": "https://api.\u212a-sagex3.com/v1",
    "a digit of another script": "https://api.\u0661-sagex3.com/v1",
    "a soft hyphen": "https://api.us\u00ad-sagex3.com/v1",
    "two labels for the *": "https://api.evil.us-prod-sagex3.com/v1",
    "no label for the *": "https://api.-sagex3.com/v1",
    "no api": "https://us-prod-sagex3.com/v1",
    "a host before": "https://evil.api.us-prod-sagex3.com/v1",
    "a host behind": "https://api.us-prod-sagex3.com.evil.example.com/v1",
    "glued in front": "https://evilapi.us-prod-sagex3.com/v1",
    "another domain": "https://api.us-prod-evilsagex3.com/v1",
    "another top level": "https://api.us-prod-sagex3.co/v1",
    "the bare domain": "https://api.sagex3.com/v1",
    "a label too long": f"https://api.{'a' * 64}-sagex3.com/v1",
    "a query": "https://api.us-prod-sagex3.com/v1?x=1",
    "an empty query": "https://api.us-prod-sagex3.com/v1?",
    "a fragment": "https://api.us-prod-sagex3.com/v1#x",
    "a fragment for a host": "https://evil.example.com#.us-prod-sagex3.com/v1",
    "a backslash": "https://evil.example.com\\.us-prod-sagex3.com/v1",
    "a backslash before at": "https://evil.example.com\\@api.us-prod-sagex3.com/v1",
    "an encoded dot": "https://api%2eus-prod-sagex3.com/v1",
    "an encoded slash": "https://evil.example.com%2f.us-prod-sagex3.com/v1",
    "another path": "https://api.us-prod-sagex3.com/evil",
    "a path below": "https://api.us-prod-sagex3.com/v1/evil",
    "dots in the path": "https://api.us-prod-sagex3.com/v1/../evil",
    "no path": "https://api.us-prod-sagex3.com",
    "two slashes": "https://api.us-prod-sagex3.com/v1//",
    "a line break behind": "https://api.us-prod-sagex3.com/v1\n",
    "a tab inside": "https://evil.example.com\t.us-prod-sagex3.com/v1",
    "a null": "https://api.us-prod-sagex3.com/v1\0",
    "a right-to-left override": "https://api.us-prod-sagex3.com/\u202ev1",
    "half a surrogate pair": "https://api.us\ud800-sagex3.com/v1",
    "far too long": "https://api." + "a" * 1_000_000 + "-sagex3.com/v1",
    "white space before": " https://api.us-prod-sagex3.com/v1",
    "white space behind": "https://api.us-prod-sagex3.com/v1 ",
    "a javascript URL": "javascript:alert(1)//api.us-prod-sagex3.com/v1",
}
CODE = {"authorizationCode": "c", "state": "s"}


@pytest.mark.parametrize("endpoint", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_endpoint_that_is_not_sages(endpoint):
    """Refused before anything is sent; the same pairing still completes with a proper callback."""
    error = nothing_sent(SAGE.exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint)
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert play(SAGE.exchange(CODE, PENDING), BY_NAME["sage-exchange"].ok())[0].access_token == "at-2"


@pytest.mark.parametrize("endpoint", [["https://api.us-prod-sagex3.com/v1"], 5, True, {"a": 1}, b"https://x"], ids=str)
def test_an_endpoint_that_is_no_text(endpoint):
    """More than one, or another JSON type: nothing sent."""
    nothing_sent(SAGE.exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint)


def test_a_stored_endpoint_is_looked_at_again():
    """Whoever can write to the store does not learn the client secret by it."""
    for endpoint in ATTACKS.values():
        nothing_sent(SAGE.renew(attrs.evolve(CURRENT, endpoint=endpoint)), UntrustedEndpoint)


def test_a_session_that_comes_in_is_where_a_callback_may_lead():
    """A listed region is kept in its one spelling, the configured root is no endpoint, and elsewhere the secret does not go."""
    region = "https://api.us-prod-sagex3.com/v1"
    for endpoint, kept in {f"{region}/": region, f"{ROOT}/": None, None: None}.items():
        token = SAGE.adopted(attrs.evolve(CURRENT, endpoint=endpoint, refresh_expires_at=None))
        assert (token.endpoint, token.refresh_expires_at) == (kept, CURRENT.issued_at + 31 * 86_400)
    for endpoint in ATTACKS.values():
        with pytest.raises(UntrustedEndpoint):
            SAGE.adopted(attrs.evolve(CURRENT, endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ["https://api.us-prod-sagex3.com/v1", "https://api.us-prod-sagex3.com/v1/"])
def test_another_region(endpoint):
    """A region that the app has listed is where the secret goes, from the exchange on."""
    token, (request,) = play(SAGE.exchange({**CODE, "endpoint": endpoint}, PENDING), BY_NAME["sage-exchange"].ok())
    root = endpoint.removesuffix("/")
    assert (request.url, token.endpoint, SAGE.api(token)) == (f"{root}/token", root, root)


def test_a_region_by_name_or_by_root():
    """Either way it is that one root that is believed, in its one spelling; a list is kept as a tuple."""
    ours = "https://x3.proxy.example.com:8443/sage/v1"
    listed = attrs.evolve(SAGE, regions=["eu-prod", "HTTPS://X3.proxy.example.com:8443/sage/v1/"])
    assert listed.regions == ("eu-prod", ours)
    assert next(listed.exchange({**CODE, "endpoint": ours}, PENDING)).url == f"{ours}/token"
    for endpoint in ("https://api.us-prod-sagex3.com/v1", "https://x3.proxy.example.com:8443/sage/v2"):
        nothing_sent(listed.exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint)


@pytest.mark.parametrize(
    "regions",
    [
        "us-prod",
        b"us-prod",
        None,
        5,
        {"us-prod": 1},
        [""],
        [5],
        [None],
        ["US-prod"],
        ["us.prod"],
        ["us-prod.evil"],
        ["-us"],
        ["us-"],
        ["a" * 57],
        ["us/prod"],
        ["us\n"],
        ["http://evil.example.com/v1"],
        ["//evil.example.com/v1"],
    ],
    ids=str,
)
def test_regions_that_are_none(regions):
    """A bare text, what is no name, and a root that no secret may go to: said when the vendor is made."""
    with pytest.raises(ConfigurationError):
        attrs.evolve(SAGE, regions=regions)


def test_the_error_says_what_to_add():
    """Whoever reads it knows the argument, and the root that was named."""
    endpoint = "https://api.ca-prod-sagex3.com/v1"
    error = nothing_sent(SAGE.exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint)
    assert "regions=" in str(error)
    assert endpoint in str(error)


def test_calls_go_to_no_endpoint_that_is_not_believed():
    """Whoever can write to the store does not learn the access token by it."""
    for endpoint in ATTACKS.values():
        with pytest.raises(UntrustedEndpoint):
            SAGE.api(attrs.evolve(CURRENT, endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ["", ROOT, ROOT + "/"])
def test_the_region_that_was_configured(endpoint):
    """No endpoint, or one's own: the token has none of its own."""
    token, (request,) = play(SAGE.exchange({**CODE, "endpoint": endpoint}, PENDING), BY_NAME["sage-exchange"].ok())
    assert (request.url, token.endpoint, SAGE.api(token)) == (f"{ROOT}/token", None, ROOT)


def _rooted(url):
    return SageX3(client_id="c", client_secret="s", base_url=url, customer="https://x3.customer.com")


@pytest.mark.parametrize("root", ["http://127.0.0.1:8080/v1", "http://localhost:8080/v1", "http://[::1]:8080/v1"])
def test_a_sandbox_on_this_machine(root):
    """Where the configured root is on this machine, and only then, so may the endpoint be: by its scheme and host name."""
    ours = root.removesuffix(":8080/v1")
    for endpoint in (f"{ours}:9999/other/v1", f"{ours}/v1", f"{ours}:8080"):
        assert next(_rooted(root).exchange({**CODE, "endpoint": endpoint}, PENDING)).url == f"{endpoint}/token"
        nothing_sent(SAGE.exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint)
    others = {"http://127.0.0.1:1/v1", "http://127.0.0.2:1/v1", "http://localhost:1/v1", "http://[::1]:1/v1"}
    for endpoint in {*others, ours.replace("http", "https") + ":1/v1"} - {f"{ours}:1/v1"}:
        nothing_sent(_rooted(root).exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://evil.example.com/v1",
        "https://evil.example.com/v1",
        "http://127.0.0.1@evil.example.com/v1",
        "http://user@127.0.0.1/v1",
        "http://127.0.0.1.evil.example.com/v1",
        "http://2130706433/v1",
        "http://LOCALHOST/v1",
        "http://localhost./v1",
        "http://localhost/v1?x",
        "http://localhost:99999/v1",
        "http://x.localhost/v1",
        "http://127.0.0.1:80/v1",
        "http://127.0.0.1:1/../v1",
        "http://127.0.0.1:1/%2e%2e/v1",
    ],
)
def test_a_sandbox_trusts_nobody_else(endpoint):
    """A root on this machine opens no door to other machines."""
    nothing_sent(
        _rooted("http://127.0.0.1:8080/v1").exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint
    )


def test_a_root_of_ones_own():
    """Behind a proxy the root's own origin and path are trusted, another port or path of it is not."""
    proxied = _rooted("https://x3.proxy.example.com:8443/sage/v1")
    own = {**CODE, "endpoint": "https://x3.proxy.example.com:8443/sage/v1/"}
    assert next(proxied.exchange(own, PENDING)).url == "https://x3.proxy.example.com:8443/sage/v1/token"
    for endpoint in ("https://x3.proxy.example.com/sage/v1", "https://x3.proxy.example.com:8443/v1"):
        nothing_sent(proxied.exchange({**CODE, "endpoint": endpoint}, PENDING), UntrustedEndpoint)


def test_a_pairing_that_is_not_accepted_yet():
    """The exchange of a code before the user has answered: ask again later."""
    with pytest.raises(AuthorizationPending):
        play(SAGE.exchange(CODE, PENDING), answer({"message": "The pairing request has not been accepted."}, 403))


def test_the_refusal_goes_before_the_endpoint():
    """A refused pairing is refused, whatever endpoint it names."""
    params = {"error": "access_denied", "endpoint": "https://evil.example.com"}
    assert "access_denied" in str(nothing_sent(SAGE.exchange(params, PENDING), Exception))


def test_a_salvaged_answer_keeps_its_endpoint():
    """A broken answer from another region: its refresh token is good there only."""
    region = "https://api.us-prod-sagex3.com/v1"
    case = attrs.evolve(BY_NAME["sage-exchange"], given=({**CODE, "endpoint": region}, PENDING))
    assert case.outcome(case.ok(access_token=None)).salvage.endpoint == region
    renewing = attrs.evolve(BY_NAME["sage-renew"], given=(attrs.evolve(CURRENT, endpoint=region),))
    assert renewing.outcome(renewing.ok(access_token=None)).salvage.endpoint == region


def test_which_origins_its_token_may_be_for():
    """The configured root's and those of the listed regions; on this machine any port of the root's host."""
    assert SAGE.may_serve(("https", "api.eu-prod-sagex3.com", 443))
    assert SAGE.may_serve(("https", "api.us-prod-sagex3.com", 443))
    for scheme, host, port in [
        ("https", "api.ca-prod-sagex3.com", 443),
        ("https", "api.us-prod-sagex3.com", 8443),
        ("http", "api.us-prod-sagex3.com", 443),
        ("http", "127.0.0.1", 80),
    ]:
        assert not SAGE.may_serve((scheme, host, port))
    here = _rooted("http://127.0.0.1:8080/v1")
    assert here.may_serve(("http", "127.0.0.1", 9999))
    assert not here.may_serve(("https", "127.0.0.1", 8080))
    assert not here.may_serve(("http", "localhost", 8080))


def test_its_callback_is_posted_by_another_site():
    """So whoever takes callbacks takes this one without the app's own cookies; the other vendors' come by GET."""
    assert SAGE.posts_callback
    assert not any(vendor.posts_callback for vendor in (LINKXG, USER, LINKKIT, OTHER))
