"""Which proxy a request goes through: what the argument and the environment say, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from linkauth import AuthEngine, OAuth2
from linkauth.errors import ConfigurationError
from linkauth.oauth.token import Secret, SecretStr
from linkauth.transport import Proxies, masked
from linkauth.transport.proxies import Proxy

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
PROXY = "http://proxy.corp:3128"
AWAY = "https://api.vendor.example/oauth/token"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that says nothing of proxies, to be filled."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def fill(**values: str) -> Proxies:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return Proxies.chosen(None, trust_env=True)

    return fill


def way(proxies: Proxies, url: str = AWAY) -> str | None:
    found = proxies.to(url)
    return None if found is None else found.url


def test_no_proxy_unless_told():
    """Without an argument the environment is not looked at."""
    assert way(Proxies.chosen(None, trust_env=False)) is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_environment_names_one(environment, name):
    """``HTTPS_PROXY`` in either case; without a scheme it is http, as curl takes it."""
    assert way(environment(**{name: PROXY})) == PROXY
    assert way(environment(**{name: "proxy.corp:3128"})) == PROXY


def test_small_letters_go_first(environment):
    """As in ``urllib.request``: and set to nothing they say no."""
    assert way(environment(HTTPS_PROXY="http://other:1", https_proxy=PROXY)) == PROXY
    assert way(environment(HTTPS_PROXY=PROXY, https_proxy="")) is None


def test_other_variables_are_not_read(environment):
    """``HTTP_PROXY`` is for what is not https, which goes through no proxy; ``ALL_PROXY`` neither urllib nor aiohttp reads."""
    assert way(environment(HTTP_PROXY=PROXY, http_proxy=PROXY, ALL_PROXY="socks5://p:1", all_proxy=PROXY)) is None


def test_it_is_read_once(environment, monkeypatch):
    """When the engine is made: a request's way does not depend on who changed the environment since."""
    proxies = environment(HTTPS_PROXY=PROXY)
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    monkeypatch.setenv("NO_PROXY", "*")
    assert way(proxies) == PROXY


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", AWAY, True),
        ("other.example, *", AWAY, True),
        ("vendor.example", AWAY, True),
        (".vendor.example", AWAY, True),
        ("VENDOR.example", AWAY, True),
        ("*.vendor.example", AWAY, True),
        ("*.endor.example", AWAY, False),
        ("*.", AWAY, False),
        ("a.example,api.vendor.example", AWAY, True),
        ("a.example api.vendor.example", AWAY, True),
        ("endor.example", AWAY, False),
        ("api.vendor.example.org", AWAY, False),
        ("example.com,,", AWAY, False),
        (".", AWAY, False),
        ("", AWAY, False),
        ("api.vendor.example:443", AWAY, True),
        ("api.vendor.example:8443", AWAY, False),
        ("vendor.example:8443", "https://api.vendor.example:8443/", True),
        ("10.1.2.3", "https://10.1.2.3/", True),
        ("10.1.2.3:443", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.0.0.0/8", "https://10.example/", False),
        ("fd00::/8", "https://[fd00::1]:8443/", True),
        ("fd00::1", "https://[fd00::1]:8443/", True),
        ("[fd00::1]", "https://[fd00::1]:8443/", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443/", True),
        ("[fd00::1]:443", "https://[fd00::1]:8443/", False),
        ("fd00::2", "https://[fd00::1]/", False),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_names_hosts_that_are_reached_directly(environment, name, no_proxy, url, direct):
    """A name and what is below it, a port, an address, a network, or all."""
    assert (way(environment(**{"HTTPS_PROXY": PROXY, name: no_proxy}), url) is None) is direct


def test_an_argument_goes_before_the_environment(environment):
    """As in aiohttp: a proxy that was given is the proxy, and ``NO_PROXY`` speaks of the environment's."""
    environment(HTTPS_PROXY="http://other:1", NO_PROXY="*")
    assert way(Proxies.chosen(masked(PROXY), trust_env=True)) == PROXY


@pytest.mark.parametrize(
    "url",
    ["https://localhost:8443/", "https://127.0.0.2/", "https://[::1]/", "http://localhost/"],
)
def test_what_goes_to_this_machine_goes_there_directly(environment, url):
    """Whoever named the proxy: the proxy's own loopback is another machine's."""
    assert way(Proxies.chosen(masked(PROXY), trust_env=False), url) is None
    assert way(environment(HTTPS_PROXY=PROXY), url) is None


def test_only_https_goes_through_a_proxy():
    """In clear the proxy would read the secret."""
    assert way(Proxies.chosen(masked(PROXY), trust_env=False), "http://vendor.example/") is None


@pytest.mark.parametrize(
    ("given", "url", "login"),
    [
        ("http://proxy.corp", "http://proxy.corp:80", ""),
        ("https://proxy.corp/", "https://proxy.corp:443", ""),
        ("HTTP://Proxy.Corp:3128", "http://proxy.corp:3128", ""),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128", ""),
        ("http://user:canary@proxy:1", "http://proxy:1", "Basic dXNlcjpjYW5hcnk="),
        ("http://user@proxy:1", "http://proxy:1", "Basic dXNlcjo="),
        ("http://@proxy:1", "http://proxy:1", ""),
        ("http://:@proxy:1", "http://proxy:1", ""),
        ("http://us%3Cer:c%40n%3Ary@proxy:1", "http://proxy:1", "Basic dXM8ZXI6Y0BuOnJ5"),
        ("http://u:100%@proxy:1", "http://proxy:1", "Basic dToxMDAl"),
        ("http://u:a+b@proxy:1", "http://proxy:1", "Basic dTphK2I="),
        ("http://u:p%C3%BC@proxy:1", "http://proxy:1", "Basic dTpww7w="),
        ("user:canary@proxy:1", "http://proxy:1", "Basic dXNlcjpjYW5hcnk="),
    ],
)
def test_a_proxys_url(given, url, login):
    """Scheme, host and port; user and password percent-decoded, and out of the URL."""
    for form in (given, URL(given) if "://" in given else given, Secret(given)):
        found = Proxies.chosen(masked(form), trust_env=False).proxy
        assert (found.url, str(found.login)) == (url, login)
        assert "canary" not in f"{found!r} {found}"
        assert not login or login[6:] not in f"{found!r} {found}"


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "http://",
        "socks5://proxy:1080",
        "ftp://proxy",
        "http://canary:canary@proxy:canary",
        "http://canary:canary@proxy:0",
        "http://canary:canary@proxy:99999",
        "http://canary:can/ary@proxy:1",
        "http://canary:can#ary@proxy:1",
        "http://canary:can?ary@proxy:1",
        "http://proxy:1/path",
        "http://proxy:1?",
        "http://us%3Aer:canary@proxy:1",
        "http://user:can%0Aary@proxy:1",
        "http://user:can%00ary@proxy:1",
        "http://pro xy:1",
        "http://pröxy:1",
        "http://[::1:1",
        "http://fd00::1:3128",
        "http://proxy%2ecorp:1",
        5,
        b"http://proxy:1",
    ],
)
def test_what_is_no_proxys_url_is_refused_when_the_engine_is_made(monkeypatch, given):
    """From an argument or the environment, in words that show nothing of it."""

    def make(**how: object) -> None:
        with pytest.raises(ConfigurationError, match=r"(?i)proxy: ") as caught:
            AuthEngine(**how)
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None

    make(proxy=given)
    if isinstance(given, str) and given.strip():
        monkeypatch.setenv("HTTPS_PROXY", given)
        make(trust_env=True)


async def test_discovery_refuses_the_same():
    """Before anything is looked up."""
    for how in ({"proxy": "socks5://proxy:1"}, {"ssl": False}):
        with pytest.raises(ConfigurationError, match=next(iter(how))):
            await OAuth2.discover("https://vendor.example", client_id="c", **how)


SCRAPS = st.lists(
    st.sampled_from(
        ["http", "https", "://", "@", ":", "/", "[", "]", "::1", "%", "%0a", "proxy", "1", "0", ",", " ", "*"]
    )
    | st.text(max_size=3),
    max_size=8,
).map("".join)


@given(SCRAPS, SCRAPS)
def test_whatever_is_given_is_read_or_refused(proxy, no_proxy):
    """Any text at all is a proxy's URL or a ``ConfigurationError``; any ``no_proxy`` says yes or no of any host."""
    with contextlib.suppress(ConfigurationError):
        found = Proxies.chosen(Secret(proxy), trust_env=False).proxy
        assert URL(found.url).port == int(found.place.rpartition(":")[2])
    bypassed = Proxies(Proxy("http", "proxy:1", SecretStr("")), tuple(no_proxy.lower().split()))
    for url in (AWAY, "https://10.1.2.3/", "https://[fd00::1]:8443/"):
        assert bypassed.to(url) in {None, bypassed.proxy}
