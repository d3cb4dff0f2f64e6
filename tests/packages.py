"""Somebody's package, as if it were installed, with its entry points: several pages call theirs by the same name. And a file that is in none."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

__all__ = ["importable", "install", "loaded"]


def install(site: Path, name: str, points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]) -> None:
    """Put a distribution ``name`` into the folder ``site``.

    ``points``: its entry points, as ``[project.entry-points]`` has them; ``modules``: their code by their path.
    """
    lines = (
        f"[{group}]\n" + "".join(f"{one} = {what}\n" for one, what in ones.items()) for group, ones in points.items()
    )
    written = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "entry_points.txt": "".join(lines),
    }
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    for path, text in {**modules, **{f"{info}/{one}": text for one, text in written.items()}}.items():
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_text(text, encoding="utf-8")


@contextmanager
def importable(site: Path, package: str) -> Iterator[None]:
    """While this lasts ``package`` is the one in the folder ``site``; afterwards nobody knows it."""
    _forget(package)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield
    _forget(package)


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def loaded(path: Path) -> ModuleType:
    """A program of this repository as a module, which ``sys.modules`` does not get."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
