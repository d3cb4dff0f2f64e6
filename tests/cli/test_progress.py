"""Long commands tell at a terminal how far they are; in a log they have their last line alone."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.cli.words import rate
from tests.cli.test_copy import sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

pytestmark = pytest.mark.blocking

NAMES = "ada", "bob", "cleo"


at_both = pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "log"])


@pytest.fixture
def err(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Have standard error say whether it is a terminal."""

    def says(is_terminal: bool) -> None:  # to be called in the test: only then is it capsys's
        monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
        monkeypatch.setenv("TERM", "xterm")

    return says


def shows(ended: Ran, bar: str, *, is_terminal: bool) -> None:
    """``bar``: what it comes to."""
    assert ended.status == 0, ended
    if is_terminal:
        assert re.search(rf"{bar}.*\d+/(s|min)", ended.err), ended.err
    else:
        assert ended.err == ""


@at_both
def test_reseal(here: Any, store: str, err: Any, *, is_terminal: bool) -> None:
    """Counts what it has looked at, of all that there is: three sessions and one authorization."""
    err(is_terminal)
    key = here("new-key").well().strip()
    sessions(store, *NAMES)
    ended = here("reseal", "--store", store, LINKAUTH_KEYS=f"{key},plain")
    assert ended.out == "written anew 4\n"
    shows(ended, "looked at.*4/4", is_terminal=is_terminal)


@at_both
def test_copy(here: Any, store: str, err: Any, *, is_terminal: bool) -> None:
    """Counts records, of those that there were when it began."""
    err(is_terminal)
    sessions(store, *NAMES)
    ended = here("copy", store, f"{store}-2")
    assert ended.out.startswith("copied 4,")
    shows(ended, "copied.*4/4", is_terminal=is_terminal)


@at_both
def test_import(here: Any, store: str, err: Any, monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
    """Counts sessions, of the lines that were understood."""
    err(is_terminal)
    lines = "".join(json.dumps({"account": name, "refresh_token": f"rt-{name}"}) + "\n" for name in NAMES)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    where = ["--token-url", "https://acme.example/t", "--authorize-url", "https://acme.example/a"]
    how = ["import", "oauth2", "--client-id", "c", *where, "--store", store, "--no-renew"]
    ended = here(*how, LINKAUTH_CLIENT_SECRET="acme-client-secret")
    assert ended.out.startswith("stored 3,")
    shows(ended, "stored.*3/3", is_terminal=is_terminal)


def test_how_fast() -> None:
    """Of what is slow the minute is told, which vendors state their limits in."""
    assert (rate(1234.5), rate(1.0), rate(0.5)) == ("1,234/s", "1/s", "30/min")


def test_without_rich(here: Any, store: str, err: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar is no need: the command does its work."""
    monkeypatch.setitem(sys.modules, "linkauth.cli.drawing", None)
    err(True)
    sessions(store, *NAMES)
    assert here("copy", store, f"{store}-2").well().startswith("copied 4,")
