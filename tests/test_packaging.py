"""What the distribution says of itself is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, metadata, version
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import linkauth

SCHEMES = {"memory", "file", "redis", "rediss", "unix", "redis+sentinel", "redis+cluster"}


def test_the_version_is_stated_once() -> None:
    """The build reads it where the code has it: what is installed says the same."""
    assert linkauth.__version__ == version("linkauth")
    assert linkauth.__version__.count(".") == 2


def test_the_version_has_its_section_in_the_changes() -> None:
    """The newest section, dated, is of the version that the package says; above it is what is unreleased."""
    page = (Path(__file__).parents[1] / "CHANGELOG.md").read_text()
    first, second = re.findall(r"^## (.*)$", page, flags=re.MULTILINE)[:2]
    assert first == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(linkauth.__version__)}\] - \d{{4}}-\d\d-\d\d", second)


def test_the_version_is_known_without_an_installation(tmp_path: Path) -> None:
    """A clone on PYTHONPATH, and no distribution's metadata in sight."""
    root = Path(linkauth.__file__).parent
    code = (
        "import importlib.metadata as m, sys\n"
        "def nothing(name): raise m.PackageNotFoundError(name)\n"
        "m.version = m.distribution = m.metadata = nothing\n"
        "import linkauth, linkauth.cli\n"
        "print(linkauth.__version__, linkauth.__file__)"
    )
    (tmp_path / "linkauth").symlink_to(root)
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.split() == [linkauth.__version__, f"{tmp_path}/linkauth/__init__.py"], answer.stderr


def test_every_library_has_a_floor_that_is_not_known_to_be_holed() -> None:
    """What SECURITY.md says of older ones is what pyproject.toml asks for."""
    page = files(linkauth).joinpath("SECURITY.md").read_text()
    (said,) = re.findall(r"an older one than ([0-9.]+) has holes", page)
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert f"aiohttp>={said},<4" in project["dependencies"]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_ci_has_a_version_for_each_library(python: str) -> None:
    """``.ci/constraints.txt`` pins one version of all that an extra names, and one that it allows. Else: run ``.ci/lock``."""
    root = Path(__file__).parents[1]
    here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    lines = (root / ".ci" / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(here)]
    pinned = {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}
    assert len(pinned) == len(pins)
    assert all(re.fullmatch(r"==[^,]+", version) for version in pinned.values())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    wanted = [Requirement(each) for each in asked]
    unmet = [
        str(each)
        for each in wanted
        if each.name != "linkauth" and (each.marker is None or each.marker.evaluate(here))
        if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "==0").removeprefix("=="))
    ]
    assert unmet == []
    assert "linkauth" not in pinned


@pytest.mark.parametrize("package", ["linkauth", "linkauth_stores"])
def test_type_checkers_may_read_it(package: str) -> None:
    """Both packages carry py.typed (PEP 561)."""
    assert files(package).joinpath("py.typed").is_file()


def test_the_built_in_stores_plug_in_by_the_common_door() -> None:
    """Every store that linkauth ships is an entry point of ``linkauth.stores``, and each can be loaded."""
    ours = {point.name: point for point in entry_points(group="linkauth.stores")}
    assert set(ours) >= SCHEMES
    for scheme in SCHEMES:
        assert callable(ours[scheme].load())


def test_the_command_is_there() -> None:
    """``linkauth`` is a console script that can be loaded."""
    (script,) = entry_points(group="console_scripts", name="linkauth")
    assert callable(script.load())


def test_every_python_named_is_allowed() -> None:
    """The classifiers begin with the oldest Python that requires-python lets in, 3.11."""
    said = metadata("linkauth")
    named = [line.rpartition(" ")[2] for line in said.get_all("Classifier") if "Python :: 3." in line]
    assert named[0] == "3.11"
    assert said["Requires-Python"] == ">=3.11"


NEIGHBOURS = ["redis", "cryptography", "rich", "httpx", "httpx2", "starlette"]


@pytest.mark.parametrize(
    "statement",
    ["import linkauth, linkauth.web, linkauth.blocking", "import linkauth_stores.memory, linkauth_stores.file"],
)
def test_the_core_needs_no_extra(statement: str) -> None:
    """Without what the extras bring the core, what serves scripts, and the two plain stores can be imported."""
    code = f"import sys; sys.modules.update(dict.fromkeys({NEIGHBOURS})); {statement}"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_nothing_is_imported_before_it_is_used() -> None:
    """``import linkauth`` starts no background loop's file, and imports no web framework and no other client."""
    unused = {"linkauth.blocking", "linkauth.background", "linkauth.httpx", "linkauth.web", *NEIGHBOURS}
    code = f"import linkauth, sys; print(sorted(sys.modules.keys() & {unused}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "[]", answer.stderr
