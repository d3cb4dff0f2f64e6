"""What the site has besides the pages in this folder: pages that live elsewhere.

MkDocs calls these functions (``hooks`` in ``mkdocs.yml``). A link to a file that is no page becomes that file's name, for
the site does not know where the repository is hosted.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "linkauth/SECURITY.md": "security.md",
    "stores/README.md": "stores.md",
    ".github/CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
}
"""Where a page lives in the repository -> what it is called on the site."""
HOMES = {site: home for home, site in ELSEWHERE.items()}
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that live elsewhere."""
    for home, site in ELSEWHERE.items():
        files.append(File.generated(config, site, content=(ROOT / home).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  # passed by name
    """Let links lead where the page is now that they were written for where it lives."""
    here = page.file.src_uri
    folder = posixpath.dirname(HOMES.get(here, f"docs/{here}"))

    def led(link: re.Match[str]) -> str:
        words, path, anchor = link.group(1), link.group(2), link.group(3) or ""
        if not path or re.match(r"[a-z]+:", path):
            return link.group(0)
        target = posixpath.normpath(posixpath.join(folder, path))
        site = ELSEWHERE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if site is None or files.get_file_from_path(site) is None:
            return words if words.startswith("`") else f"{words} (`{target}`)"
        return f"[{words}]({posixpath.relpath(site, posixpath.dirname(here) or '.')}{anchor})"

    return "".join(
        part if part.startswith("```") else LINK.sub(led, part)
        for part in re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    )
