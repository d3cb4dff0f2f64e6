"""The distribution's links: to where the repository is hosted, which pyproject.toml says in one place, and nowhere before it does.

Hatchling calls this when it builds (``[tool.hatch.metadata.hooks.custom]``). An index shows the README without the repository
around it, so there every link that is relative in the repository is to the file as it was when the version was tagged.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
RELATIVE = r"(?![a-z]+:)"
IMAGE = re.compile(rf"(!\[[^\]]*\]\(|\bsrc(?:set)?=\"){RELATIVE}([^)\s\"]+)")
LINK = re.compile(rf"(\]\(){RELATIVE}([^)\s]+)")


class Links(MetadataHookInterface):
    """``project.readme`` and ``project.urls``, which pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set both. Without an address the README stays as it is, and there are no URLs."""
        address, tag = str(self.config["address"]).rstrip("/"), f"v{metadata['version']}"
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, address, tag) if address else text,
        }
        metadata["urls"] = urls(address, tag) if address else {}


def urls(address: str, tag: str) -> dict[str, str]:
    """What an index lists beside the project."""
    files = f"{address}/blob/{tag}"
    return {
        "Source": address,
        "Documentation": f"{files}/docs/index.md",
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": f"{address}/issues",
        "Security": f"{files}/.github/SECURITY.md",
    }


def absolute(text: str, address: str, tag: str) -> str:
    """``text`` with each relative link and image absolute, but for what stands in code."""
    files, raw = f"{address}/blob/{tag}", f"{address}/raw/{tag}"
    parts = CODE.split(text)
    for index in range(0, len(parts), 2):
        text = IMAGE.sub(rf"\g<1>{raw}/\g<2>", parts[index])
        text = LINK.sub(rf"\g<1>{files}/\g<2>", text)
        parts[index] = text.replace(f"{files}/#", f"{files}/README.md#")
    return "".join(parts)
