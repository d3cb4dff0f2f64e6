"""The demo in short: it ends well when all is well, badly when something is not, and leaves nothing behind."""

from __future__ import annotations

import io
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from linkauth.cli import crew, demo
from tests.cli.conftest import Command, run
from tests.servers import until

pytestmark = pytest.mark.blocking

SLOW = 100.0
"""Seconds that a loaded machine may take for nine processes."""


def test_it_ends_with_the_table(tmp_path: Path) -> None:
    """Without a terminal and in 40 columns: status 0, the table, the sentence; no folder stays."""
    out = run("demo", "--seconds", "3", timeout=SLOW, COLUMNS="40", TMPDIR=str(tmp_path)).well()
    assert max(map(len, out.splitlines())) <= 40
    words = " ".join(re.sub(r"[^\w(),.]", " ", out).split())
    assert re.search(r"shared \d tokens?, one after the other", words), words
    assert "with 0 errors." in words
    assert "rate_limit_exceeded (HTTP 429)" in words
    assert list(tmp_path.iterdir()) == []


PROC = Path("/proc")


def children(of: int) -> set[Path]:
    found = set()
    for entry in PROC.glob("[1-9]*"):
        with suppress(OSError):
            if (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(of):
                found.add(entry)
    return found


@pytest.mark.skipif(not PROC.exists(), reason="the children are found in /proc")
@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_stopped_in_the_middle(number: int, status: int) -> None:
    """Ctrl-C ends it without a traceback; and however it goes, even by kill -9, its processes end too."""
    with Command("demo", "--seconds", "60") as command:
        until(lambda: len(children(command.process.pid)) == 9, SLOW)
        started = children(command.process.pid)
        ended = command.end(number)
    assert (ended.status, ended.err) == (status, "")
    until(lambda: not [child for child in started if child.exists()], SLOW)


@pytest.mark.long
def test_a_store_that_cannot_be_used(here: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A planted fault: the store's folder is a file, so each process fetches a token for itself. That is told, and fails."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(demo, "_store", lambda _: f"file:{tmp_path / 'file'}")
    monkeypatch.setattr(demo, "WORKERS", 3)
    ended = here("demo", "--seconds", "1")
    assert ended.status == 1
    assert "in 3 processes shared" in ended.out


def test_a_worker_that_dies(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: a worker is killed. The demo says which, and by what."""
    monkeypatch.setattr(demo, "WORKERS", 1)
    listen = crew.Member._listen

    async def listen_and_kill(member: crew.Member) -> None:
        if "one shared store" in member.name:
            member._process.kill()
        await listen(member)

    monkeypatch.setattr(crew.Member, "_listen", listen_and_kill)
    ended = here("demo", "--seconds", "1")
    assert ended.status == 1
    assert "worker 1, one shared store, ended with signal 9" in " ".join(ended.out.split())


def test_a_part_that_does_not_start(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: the processes end at once. It is said in words."""
    monkeypatch.setattr(crew, "PROGRAM", "linkauth.cli.not_there")
    ended = here("demo", "--seconds", "1")
    assert ended.status == 1
    assert "The demo broke off: the vendors ended with status 1" in ended.out


def test_more_tokens_than_there_should_be(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound: a first token, and one more for each two thirds of a lifetime that the workers' own clock saw pass."""
    side = demo.Side("one shared store", 0)
    told = {"begun": 100.0, "now": 114.9, "errors": 0, "error": ""}

    class Member:
        def __init__(self, told: Any) -> None:
            self.told = told

    side.workers = [Member(told), Member({**told, "begun": 101.0, "now": 115.0})]
    side.vendors = Member([{"tokens": 8}, {}])
    assert side.most == 1 + 7
    from rich.console import Console

    console = Console(file=io.StringIO())
    assert demo._judge(console, side, demo.Side("every task for itself", 1)) == 0
    for tokens, errors in ((9, 0), (0, 0), (8, 1)):
        side.vendors.told[0]["tokens"] = tokens
        told["errors"] = errors
        assert demo._judge(console, side, demo.Side("every task for itself", 1)) == 1
