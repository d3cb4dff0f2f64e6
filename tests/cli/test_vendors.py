"""Vendors by name on the command line: linkauth's own and somebody else's come in by the same door, then the catalogue."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.vendors.catalog import ENTRIES
from tests.cli.conftest import Vendors, install, run

if TYPE_CHECKING:
    from pathlib import Path

ACME = """
from linkauth import OAuth2

def acme(*, client_id, client_secret, shop, scope="read", base_url):
    return OAuth2(
        name="acme", client_id=client_id, client_secret=client_secret, scope=scope,
        token_url=f"{base_url}/oauth/token", api_url=base_url, extra={"shop": shop},
    )
"""


def test_the_built_in_vendors_plug_in_by_the_common_door() -> None:
    """Every vendor that linkauth ships is an entry point of ``linkauth.vendors``, and each can be loaded."""
    ours = {point.name: point for point in entry_points(group="linkauth.vendors")}
    assert set(ours) >= {"linkxg", "linkxg-user", "linkkit", "sagex3", "oauth2"}
    for point in ours.values():
        assert callable(point.load())


@pytest.mark.parametrize("typed", ["acme", "ACME"])
def test_somebodys_own_vendor_connects(here: Any, vendors: Vendors, store: str, site: Path, typed: str) -> None:
    """Installed is enough: options by name, what is its own by ``--set``, the secret from the environment."""
    install(site, ACME)
    xg = vendors.at["linkxg"]
    how = [typed, "--store", store, "--client-id", xg["client_id"], "--base-url", xg["base_url"], "--set", "shop=1"]
    assert here("connect", *how, "--scope", "products:read", **vendors.secrets("linkxg")).well() == (
        "Connected: acme/default\n"
    )
    told = here("token", *how, "--scope", "products:read", **vendors.secrets("linkxg")).well()
    assert "products:read" in told


def test_somebodys_own_vendor_in_a_process(vendors: Vendors, store: str, site: Path) -> None:
    """As at a terminal, where nothing is imported yet."""
    install(site, ACME)
    xg = vendors.at["linkxg"]
    how = ["acme", "--store", store, "--client-id", xg["client_id"], "--base-url", xg["base_url"], "--set", "shop=1"]
    path = {"PYTHONPATH": str(site)}
    ended = run("token", *how, "--scope", "products:read", **vendors.secrets("linkxg"), **path)
    assert "valid until" in ended.well()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "acme: give --client-id or set $LINKAUTH_CLIENT_ID"),
        (["--client-id", "c"], "acme: give --base-url"),
        (["--client-id", "c", "--base-url", "https://a.example"], "acme: give --set shop=…"),
        (["--client-id", "c", "--set", "shap=1"], "acme: --set shap=… is nothing that it takes"),
        (["--client-id", "c", "--set", "shop"], "--set: NAME=VALUE is needed"),
    ],
)
def test_what_a_vendor_lacks_is_told(here: Any, site: Path, more: list[str], words: str) -> None:
    """By its own signature, before anybody is asked for a secret."""
    install(site, ACME)
    here("token", "acme", "--store", "memory:", *more).badly(words, "Who has to act: you.")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_package.client\n", "the vendor for 'acme' needs no_such_package: install it"),
        ("acme = 42\n", "the vendor for 'acme' of acme-linkauth is no callable"),
        ("raise ValueError('no licence')\n", "cannot be loaded from acme-linkauth"),
    ],
)
def test_a_vendor_that_cannot_be_loaded_is_named(here: Any, site: Path, code: str, words: str) -> None:
    """With the distribution that it came from."""
    install(site, code)
    here("token", "acme", "--store", "memory:", "--client-id", "c").badly(words)


def test_a_name_that_two_offer_is_refused(here: Any, site: Path) -> None:
    """Which comes first hangs on the order of folders; linkauth's own is one of the two."""
    install(site, ACME, name="linkkit")
    said = here("token", "linkkit", "--store", "memory:", "--client-id", "c").badly("several vendors are installed")
    assert "acme-linkauth, linkauth" in said


def test_a_vendor_that_takes_any_argument(here: Any, vendors: Vendors, store: str, site: Path) -> None:
    """``**registration``: it is given all that was said."""
    install(site, "from linkauth import LinkXG\n\ndef acme(**given):\n    return LinkXG(**given)\n")
    xg = vendors.at["linkxg"]
    how = ["acme", "--store", store, "--client-id", xg["client_id"], "--base-url", xg["base_url"]]
    assert here("connect", *how, **vendors.secrets("linkxg")).well() == "Connected: linkxg/default\n"


def test_a_vendor_that_does_not_take_what_was_given(here: Any, site: Path) -> None:
    """A sentence with the names of what was given, and no value."""
    install(site, "from linkauth import LinkXG\n\ndef acme(**given):\n    return LinkXG(**given)\n")
    how = ["acme", "--store", "memory:", "--client-id", "c", "--customer", "on-the-command-line"]
    said = here("token", *how, LINKAUTH_CLIENT_SECRET="canary").badly(
        "acme: it cannot be made of client_id, client_secret, customer"
    )
    assert "on-the-command-line" not in said


def test_a_tenants_vendor_of_the_catalogue(here: Any, store: str) -> None:
    """What varies is set by name, and told where it is missing or cannot be one."""
    how = ["connect", "shopify", "--store", store, "--client-id", "c", "--redirect-uri", "https://app.example/back"]
    ended = here(*how, "--set", "shop=acme", LINKAUTH_CLIENT_SECRET="s")
    assert "https://acme.myshopify.com/admin/oauth/authorize?" in ended.out
    here(*how, LINKAUTH_CLIENT_SECRET="s").badly("shopify: give --set shop=…")
    here(*how, "--set", "shop=evil.example/", LINKAUTH_CLIENT_SECRET="s").badly("shopify: shop= is the shop's name")


@pytest.mark.parametrize("own", ["client_secret=on-the-command-line", "api_key=on-the-command-line"])
def test_a_secret_is_not_set_on_the_command_line(here: Any, site: Path, own: str) -> None:
    """Whatever its vendor calls it, and it is not repeated."""
    install(site, ACME)
    said = here("token", "acme", "--store", "memory:", "--client-id", "c", "--set", own).badly("no secret belongs on")
    assert "on-the-command-line" not in said


@pytest.mark.parametrize("name", ["slack", "Slack"])
def test_what_is_installed_goes_before_the_catalogue(here: Any, site: Path, name: str) -> None:
    """Whoever wrote a vendor of that name knows better, however it is spelt."""
    install(site, "acme = 42\n", name=name)
    here("token", "slack", "--store", "memory:", "--client-id", "c").badly("the vendor for 'slack' of acme-linkauth")
    (line,) = [line for line in here("vendors").well().splitlines() if line.startswith("slack ")]
    assert line.split() == ["slack", "installed"]


def test_a_vendor_of_the_catalogue_by_its_name(here: Any, store: str) -> None:
    """Its page is where the user is sent; nothing but the client is to be given."""
    how = ["connect", "slack", "--store", store, "--client-id", "c", "--redirect-uri", "https://app.example/back"]
    ended = here(*how, LINKAUTH_CLIENT_SECRET="s")
    ended.badly("nobody is there to be asked")
    assert "https://slack.com/oauth/v2/authorize?" in ended.out


def test_all_that_can_be_named_is_listed(here: Any, site: Path) -> None:
    """What is installed, somebody's own too, then the catalogue with the page that each entry is from."""
    install(site, ACME)
    lines = here("vendors").well().splitlines()
    assert [line.split()[0] for line in lines] == [
        *["acme", "linkkit", "linkxg", "linkxg-user", "oauth2", "sagex3"], *ENTRIES,
    ]  # fmt: skip
    for line in lines[6:]:
        assert ENTRIES[line.split()[0]].page in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shopify", "--set shop=… (the shop's name, as in NAME.myshopify.com)  "),
        ("gitlab", "--set base=… (GitLab's own URL, where it is not gitlab.com; default https://gitlab.com)  "),
        (
            "paypal",
            "(live or sandbox: api-m.paypal.com, api-m.sandbox.paypal.com; default api-m.paypal.com)  ",
        ),
    ],
)
def test_what_is_each_tenants_own_is_told(here: Any, name: str, words: str) -> None:
    """What may be given, what has to be, and where there are few of them, which."""
    (line,) = [line for line in here("vendors").well().splitlines() if line.split()[0] == name]
    assert words in line


@pytest.mark.parametrize(("typed", "close"), [("slakc", "slack"), ("linkxgg", "linkxg"), ("acne", "acme")])
def test_a_slip_of_the_pen(here: Any, site: Path, typed: str, close: str) -> None:
    """Status 2, and what may have been meant."""
    install(site, ACME)
    ended = here("token", typed)
    assert ended.status == 2
    assert f"no vendor '{typed}' is known; close are: {close}" in ended.err
