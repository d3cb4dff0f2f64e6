"""The store that stores/README.md shows is as long as it says, and passes the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser

PAGE = Path(__file__).resolve().parents[2] / "stores/README.md"
SHOWN = [
    str(example.parsed)
    for example in Document.parse(str(PAGE), CodeBlockParser(language="python", evaluator=lambda _: None)).examples()
]
READ: dict[str, Any] = {"__name__": __name__}
for block in SHOWN:
    exec(compile(block, PAGE, "exec"), READ)


class TestSQLiteStore(READ["TestSQLiteStore"]):
    """The page's own test, with a place for its file."""

    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "tokens.db"


def test_it_is_fifty_lines() -> None:
    """Imports and blank lines aside."""
    lines = [line for line in SHOWN[0].splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 50
