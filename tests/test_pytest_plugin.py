"""The pytest plugin, as it is loaded in somebody's own tests: docs/testing.md is run by a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).resolve().parent.parent
NOTHING = """
import sys
BROUGHT = {"linkauth", "linkauth_stores", "aiohttp", "attr", "attrs", "cattrs"}
FOUND = {name for name in sys.modules if name.partition(".")[0] in BROUGHT}  # before the page is imported
def test_nothing_of_linkauth_was_here():
    assert FOUND == {"linkauth", "linkauth.pytest_plugin", "linkauth.version"}
"""
SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]
BY = {
    "strict": ("import pytest\npytestmark = pytest.mark.asyncio", ["-o", "asyncio_mode=strict", *SCOPE]),
    "auto": ("", ["-o", "asyncio_mode=auto", *SCOPE]),
    "anyio": (
        "import pytest\npytestmark = pytest.mark.anyio\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'",
        ["-o", "asyncio_mode=strict", *SCOPE],
    ),
    "anyio alone": (
        "import pytest\npytestmark = pytest.mark.anyio\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'",
        ["-p", "no:asyncio"],
    ),
}


def page() -> str:
    document = Document.parse(
        str(ROOT / "docs/testing.md"), CodeBlockParser(language="python", evaluator=lambda _: None)
    )
    return "\n".join(str(example.parsed) for example in document.examples())


@pytest.mark.long
@pytest.mark.parametrize("by", [pytest.param(by, id=by.replace(" ", "-")) for by in BY])
def test_the_page_on_testing_is_run(tmp_path: Path, by: str) -> None:
    """Each of its tests passes with each plugin that has a loop; before they ask, nothing of linkauth but the plugin has been imported."""
    if "anyio" in by:
        pytest.importorskip("anyio")
    before, options = BY[by]
    (tmp_path / "test_a_nothing.py").write_text(NOTHING)
    (tmp_path / "test_b_page.py").write_text(f"{before}\n{page()}")
    program = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        *options,
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
    answer = subprocess.run(
        [*program, "--rootdir", tmp_path, tmp_path], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert " passed" in answer.stdout
    assert "skipped" not in answer.stdout
