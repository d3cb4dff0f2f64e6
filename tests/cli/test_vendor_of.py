"""``--vendor-of``: the app's own function finds the vendor of a tenant's record, for every command that has to know it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking  # a command line prints, and looks for the app where it was typed

APP = """
from linkauth import LinkXG, LinkXGUser, Status

HOSTS = {"ada": "127.0.0.1", "bob": "localhost"}

class Tenants:
    @staticmethod
    def of(status: Status) -> LinkXGUser | None:
        host = HOSTS.get(status.account)
        return host and LinkXGUser(base_url="BASE".replace("127.0.0.1", host))

def several(status: Status) -> list[LinkXG | LinkXGUser]:
    scopes = ("products:read", "connections:read")
    machines = [LinkXG(client_id="ID", client_secret="SECRET", base_url="BASE", scope=scope) for scope in scopes]
    return [LinkXGUser(base_url="BASE"), *machines]

number = 7
"""


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vendors: Vendors) -> str:
    """An app's module, by whose account the vendor's host is known."""
    name, part = f"app_of_{tmp_path.name.replace('-', '_')}", vendors.at["linkxg"]
    code = (
        APP.replace("BASE", part["base_url"]).replace("ID", part["client_id"]).replace("SECRET", part["client_secret"])
    )
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # Due from the first moment on.
    monkeypatch.setattr("linkauth.engine.keep_alive.EARLIEST", 0.0)
    monkeypatch.setattr("linkauth.engine.keep_alive.LATEST", 0.0)
    return name


@pytest.fixture
def tenants(here: Any, vendors: Vendors, store: str) -> None:
    """Three accounts with a session each, of which ``bob``'s is at another address."""
    base = vendors.at["linkxg"]["base_url"]
    for account, url in (("ada", base), ("bob", base.replace("127.0.0.1", "localhost")), ("eve", base)):
        user = ["connect", "linkxg-user", "--base-url", url, "--email", vendors.at["linkxg"]["email"]]
        here(*user, "--account", account, "--store", store, **vendors.secrets("linkxg-user")).well()


@pytest.mark.usefixtures("tenants")
def test_tenants_are_kept_alive(here: Any, store: str, app: str) -> None:
    """Two accounts, each at its tenant's address: both are renewed, by one command that names no vendor."""
    once = ["keep-alive", "--store", store, "--once"]
    assert here(*once, "--vendor-of", f"{app}:Tenants.of").well() == "renewed 2\n"
    assert here(*once, LINKAUTH_VENDOR_OF=f"{app}:Tenants.of").well() == "renewed 2\n"


@pytest.mark.usefixtures("tenants")
def test_each_command_finds_the_vendor_of_a_record(here: Any, vendors: Vendors, store: str, app: str) -> None:
    """``token`` and ``logout`` of the tenant that is meant, who connects again with no word of where he is; nobody else's is touched."""
    how = ["--vendor-of", f"{app}:Tenants.of", "--store", store, "--account"]
    revealed = here("token", *how, "bob", "--reveal").well().strip()
    assert here("token", *how, "ada", "--reveal").well().strip() != revealed
    assert here("logout", *how, "bob").well() == "Logged out: linkxg-user/bob\n"
    said = here("status", "--store", store, "--json").out.splitlines()
    assert {each["account"]: each["needs_user"] for each in map(json.loads, said)} == {
        "ada": False,
        "bob": True,
        "eve": False,
    }
    again = ["connect", *how, "bob", "--email", vendors.at["linkxg"]["email"]]
    assert here(*again, **vendors.secrets("linkxg-user")).well() == "Connected: linkxg-user/bob\n"
    here("status", "--store", store).well()


@pytest.mark.usefixtures("tenants")
def test_a_session_whose_vendor_nobody_knows(here: Any, store: str, app: str) -> None:
    """One of which the function says nothing, and an account that has none: status 1, and what was looked for."""
    for account in ("eve", "nobody"):
        ended = here("token", "--vendor-of", f"{app}:Tenants.of", "--store", store, "--account", account)
        ended.badly(f"no such session of account {account}", "Who has to act: you.")


def test_sessions_of_one_account_are_told_apart(here: Any, vendors: Vendors, store: str, app: str) -> None:
    """By VENDOR and by what the registration has; where that is not enough the error says which there are."""
    machine = [*vendors.options("linkxg"), "--store", store]
    for scope in ("products:read", "connections:read"):
        here("connect", *machine, "--scope", scope, **vendors.secrets("linkxg")).well()
    here("connect", *vendors.options("linkxg-user"), "--store", store, **vendors.secrets("linkxg-user")).well()
    how = ["--vendor-of", f"{app}:several", "--store", store]
    here("token", *how).badly("several sessions", "linkxg-user", "VENDOR")
    here("token", "linkxg", *how).badly("several sessions (linkxg, linkxg)")
    assert "valid until" in here("token", "linkxg-user", *how).well()
    assert "connections:read" in here("token", "linkxg", "--scope", "connections:read", *how).well()
    assert "connections:read" in here("token", *how, "--scope", "connections:read", LINKAUTH_VENDOR="linkxg").well()


def test_the_secret_of_a_tenants_client(own: Vendors, store: str, tmp_path: Path) -> None:
    """``rotate-secret`` of what the function names, as a process of its own."""
    part = own.at["linkxg"]
    code = (
        APP.replace("BASE", part["base_url"]).replace("ID", part["client_id"]).replace("SECRET", part["client_secret"])
    )
    (tmp_path / "the_app.py").write_text(code)
    run("connect", *own.options("linkxg"), "--scope", "products:read", "--store", store, **own.secrets("linkxg")).well()
    how = ["rotate-secret", "--vendor-of", "the_app:several", "--store", store]
    ended = run(*how, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert "new secret; it is in the store" in ended.well()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("Tenants.of", "MODULE:FUNCTION is needed"),
        ("{app}:", "MODULE:FUNCTION is needed"),
        ("{app}:nowhere", "nowhere"),
        ("{app}:number", "it is no function"),
        ("no_such_module_anywhere:of", "No module named"),
    ],
)
def test_a_function_that_cannot_be_found(here: Any, store: str, app: str, named: str, said: str) -> None:
    """Status 1, what is wrong with it, and who has to act: no traceback."""
    for command in (["keep-alive", "--once"], ["token"], ["logout"], ["rotate-secret"]):
        ended = here(*command, "--store", store, "--vendor-of", named.format(app=app))
        assert "--vendor-of" in ended.badly(said, "Who has to act: you.")
