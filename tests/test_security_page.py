"""``linkauth/SECURITY.md`` names a test for what it claims: each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PAGE = (HERE / "linkauth" / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def defined(file: Path) -> set[str]:
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_every_test_that_the_page_names_exists():
    """A claim without its test, or with one that was renamed, is found."""
    assert len(NAMED) > 30
    missing = [f"{file}::{name}" for file, name in NAMED if name and name not in defined(HERE / file)]
    assert missing == []


def test_every_point_of_rfc_9700_is_answered():
    """Sections 2.1 to 2.6 and the attacks 4.1 to 4.17 all have their row."""
    rows = " ".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| "))
    told = set(re.findall(r"[24](?:\.\d+)+", rows))
    wanted = {"2.1", "2.1.1", "2.1.2", "2.2.1", "2.2.2", "2.3", "2.4", "2.5", "2.6", *(f"4.{n}" for n in range(1, 18))}
    assert wanted <= told


def test_every_answer_is_shown_or_says_that_there_is_none():
    """A row names its test, unless it says that the point is not kept, or is not a client's."""
    rows = [line for line in PAGE.splitlines() if re.match(r"\| [24]\.", line)]
    assert len(rows) > 20
    words = ("**not done**", "the server's to see", "none are used")
    assert [row for row in rows if "`tests/" not in row and not any(said in row for said in words)] == []
