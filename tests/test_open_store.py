"""``open_store``: URLs lead to stores, whoever wrote them, and mistakes are told without showing the URL."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import ConfigurationError
from linkauth.store import TokenStore, open_store
from linkauth_stores.file import FileStore
from linkauth_stores.memory import MemoryStore
from tests import packages

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place in which distributions can be pretended to be installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, scheme: str, target: str, code: str, name: str = "") -> None:
    module = target.partition(":")[0]
    packages.install(site, f"{name or scheme}-store", {"linkauth.stores": {scheme: target}}, {f"{module}.py": code})


def test_the_stores_that_come_with_linkauth_are_found() -> None:
    """By the same door as anybody's."""
    assert isinstance(open_store("memory:"), MemoryStore)
    assert isinstance(open_store("file:~/.linkauth"), FileStore)
    assert isinstance(open_store("file:///var/lib/linkauth"), TokenStore)


def test_a_third_partys_store_is_found(site: Path) -> None:
    """An entry point in somebody's distribution is enough; its callable gets the URL as it is."""
    install(site, "mine", "mine_store:opened", "def opened(url):\n    return ['opened', url]\n")
    assert open_store(f"mine://user:{SECRET}@host/0") == ["opened", f"mine://user:{SECRET}@host/0"]


@pytest.mark.parametrize(
    "url",
    [
        f"rediz://user:{SECRET}@host/0",
        f"//user:{SECRET}@host/0",
        f"redis//user:{SECRET}@host/0",
        f":{SECRET}@host",
        SECRET,
        "",
        f"redis://user:{SECRET}@[::1/0",
        f"redis://user:{SECRET}@[x]/0",
        f"redis://user:{SECRET}\u2100@host/0",
    ],
)
def test_a_url_that_leads_nowhere_is_not_shown(url: str) -> None:
    """An unknown scheme, none, or what no URL looks like: the caller is told, without the password."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert caught.value.who == "you"
    told = repr(caught.value) + repr(caught.value.__cause__) + repr(vars(caught.value))
    assert SECRET not in told


def test_an_unknown_scheme_is_told_the_known_ones() -> None:
    """The message helps with a slip of the pen."""
    with pytest.raises(ConfigurationError, match=r"'rediz'.*file, memory.*redis"):
        open_store("rediz://host")


def test_redis_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed linkauth alone learns which command is missing."""
    for name in [name for name in sys.modules if name.startswith(("linkauth_stores.redis", "redis"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"needs redis.*pip install 'linkauth\[redis\]'"):
        open_store(f"redis://user:{SECRET}@host/0")


def test_what_a_third_partys_store_needs_is_named(site: Path) -> None:
    """A package that is missing is named, and nobody is sent to linkauth's extras for it."""
    install(site, "odd", "odd_store:opened", "import no_such_package.client\n")
    with pytest.raises(ConfigurationError, match="'odd' needs no_such_package: install it") as caught:
        open_store(f"odd://user:{SECRET}@host/0")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("scheme", ["mine", "memory"])
def test_a_scheme_that_two_distributions_offer_is_refused(site: Path, scheme: str) -> None:
    """Which comes first hangs on the order of folders: both are named, linkauth's own too, and neither is opened."""
    names = {"first-store", "second-store"} if scheme == "mine" else {"first-store", "linkauth"}
    install(site, scheme, "first_store:opened", "opened = list\n", name="first")
    if scheme == "mine":
        install(site, scheme, "second_store:opened", "opened = list\n", name="second")
    with pytest.raises(ConfigurationError, match=f"'{scheme}'") as caught:
        open_store(f"{scheme}://user:{SECRET}@host/0")
    assert all(name in str(caught.value) for name in names)
    assert SECRET not in str(caught.value)
    assert isinstance(open_store("file:tokens"), FileStore), "the others are as they were"


def test_the_same_distribution_in_two_folders_is_one(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's folder before the system's, or a clone on PYTHONPATH before what is installed: the first is meant."""
    later = tmp_path / "later"
    later.mkdir()
    install(site, "mine", "only_store:opened", "opened = list\n")
    install(later, "mine", "only_store:opened", "raise SystemExit\n")
    monkeypatch.syspath_prepend(later)
    monkeypatch.syspath_prepend(site)
    assert open_store("mine:") == list("mine:")


@pytest.mark.parametrize("scheme", ["MINE", "Mine"])
@pytest.mark.parametrize("named", ["mine", "MINE"])
def test_a_scheme_is_the_same_in_upper_case(site: Path, scheme: str, named: str) -> None:
    """As RFC 3986 has it, section 3.1; the store need not know, for it is given lower case."""
    install(site, named, f"{named}_{scheme}:opened", "def opened(url):\n    return ['opened', url]\n")
    assert open_store(f"{scheme}://User@Host/0") == ["opened", "mine://User@Host/0"]


@pytest.mark.parametrize("url", ["MEMORY:", "File:~/.linkauth", "FILE:///var/lib/linkauth", "Redis://localhost"])
def test_the_stores_that_come_with_linkauth_take_upper_case(url: str) -> None:
    """Each of them."""
    assert isinstance(open_store(url), TokenStore)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('no licence')\n", "no licence"),
        ("def opened(:\n", "SyntaxError"),
        ("other = list\n", "opened"),
        ("opened = 42\n", "no callable"),
    ],
)
def test_a_store_that_cannot_be_loaded_is_named(site: Path, code: str, words: str) -> None:
    """Its module raises, is no Python, or has not what it says: told with the distribution it came from."""
    install(site, "odd", "broken_store:opened", code)
    with pytest.raises(ConfigurationError, match=words) as caught:
        open_store(f"odd://user:{SECRET}@host/0")
    assert "odd-store" in str(caught.value)
    assert SECRET not in repr(caught.value) + repr(caught.value.__cause__)
    sys.modules.pop("broken_store", None)


def test_a_store_without_posix_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows ``file:`` is the caller's mistake, and the message says what works there."""
    for name in ("file", "folder", "presence"):
        monkeypatch.delitem(sys.modules, f"linkauth_stores.{name}", raising=False)
        monkeypatch.delattr(f"linkauth_stores.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ConfigurationError, match="POSIX"):
        open_store("file:tokens")
