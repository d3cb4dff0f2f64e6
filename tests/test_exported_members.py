"""The front door's names: none goes, and none comes without being written here."""

from __future__ import annotations

from inspect import ismodule

import linkauth
from linkauth import errors

VENDORS = {"ApiKey", "LinkXG", "LinkXGUser", "Linkkit", "OAuth2", "SageX3"}
FRONT = {"AuthEngine", "Credential", "Status", "Token", "open_store"}
BESIDE = {
    "__version__",
    "BrowserBinding",
    "Dialect",
    "Event",
    "EventKind",
    "RotationProfile",
    "Secret",
    "TokenStore",
    "Vendor",
}
"""What joined the front door later."""


def test_the_public_names() -> None:
    """``linkauth.__all__`` is the front door, the vendors and the errors: no name leaks, none is forgotten."""
    assert set(linkauth.__all__) == VENDORS | FRONT | BESIDE | set(errors.__all__)


def test_the_public_names_are_there() -> None:
    """Each of them exists, and ``from linkauth import *`` brings them all."""
    brought: dict[str, object] = {}
    exec("from linkauth import *", brought)
    assert set(linkauth.__all__) <= set(brought)


def test_no_public_name_leaks() -> None:
    """What can be imported from ``linkauth`` is listed there; the rest are its modules."""
    public = {name for name in dir(linkauth) if not name.startswith("_") and not ismodule(getattr(linkauth, name))}
    assert public == {name for name in linkauth.__all__ if not name.startswith("_")}
