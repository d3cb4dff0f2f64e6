"""The house keeps its own rules, and each rule is seen to fail when it is broken."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError

import linkauth
import linkauth_stores

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["id"]: contract["name"] for contract in CONFIG["tool"]["importlinter"]["contracts"]}

TOP_LEVEL = {
    ".ci", ".gitattributes", ".github", ".gitignore", ".pre-commit-config.yaml", ".python-version", "CHANGELOG.md",
    "LICENSE", "README.md", "benchmarks", "docs", "linkauth", "mkdocs.yml", "pyproject.toml", "stores", "tests",
}  # fmt: skip
"""``mkdocs.yml`` lies here because MkDocs refuses one that is inside the folder of its pages."""

NEIGHBOURS = {"httpx", "httpx2", "starlette"}
"""What only an extra brings, which the test command does without: the long tests import the files that need it."""

PLANTS = [
    ("pure", "linkauth/oauth/wire.py", "import time"),
    ("pure", "linkauth/vendors/linkxg.py", "import os.path"),
    ("pure", "linkauth/errors.py", "def late():\n    import asyncio"),
    ("pure", "linkauth/protocol/timing.py", "import asyncio"),
    ("async", "linkauth/engine/planted.py", "import aiohttp"),
    ("async", "linkauth/store.py", "from redis.asyncio import Redis"),
    ("backend", "linkauth/planted.py", "import redis"),
    ("neighbours", "linkauth/transport/planted.py", "import aioresponses"),
    ("layers", "linkauth/testing/planted.py", "from linkauth.aioresponses import aioresponses"),
    ("plugin", "linkauth/testing/__init__.py", "from linkauth_stores.planted import Store"),
    ("stores", "stores/linkauth_stores/planted.py", "from linkauth.oauth.token import Token"),
    ("independent-stores", "stores/linkauth_stores/memory.py", "from linkauth_stores.file import FileStore"),
    ("layers", "linkauth/oauth/wire.py", "from linkauth.vendors import linkxg"),
    ("layers", "linkauth/protocol/timing.py", "from linkauth.engine import store_client"),
    ("layers", "linkauth/attic.py", ""),  # a room without a place
    ("acyclic", "linkauth/protocol/timing.py", "from linkauth.protocol import freshness"),
    ("acyclic", "linkauth/engine/world.py", "if TYPE_CHECKING:\n    from linkauth.engine.engine import Engine"),
    ("acyclic", "linkauth/sandbox/control.py", "from linkauth.sandbox import server"),
    ("acyclic", "stores/linkauth_stores/slot.py", "from linkauth_stores.memory import MemoryStore"),
]
"""Contract, file, line: what nobody may write."""


def run(where: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # The copy's packages come before the ones that are installed here.
    env = os.environ | {"PYTHONPATH": f"{where}{os.pathsep}{where / 'stores'}", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, check=False, timeout=100)


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed: it comes with the extra lint, which .ci/run installs")
    return found


def lint_imports(where: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    limits = [part for contract in contracts for part in ("--contract", contract)]
    return run(where, tool("lint-imports"), "--no-cache", "--no-logo", *limits)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    no_litter = shutil.ignore_patterns("__pycache__")
    for name in ("linkauth", "stores"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=no_litter)
    (tmp_path / "tests/typing").mkdir(parents=True)
    (tmp_path / ".ci").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".ci/metadata.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def plant(file: Path, line: str) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as lines:
        lines.write(f"\n{line}\n")


def test_the_tiers_hold() -> None:
    """Every contract of pyproject's import-linter section is kept by the code as it is."""
    answer = lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.long
@pytest.mark.parametrize(("contract", "file", "line"), PLANTS)
def test_a_broken_tier_is_found(copy: Path, contract: str, file: str, line: str) -> None:
    """A single import that breaks a contract makes import-linter fail and name that contract."""
    plant(copy / "stores/linkauth_stores/planted.py", "class Store: ...")
    plant(copy / file, line)
    answer = lint_imports(copy, contract)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert f"{CONTRACTS[contract]} BROKEN" in answer.stdout


def test_every_tier_is_tried() -> None:
    """No contract stands in pyproject that the tests do not break."""
    assert {contract for contract, _, _ in PLANTS} == set(CONTRACTS)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("from stores import linkauth_stores", "TID251"),
        ("from .token import Token", "TID252"),
        ("import datetime\n\nthen = datetime.datetime.utcnow()", "TID251"),
        ("def undocumented():\n    return 1", "D103"),
    ],
)
def test_a_fault_is_found_by_ruff(copy: Path, line: str, rule: str) -> None:
    """ruff's own and the project's own bans are in force."""
    plant(copy / "linkauth/oauth/planted.py", line)
    answer = run(copy, tool("ruff"), "check", "--no-cache", "--output-format=concise", "linkauth/oauth/planted.py")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert rule in answer.stdout


@pytest.mark.long
@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
def test_a_wrong_type_is_found(copy: Path, checker: str) -> None:
    """Both type checkers read tests/typing strictly: a bare ``list`` there fails."""
    plant(copy / "tests/typing/planted.py", '"""Planted."""\n\n\ndef bare(x: list) -> None:\n    del x')
    answer = run(copy, tool(checker))
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "planted.py:5" in answer.stdout


@pytest.mark.long
def test_a_stray_package_in_the_wheel_is_found(copy: Path) -> None:
    """A wheel that would put a package named ``stores`` into site-packages does not pass."""
    config = copy / "pyproject.toml"
    config.write_text(config.read_text().replace('"stores/linkauth_stores"]', '"stores"]', 1))
    built = run(copy, sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "dist"))
    if "No module named build" in built.stderr:
        pytest.skip("build is not installed: it comes with the extra lint, which .ci/run installs")
    assert built.returncode == 0, built.stdout + built.stderr
    answer = run(ROOT, tool("check-wheel-contents"), str(copy / "dist"))
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "W201" in answer.stdout + answer.stderr or "W202" in answer.stdout + answer.stderr, answer.stdout


@pytest.mark.parametrize("room", ["linkauth/planted.py", "stores/linkauth_stores/planted.py"])
async def test_a_blocked_loop_is_found(room: str) -> None:
    """A ``time.sleep`` in a coroutine of linkauth's or of a store's fails the test that meets it."""
    code = compile("import time\nasync def stall(): time.sleep(0.001)", ROOT / room, "exec")
    planted: dict[str, Any] = {}
    exec(code, planted)
    with pytest.raises(BlockingError):
        await planted["stall"]()


def test_every_rule_that_is_off_has_its_reason() -> None:
    """No lint rule is switched off in pyproject without a word beside it."""
    text = (ROOT / "pyproject.toml").read_text()
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.flake8-tidy-imports]")]
    rules = [line for line in section.splitlines() if re.match(r'\s+"[A-Z]+\d*",|"[^"]+" = \[.+\]', line)]
    assert len(rules) > 30
    assert [line for line in rules if not re.search(r"# .{5,}", line)] == []


def test_every_test_says_what_it_proves() -> None:
    """Each test function has a docstring."""
    mute = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert mute == []


def test_every_exported_name_is_there() -> None:
    """In every module what ``__all__`` lists exists, and once."""
    faults = []
    for package in (linkauth, linkauth_stores):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            try:
                module = importlib.import_module(found.name)
            except ModuleNotFoundError as missing:
                if str(missing.name).partition(".")[0] in NEIGHBOURS:
                    continue
                raise
            names = getattr(module, "__all__", [])
            faults += [f"{found.name}.{name}" for name in names if not hasattr(module, name)]
            if len(names) != len(set(names)):
                faults.append(f"{found.name}: a name twice")
    assert faults == []


def test_the_top_level_holds_what_it_may() -> None:
    """Nothing lies at the top of the repository that the layout does not name."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here: what belongs to the project cannot be told from what was built")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split("/")[0] for line in files.splitlines()} - TOP_LEVEL == set()


def test_the_protocol_is_read_by_the_screen() -> None:
    """No file of the protocol is longer than 250 lines, none of its functions longer than a screen of 45."""
    long = []
    for path in sorted((ROOT / "linkauth/protocol").glob("*.py")):
        text = path.read_text()
        count = len(text.splitlines())
        long += [f"{path.name}: {count} lines"] if count > 250 else []
        long += [
            f"{path.name}:{node.lineno} {node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 45
        ]
    assert long == []


def test_the_protocol_names_its_files() -> None:
    """Whoever opens the protocol's first page finds each of its files there."""
    page = (ROOT / "linkauth/protocol/__init__.py").read_text()
    files = {path.stem for path in (ROOT / "linkauth/protocol").glob("*.py")} - {"__init__"}
    assert files - set(re.findall(r"``(\w+)``", page)) == set()
