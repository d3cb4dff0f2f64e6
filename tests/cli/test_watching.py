"""``linkauth status --watch``: what is shown goes on, through an outage of the store too, until it is stopped."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.cli import status
from linkauth.cli.parser import parser
from tests.cli.terminal import Terminal
from tests.cli.test_copy import sessions

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.blocking


class Watching:
    """``linkauth status --watch`` in this process; ``said``: all that it has written."""

    def __init__(self, store: str, *options: str) -> None:
        self.chosen = parser().parse_args(["status", "--store", store, "--watch", "0.01", *options])
        self.said = ""

    def run(self, *acts: Callable[[], Any], capsys: pytest.CaptureFixture[str], until: list[str]) -> None:
        """Do each of ``acts`` and wait until it is answered by the word of ``until``; then stop it."""

        async def whole() -> None:
            going = asyncio.create_task(status.run(self.chosen))
            for act, word in zip(acts, until, strict=True):
                act()
                seen = ""
                while word not in seen:
                    assert not going.done(), self.said
                    await asyncio.sleep(0.005)
                    seen += "".join(capsys.readouterr())
                self.said += seen
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going

        asyncio.run(asyncio.wait_for(whole(), 60))


@pytest.fixture
def folder(store: str) -> Path:
    """The store's, with a session in it."""
    sessions(store, "ada")
    return Path(store.removeprefix("file:"))


def lose(folder: Path) -> None:
    """Put something in the store's place that is none."""
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("")


def find(folder: Path) -> None:
    """And it is there again."""
    folder.unlink()
    folder.with_name("elsewhere").rename(folder)


def test_it_goes_on_while_the_store_is_away(
    here: Any, store: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its head says so, and since when what is shown is as it is; afterwards as before."""
    watching = Watching(store)
    watching.run(
        lambda: None, lambda: lose(folder), lambda: find(folder),
        capsys=capsys, until=["acme/ada", "the store is away", "every 0.01 s, Ctrl-C ends it\nacme/ada"],
    )  # fmt: skip
    assert "; as it was at 20" in watching.said
    assert "the store is away" in watching.said.partition("as it was at")[0]


def test_programs_read_it_too(here: Any, store: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of JSON alone on standard output, each round anew; an outage is one line on standard error."""
    assert json.loads(here("status", "--store", store, "--json").well())["account"] == "ada"
    watching = Watching(store, "--json")
    watching.run(
        lambda: None, lambda: lose(folder), lambda: find(folder),
        capsys=capsys, until=["}\n{", "the store is away", "}\n{"],
    )  # fmt: skip
    lines = watching.said.splitlines()
    assert sum("the store is away" in line for line in lines) == 1
    assert {json.loads(line)["account"] for line in lines if line.startswith("{")} == {"ada"}


def test_a_store_that_there_is_not(here: Any, store: str) -> None:
    """Is a mistake, as without --watch, and not waited for."""
    here("status", "--store", store, "--watch").badly("there is no store at that URL")
    assert here("status", "--store", store, "--watch", "0").status == 2


def test_at_a_terminal_it_is_drawn_in_place(store: str, folder: Path) -> None:
    """Until Ctrl-C, which ends it with 130 and without a traceback."""
    terminal = Terminal("status", "--store", store, "--watch", "0.1", TERM="xterm")
    terminal.until("acme/ada")
    terminal.until("\x1b[1A")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen


def test_without_rich(here: Any, store: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told what to install, at a terminal; elsewhere nothing is drawn."""
    monkeypatch.setitem(sys.modules, "linkauth.cli.drawing", None)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    here("status", "--store", store, "--watch").badly("pip install 'linkauth[cli]'")
