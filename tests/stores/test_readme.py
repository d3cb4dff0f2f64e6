"""The store in ``stores/README.md`` is a store, found by its entry point and proved by the contract as printed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.store import TokenStore, open_store
from tests.packages import importable, install

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parents[2] / "stores" / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
STORE, CONTRACT = (text for language, text in BLOCKS if language == "python")
(ENTRY_POINT,) = (text for language, text in BLOCKS if language == "toml")

_printed: dict[str, Any] = {}
exec(compile(CONTRACT, str(README), "exec"), _printed)


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The README's store as somebody's installed distribution."""
    site = tmp_path_factory.mktemp("site")
    points = tomllib.loads(ENTRY_POINT)["project"]["entry-points"]
    install(site, "my-package", points, {"my_package/__init__.py": "", "my_package/sqlite.py": STORE})
    with importable(site, "my_package"):
        yield site


class TestReadmeStore(_printed["TestSQLiteStore"]):
    """The contract on the README's store, by the README's own subclass."""


def test_it_has_about_fifty_lines() -> None:
    """The heading says so."""
    assert len([line for line in STORE.splitlines() if line.strip()]) <= 55


def test_it_is_opened_by_its_scheme(installed: Path) -> None:
    """The entry point as printed leads to it."""
    store = open_store(f"sqlite:{installed}/x.db")
    assert type(store).__name__ == "SQLiteStore"
    assert isinstance(store, TokenStore)
