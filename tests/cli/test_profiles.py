"""Profiles: what one file says where neither arguments nor environment do, what goes before it, and whose it must be."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking  # a command line prints

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``written(text)``: the file of profiles, the user's alone, where the XDG specification has it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def write(text: str, mode: int = 0o600) -> Path:
        file = tmp_path / "linkauth.toml"
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    return write


def work(vendors: Vendors, store: str) -> str:
    part = vendors.at["linkxg"]
    return f"""
[work]
store = "{store}"
vendor = "linkxg"

[work.vendors.linkxg]
client-id = "{part["client_id"]}"
client_secret = "{part["client_secret"]}"
base_url = "{part["base_url"]}"
account = "ours"

[work.vendors.linkxg-user]
base_url = "{part["base_url"]}"
"""


def test_a_profile_is_all_that_is_typed(here: Any, written: Any, vendors: Vendors, store: str) -> None:
    """Store, vendor, registration, account and secret come from it, before the command, after it, or by the variable."""
    written(work(vendors, store))
    here("--profile", "work", "token").well()
    here("token", "--profile", "work").well()
    assert "linkxg/ours" in here("status", LINKAUTH_PROFILE="work").well()
    # Another vendor's registration is another table; nothing of the first goes with it.
    here("logout", "linkxg-user", "--profile", "work").badly("linkxg-user/default of this registration is not in")


def test_the_environment_goes_before_a_profile_and_arguments_before_both(
    here: Any, written: Any, vendors: Vendors, store: str
) -> None:
    """Each setting by itself: one that is typed leaves the others to the environment, and those to the profile."""
    written(work(vendors, store))
    say = ["token", "--profile", "work"]
    here(*say, LINKAUTH_ACCOUNT="theirs").well()
    here(*say, "--account", "mine", LINKAUTH_ACCOUNT="theirs").well()
    accounts = {
        json.loads(line)["account"] for line in here("status", "--json", "--profile", "work").well().splitlines()
    }
    assert accounts == {"theirs", "mine"}
    here(*say, LINKAUTH_STORE="nowhere:x").badly("'nowhere'")
    here(*say, LINKAUTH_CLIENT_SECRET="another", LINKAUTH_ACCOUNT="new").badly("Who has to act")
    # The next command of this process knows nothing of it.
    here("token", "linkxg").badly("which store?")


def test_a_secret_wants_a_file_of_ones_own(here: Any, written: Any, tmp_path: Path) -> None:
    """Where others may read the file, or that of the keys, the error says chmod; without a secret in it anybody may."""
    profile = '[p]\nstore = "memory:"\n[p.vendors.linkxg]\nclient_id = "a"\nbase_url = "http://127.0.0.1:1"\n'
    file = written(f'{profile}client_secret = "canary"\n', 0o640)
    said = here("logout", "--profile", "p").badly(f"{file} holds a secret (client_secret)", f"chmod 600 {file}")
    assert "canary" not in said
    written(f'{profile}client_secret = "$MY_SECRET"\n', 0o644)
    here("logout", "--profile", "p", MY_SECRET="s").badly("is not in the store")
    here("logout", "--profile", "p").badly("client_secret: $MY_SECRET is not set")
    written('[p]\nstore = "redis://:canary@127.0.0.1:1/0"\n', 0o604)
    said = here("status", "--profile", "p").badly("holds a secret (store)")
    assert "canary" not in said
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n")
    keys.chmod(0o644)
    written(f'[p]\nstore = "memory:"\nkeys-file = "{keys}"\n', 0o644)
    here("status", "--profile", "p").badly(f"chmod 600 {keys}")


def test_anothers_file_is_no_place_for_a_secret(here: Any, written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another user is refused with a secret in it, whatever its mode."""
    written('[p]\nstore = "memory:"\nkeys = "canary"\n')
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    here("status", "--profile", "p").badly("(keys) and belongs to another user")


def test_keys_come_from_their_file(here: Any, written: Any, tmp_path: Path, vendors: Vendors, store: str) -> None:
    """Lines or commas between them; what is stored is then under the first."""
    pytest.importorskip("cryptography")
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\nplain\n")
    keys.chmod(0o600)
    written(work(vendors, store).replace("[work]", f'[work]\nkeys-file = "{keys}"'))
    here("token", "--profile", "work").well()
    assert json.loads(here("status", "--json", "--profile", "work").well())["key_id"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[p]\nstor = "memory:"', "profile p: stor is nothing that is read here; close are: store"),
        (
            '[p.vendors.linkxg]\nclient-ids = "a"',
            "vendor linkxg: client_ids is nothing that is read here; close are: client_id",
        ),
        ('[p.vendors.linkgx]\nclient_id = "a"', "vendor linkgx: it is not known; close are: linkxg"),
        ('[q]\nstore = "memory:"', "no profile 'p'"),
        ("[p", "is no TOML: "),
        ("[p]\nstore = 1", "store: a text is needed"),
        ("[p]\nvendors = 1", "vendors: a table is needed"),
        ('p = "memory:"', "p: a table is needed"),
        ('[p]\nstore = "memory:"\nkeys_file = "/nowhere/keys"', "/nowhere/keys cannot be read: No such file"),
        (None, "linkauth.toml cannot be read: No such file"),
    ],
)
def test_a_mistake_in_a_profile(here: Any, written: Any, text: str | None, words: str) -> None:
    """It is told in a sentence that names the file and what may have been meant."""
    if text is not None:
        written(text)
    here("token", "--profile", "p").badly(words, "Who has to act: you.")


def test_tables_of_a_registration(here: Any, written: Any, tmp_path: Path) -> None:
    """``set`` and ``extra`` are what --set and --extra are; what is typed goes before."""
    file = tmp_path / "elsewhere.toml"
    written(
        '[p]\nstore = "memory:"\n[p.vendors.shopify]\nclient_id = "a"\nclient_secret = "$S"\nset = {shop = "acme"}\n'
    ).rename(file)
    known = {"LINKAUTH_CONFIG": str(file), "LINKAUTH_PROFILE": "p", "S": "secret"}
    here("logout", **known).badly("shopify/default of this registration is not in the store")
    here("logout", "--set", "shop=//", **known).badly("shop")


def test_the_documented_profile_works(here: Any, written: Any, tmp_path: Path, store: str) -> None:
    """The example of the operator's page, as it stands there."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    keys.chmod(0o600)
    written(text.replace("~/.config/linkauth.keys", str(keys)))
    given = {"LINKAUTH_PROFILE": "production", "REDIS_URL": store, "LINKKIT_SECRET": "secret"}
    here("status", **given).badly("there is no store at that URL")
    here("logout", **given).badly("linkkit/default of this registration is not in the store")
    here("logout", "shopify", LINKAUTH_CLIENT_SECRET="secret", **given).badly("shopify/default of this registration")
