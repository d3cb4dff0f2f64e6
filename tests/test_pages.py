"""The pages for people point at what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from linkauth import LinkAuthError

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    str(page.relative_to(ROOT))
    for folder in (".", ".github", "docs", "linkauth", "stores", "tests")
    for page in (ROOT / folder).glob("**/*.md" if folder != "." else "*.md")
    if ".venv" not in page.parts
)


def anchors(page: Path) -> set[str]:
    """What a hosting site makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """Each relative link of a page names a file of the repository, and an anchor that its headings have."""
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(("docs/", ".github/"))])
def test_every_file_that_is_named_is_there(page: str) -> None:
    """A path in code marks, such as ``tests/engine``, exists."""
    text = (ROOT / page).read_text()
    named = {
        word.rstrip("/")
        for span in re.findall(r"`([^`\n]+)`", text)
        for word in span.split()
        if re.fullmatch(r"(linkauth|stores|tests|docs|benchmarks)/[\w./-]+", word)
    }
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_table_of_errors_is_the_codes() -> None:
    """``docs/errors.md``: each class, who has to act, and what it says of itself, in the order of the tree."""

    def kinds(kind: type[LinkAuthError]) -> list[type[LinkAuthError]]:
        below = [child for child in kind.__subclasses__() if child.__module__ == LinkAuthError.__module__]
        return [kind, *(each for child in below for each in kinds(child))]

    def row(kind: type[LinkAuthError]) -> str:
        says = " ".join((kind.__doc__ or "").split("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")
        return f"| `{kind.__name__}` | {kind.who} | {says} |"

    table = [line for line in (ROOT / "docs" / "errors.md").read_text().splitlines() if line.startswith("| `")]
    assert table == [row(kind) for kind in kinds(LinkAuthError)]
