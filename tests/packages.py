"""Somebody's package, as if it were installed: several pages call theirs by the same name."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["importable"]


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
