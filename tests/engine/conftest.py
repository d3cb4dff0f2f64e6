"""What goes for every test of the engine."""

from __future__ import annotations

import itertools

import pytest

from tests.engine import fakes


@pytest.fixture(autouse=True)
def chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers draw the same numbers whatever ran before in this process."""
    monkeypatch.setattr(fakes, "_seeds", itertools.count(7))
