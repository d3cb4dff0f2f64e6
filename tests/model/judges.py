"""Who says what must hold: of a token, or of a client's secret."""

from __future__ import annotations

from typing import Any

from tests.model import promises, secret_promises
from tests.model.world import Case

__all__ = ["judge"]


def judge(case: Case) -> Any:
    """The module whose functions are asked where something happens that could break a promise."""
    return secret_promises if case.vendor.rotates_secret else promises
