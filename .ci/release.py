#!/usr/bin/env python3
"""Make a release, in one command: ``python .ci/release.py VERSION``.

In a scratch clone of what is committed: what CHANGELOG.md has under *Unreleased* becomes the version's section, with today's
date; linkauth/version.py says the version; both are committed and tagged; sdist and wheel are built and looked into. Only when
all of that went well does this repository get the commit and the tag, and dist/ the two files. ``--dry-run`` stops before that.

Nothing leaves this machine but with ``--publish``: then branch and tag are pushed to ``origin``, and twine uploads. It is refused
until pyproject.toml says at which address the repository can be seen. What the extra ``lint`` brings is needed; ``.ci/run``
comes before.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNRELEASED = "## [Unreleased]\n"


class Refused(Exception):
    """There is no release, and why."""


def run(at: Path, *command: str | Path) -> str:
    """What ``command`` prints, in the folder ``at``. Raises ``Refused`` with what it complained of."""
    words = [str(word) for word in command]
    answer = subprocess.run(words, cwd=at, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise Refused(f"{' '.join(words)}:\n{answer.stdout}{answer.stderr}".rstrip())
    return answer.stdout.strip()


def numbers(version: str) -> tuple[int, ...]:
    """The three of a version, or of its tag."""
    if not re.fullmatch(r"v?\d+\.\d+\.\d+", version):
        raise Refused(f"{version} is no version such as 1.2.3")
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def changelog(text: str, version: str, today: str) -> str:
    """``text`` with what is unreleased as the section of ``version``, below an empty Unreleased.

    Where nothing is unreleased, and the section is there, it was written by hand: it stays as it is.
    """
    before, found, after = text.partition(UNRELEASED)
    section = re.search(r"^## .*$", after, re.MULTILINE)
    lines = after[: section.start()] if section else after
    if found and lines.strip() and f"## [{version}]" not in after:
        return f"{before}{UNRELEASED}\n## [{version}] - {today}\n{after}"
    if found and not lines.strip() and section and section[0].startswith(f"## [{version}] "):
        return text
    raise Refused(f"CHANGELOG.md: lines under [Unreleased] are needed, and no section [{version}]")


def check(version: str, *, publish: bool) -> None:
    """Refuse what can be told before anything is begun."""
    if changed := run(ROOT, "git", "status", "--porcelain"):
        raise Refused(f"not everything is committed:\n{changed}")
    tags = run(ROOT, "git", "tag", "--list", "v*").split()
    if any(numbers(tag) >= numbers(version) for tag in tags):
        raise Refused(f"{version} is not later than the tags {' '.join(tags)}")
    if not publish:
        return
    with (ROOT / "pyproject.toml").open("rb") as file:
        address = tomllib.load(file)["tool"]["hatch"]["metadata"]["hooks"]["custom"]["address"]
    if not re.match(r"https://[^/]+/.", address):
        raise Refused(
            "pyproject.toml, [tool.hatch.metadata.hooks.custom]: address is not stated: nothing is published without it"
        )
    if find_spec("twine") is None:
        raise Refused("twine is not installed: pip install twine")
    run(ROOT, "git", "remote", "get-url", "origin")


def prepare(clone: Path, version: str) -> list[Path]:
    """Commit and tag ``version`` in ``clone``, and build it: sdist and wheel, looked into."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    page, module = clone / "CHANGELOG.md", clone / "linkauth" / "version.py"
    page.write_text(changelog(page.read_text(encoding="utf-8"), version, today), encoding="utf-8")
    said = re.sub(r'(__version__ = )".*"', rf'\g<1>"{version}"', module.read_text(encoding="utf-8"))
    module.write_text(said, encoding="utf-8")
    who = [f"user.{what}={run(ROOT, 'git', 'config', f'user.{what}')}" for what in ("name", "email")]
    git = ["git", "-c", who[0], "-c", who[1]]
    if run(clone, "git", "status", "--porcelain"):
        run(clone, *git, "commit", "-qam", f"Release {version}")
    run(clone, *git, "tag", "-a", f"v{version}", "-m", f"linkauth {version}")
    # With the hatchling that is here, which .ci/lock pins.
    run(clone, sys.executable, "-m", "build", "-q", "--no-isolation")
    files = [clone / "dist" / f"linkauth-{version}{kind}" for kind in (".tar.gz", "-py3-none-any.whl")]
    run(clone, Path(sys.executable).with_name("check-wheel-contents"), files[1])
    if find_spec("twine") is not None:
        run(clone, sys.executable, "-m", "twine", "check", "--strict", *files)
    return files


def release(version: str, *, dry_run: bool, publish: bool) -> None:
    """All of it. Raises ``Refused``."""
    check(version, publish=publish)
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "linkauth")
        run(ROOT, "git", "clone", "-q", "--no-tags", ROOT, clone)
        files = prepare(clone, version)
        print(run(clone, "git", "show", "--stat", "--format=%D%n%s", "HEAD"))
        print(*(f"{file.name}: {file.stat().st_size:,} bytes" for file in files), sep="\n")
        if dry_run:
            print("Nothing was changed here.")
            return
        run(ROOT, "git", "fetch", "-q", clone, "HEAD", f"refs/tags/v{version}:refs/tags/v{version}")
        run(ROOT, "git", "merge", "-q", "--ff-only", f"v{version}")
        (ROOT / "dist").mkdir(exist_ok=True)
        ours = [shutil.copy(file, ROOT / "dist") for file in files]
    print(f"v{version} is committed and tagged; its files are in dist/.")
    if publish:
        run(ROOT, "git", "push", "--atomic", "origin", "HEAD", f"v{version}")
        run(ROOT, sys.executable, "-m", "twine", "upload", "--non-interactive", *ours)
        print("Pushed and uploaded.")


def main() -> int:
    """The exit status: 1 where there is no release."""
    parser = argparse.ArgumentParser(description="Make a release of linkauth.")
    parser.add_argument("version", help="such as 0.2.0")
    parser.add_argument(
        "--dry-run", action="store_true", help="do all of it in a scratch clone, and change nothing here"
    )
    parser.add_argument(
        "--publish", action="store_true", help="push to origin, and upload; pyproject.toml has to state the address"
    )
    asked = parser.parse_args()
    try:
        numbers(asked.version)
        release(asked.version, dry_run=asked.dry_run, publish=asked.publish)
    except Refused as why:
        print(f"No release: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
