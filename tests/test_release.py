"""A release from one command, tried in a scratch clone; and what an index shows of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.packages import loaded

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "https://forge.example/ada/linkauth"
TWINE = """
import sys
from pathlib import Path
with Path(__file__).with_name("asked").open("a") as asked:
    print(*sys.argv[1:], file=asked)
"""


def git(at: Path, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    return subprocess.run(["git", *who, *words], cwd=at, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """This repository as it lies here, committed, with two lines that are unreleased; its origin is a bare one."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here")
    for module in ("build", "hatchling", "check_wheel_contents"):
        pytest.importorskip(module, reason="it comes with the extra lint, which .ci/run installs")
    made, origin = tmp_path / "clone", tmp_path / "origin.git"
    git(tmp_path, "clone", "-q", "--no-tags", str(ROOT), str(made))
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(made, "remote", "set-url", "origin", str(origin))
    git(made, "config", "user.name", "Ada")
    git(made, "config", "user.email", "ada@example.com")
    for path in ("pyproject.toml", "README.md", ".ci"):
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, made / path, **({"dirs_exist_ok": True} if (ROOT / path).is_dir() else {}))
    page = made / "CHANGELOG.md"
    page.write_text(page.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n### Added\n\n- Two lines.\n", 1))
    git(made, "add", "-A")
    git(made, "commit", "-q", "--allow-empty", "-m", "As it lies here")
    return made


def release(at: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(at / ".ci" / "release.py"), *words]
    return subprocess.run(command, cwd=at, env=os.environ | env, capture_output=True, text=True, check=False)


def state(at: Path) -> tuple[str, str, str]:
    return git(at, "rev-parse", "HEAD"), git(at, "tag"), git(at, "status", "--porcelain")


def state_the_address(at: Path) -> None:
    config = at / "pyproject.toml"
    config.write_text(config.read_text().replace('address = ""', f'address = "{ADDRESS}"', 1))
    git(at, "commit", "-qam", "Say where it can be seen")


@pytest.mark.long
def test_a_release(clone: Path) -> None:
    """Its dry run changes nothing; then one commit, one annotated tag, two files; the same version is refused afterwards."""
    before = state(clone)
    dry = release(clone, "7.1.0", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "linkauth-7.1.0-py3-none-any.whl" in dry.stdout
    assert state(clone) == before
    assert not (clone / "dist").exists()

    made = release(clone, "7.1.0")
    assert made.returncode == 0, made.stderr
    assert git(clone, "log", "-1", "--format=%s %an") == "Release 7.1.0 Ada"
    assert git(clone, "rev-parse", "HEAD~1") == before[0]
    assert git(clone, "cat-file", "-t", "v7.1.0") == "tag"
    assert git(clone, "rev-parse", "v7.1.0^{}") == git(clone, "rev-parse", "HEAD")
    assert sorted(path.name for path in (clone / "dist").iterdir()) == [
        "linkauth-7.1.0-py3-none-any.whl",
        "linkauth-7.1.0.tar.gz",
    ]
    assert '__version__ = "7.1.0"' in (clone / "linkauth" / "version.py").read_text()
    page = (clone / "CHANGELOG.md").read_text()
    assert re.search(
        r"^## \[Unreleased\]\n\n## \[7\.1\.0\] - \d{4}-\d\d-\d\d\n\n### Added\n\n- Two lines\.\n", page, re.MULTILINE
    )
    assert git(clone, "ls-remote", "origin") == ""  # nothing has left

    again = release(clone, "7.1.0")
    assert (again.returncode, again.stderr) == (1, "No release: 7.1.0 is not later than the tags v7.1.0\n")


@pytest.mark.long
def test_what_is_refused_changes_nothing(clone: Path, tmp_path: Path) -> None:
    """A tree with changes, a word that is no version, no address, no twine, nothing unreleased: said, and nothing was done."""
    before = state(clone)
    (tmp_path / "twine.py").write_text(TWINE)
    with_twine = {"PYTHONPATH": str(tmp_path)}

    def refused(*words: str, **env: str) -> str:
        answer = release(clone, *words, **env)
        assert answer.returncode == 1
        assert state(clone)[:2] == before[:2]
        assert not (clone / "dist").exists()
        return answer.stderr

    assert "is no version" in refused("next")
    assert "address is not stated: nothing is published without it" in refused("7.1.0", "--publish", **with_twine)
    (clone / "new").touch()
    assert "not everything is committed:\n?? new" in refused("7.1.0")
    (clone / "new").unlink()
    page = clone / "CHANGELOG.md"
    page.write_text(page.read_text().replace("### Added\n\n- Two lines.\n", "", 1))
    page.write_text(
        re.sub(r"(## \[Unreleased\]\n).*?(?=^## \[|\Z)", r"\1\n", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    )
    git(clone, "commit", "-qam", "Nothing is unreleased")
    before = state(clone)
    assert "lines under [Unreleased] are needed" in refused("7.1.0")


@pytest.mark.long
def test_a_release_that_is_published(clone: Path, tmp_path: Path) -> None:
    """With the address stated: branch and tag are pushed, twine has checked and uploads; the metadata leads to the address."""
    state_the_address(clone)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "twine.py").write_text(TWINE)
    made = release(clone, "7.1.0", "--publish", PYTHONPATH=str(tmp_path / "fake"))
    assert made.returncode == 0, made.stderr
    asked = [line.split()[:2] for line in (tmp_path / "fake" / "asked").read_text().splitlines()]
    assert asked == [["check", "--strict"], ["upload", "--non-interactive"]]
    assert "refs/tags/v7.1.0" in git(clone, "ls-remote", "origin")

    with zipfile.ZipFile(clone / "dist" / "linkauth-7.1.0-py3-none-any.whl") as wheel:
        text = wheel.read("linkauth-7.1.0.dist-info/METADATA").decode()
    said = Parser().parsestr(text)
    urls = dict(str(line).split(", ") for line in said.get_all("Project-URL", []))
    assert urls["Source"] == ADDRESS
    assert urls["Changelog"] == f"{ADDRESS}/blob/v7.1.0/CHANGELOG.md"
    assert set(urls) == {"Source", "Documentation", "Changelog", "Issues", "Security"}
    assert said["Description-Content-Type"] == "text/markdown"
    page = re.sub(r"^```.*?^```$", "", said.get_payload(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", page)
    assert len(links) > 20
    assert [link for link in links if not "".join(link).startswith("https://")] == []
    ours = {"".join(link) for link in links if ADDRESS in "".join(link)}
    for link in ours:  # each leads to a file of this repository
        path = re.sub(rf"^{ADDRESS}/(?:blob|raw)/v7\.1\.0/|#.*", "", link)
        assert (ROOT / path).exists(), link
    assert f"{ADDRESS}/raw/v7.1.0/docs/demo.svg" in ours


def test_links_of_a_readme() -> None:
    """Relative links, anchors and images become absolute; what is absolute, and what stands in code, stays."""
    pytest.importorskip("hatchling", reason="it comes with the extra lint, which .ci/run installs")
    text = (
        "[a](docs/a.md#b) [c](#d) [e](https://e.example/f) ![g](h.svg) [m](mailto:x@y.example)\n"
        '<img alt="i" src="j.svg"><source srcset="k.svg"> <img src="https://l.example/l.svg">\n'
        "```python\nx[0](n)\n```\n[o](p)\n"
    )
    assert loaded(ROOT / ".ci" / "metadata.py").absolute(text, "https://f.example/r", "v1") == (
        "[a](https://f.example/r/blob/v1/docs/a.md#b) [c](https://f.example/r/blob/v1/README.md#d) [e](https://e.example/f) "
        "![g](https://f.example/r/raw/v1/h.svg) [m](mailto:x@y.example)\n"
        '<img alt="i" src="https://f.example/r/raw/v1/j.svg"><source srcset="https://f.example/r/raw/v1/k.svg"> '
        '<img src="https://l.example/l.svg">\n'
        "```python\nx[0](n)\n```\n[o](https://f.example/r/blob/v1/p)\n"
    )


BEFORE = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- New.\n\n## [0.1.0] - 2026-01-01\n\n- Old.\n"


def test_the_changelogs_new_section() -> None:
    """What is unreleased becomes the version, dated; older sections stay."""
    assert loaded(ROOT / ".ci" / "release.py").changelog(BEFORE, "0.2.0", "2026-02-03") == BEFORE.replace(
        "## [Unreleased]\n", "## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n"
    )


def test_a_section_that_was_written_by_hand_stays() -> None:
    """Where nothing is unreleased and the newest section is the version's. Lines beside it, an older one, or none at all are refused."""
    module = loaded(ROOT / ".ci" / "release.py")
    by_hand = BEFORE.replace("### Added\n\n- New.\n\n", "")
    assert module.changelog(by_hand, "0.1.0", "2026-02-03") == by_hand
    for text, version in (
        (BEFORE, "0.1.0"),
        (by_hand, "0.2.0"),
        ("# Changelog\n", "0.1.0"),
        (by_hand.partition("## [0")[0], "0.1.0"),
    ):
        with pytest.raises(module.Refused):
            module.changelog(text, version, "2026-02-03")
