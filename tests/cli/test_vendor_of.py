"""``linkauth keep-alive --vendor-of``: the app's own function finds the vendor of each tenant's record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Vendors

APP = """
from linkauth import LinkXGUser, Status

HOSTS = {"ada": "127.0.0.1", "bob": "localhost"}

class Tenants:
    @staticmethod
    def of(status: Status) -> LinkXGUser | None:
        host = HOSTS.get(status.account)
        return host and LinkXGUser(base_url="BASE".replace("127.0.0.1", host))

number = 7
"""


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vendors: Vendors) -> str:
    """An app's module, by whose account the vendor's host is known."""
    name = f"app_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(APP.replace("BASE", vendors.at["linkxg"]["base_url"]))
    monkeypatch.syspath_prepend(tmp_path)
    # Due from the first moment on.
    monkeypatch.setattr("linkauth.engine.keep_alive.EARLIEST", 0.0)
    monkeypatch.setattr("linkauth.engine.keep_alive.LATEST", 0.0)
    return name


def test_tenants_are_kept_alive(here: Any, vendors: Vendors, store: str, app: str) -> None:
    """Two accounts, each at its tenant's address: both are renewed, by one command that names no vendor."""
    base = vendors.at["linkxg"]["base_url"]
    for account, url in (("ada", base), ("bob", base.replace("127.0.0.1", "localhost")), ("eve", base)):
        user = ["connect", "linkxg-user", "--base-url", url, "--email", vendors.at["linkxg"]["email"]]
        here(*user, "--account", account, "--store", store, **vendors.secrets("linkxg-user")).well()
    once = ["keep-alive", "--store", store, "--once"]
    assert here(*once, "--vendor-of", f"{app}:Tenants.of").well() == "renewed 2\n"
    assert here(*once, LINKAUTH_VENDOR_OF=f"{app}:Tenants.of").well() == "renewed 2\n"


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
    ended = here("keep-alive", "--store", store, "--once", "--vendor-of", named.format(app=app))
    assert "--vendor-of" in ended.badly(said, "Who has to act: you.")
