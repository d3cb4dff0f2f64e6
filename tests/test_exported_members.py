"""The front door's names: none goes, and none comes without being written here."""

from __future__ import annotations

import pytest

import linkauth
from linkauth import errors

VENDORS = {"LinkXG", "LinkXGUser", "Linkkit", "OAuth2", "SageX3"}
FRONT = {"AuthEngine", "Credential", "Status", "Token", "open_store"}
BESIDE: set[str] = set()
"""What joined the front door later."""


@pytest.mark.skipif(not hasattr(linkauth, "AuthEngine"), reason="linkauth/__init__.py has no AuthEngine yet")
def test_the_public_names() -> None:
    """``linkauth.__all__`` is the front door, the vendors and the errors: no name leaks, none is forgotten."""
    assert set(linkauth.__all__) == VENDORS | FRONT | BESIDE | set(errors.__all__)


@pytest.mark.skipif(not hasattr(linkauth, "AuthEngine"), reason="linkauth/__init__.py has no AuthEngine yet")
def test_the_public_names_are_there() -> None:
    """Each of them exists, and ``from linkauth import *`` brings them all."""
    brought: dict[str, object] = {}
    exec("from linkauth import *", brought)
    assert set(linkauth.__all__) <= set(brought)
