"""The demo in short: it ends well when all is well, badly when something is not, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from linkauth.cli.demo import by_hand, crew, play, show, sides
from linkauth.sandbox import Sandbox
from tests.cli.conftest import ROOT, Command, run
from tests.servers import until

pytestmark = pytest.mark.blocking

SLOW = 100.0
"""Seconds that a loaded machine may take for nine processes."""


def words_of(out: str) -> str:
    """Without the lines of the table, and however it was folded."""
    return " ".join(re.sub(r"[^\w(),.:]", " ", out).split())


@pytest.mark.long
def test_it_ends_with_the_table(tmp_path: Path) -> None:
    """A worker was killed, the store emptied: one login with linkauth, more by hand. No terminal, 40 columns; no folder stays."""
    out = run("demo", "--lifetime", "1", timeout=SLOW, COLUMNS="40", TMPDIR=str(tmp_path)).well()
    assert max(map(len, out.splitlines())) <= 40
    words = words_of(out)
    assert "killed in the middle of a renewal" in words
    assert "linkauth: another worker has taken over, and renewed" in words
    assert "linkauth: the workers have put the session back, and renewed" in words
    assert "linkauth: the user is logged out" not in words
    assert "with 0 calls that failed the user logged in once." in words
    again = re.search(r"Behind a lock by hand \d+ calls failed, and the user logged in (\d+) times", words)
    assert again, words
    assert int(again[1]) > 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_without_the_lease_the_user_is_logged_out(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: the lease keeps nobody out. The demo shows linkauth's user logged out, and fails."""
    monkeypatch.setattr(crew, "PROGRAM", "tests.cli.leaseless")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(show, "WORKERS", 3)
    monkeypatch.setattr(play, "PATIENCE", 20.0)
    ended = here("demo", "--lifetime", "1.5")
    assert ended.status == 1
    assert "linkauth: the user is logged out" in words_of(ended.out)


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
    with Command("demo", "--lifetime", "60") as command:
        until(lambda: len(children(command.process.pid)) == 9, SLOW)
        started = children(command.process.pid)
        ended = command.end(number)
    assert (ended.status, ended.err) == (status, "")
    until(lambda: not [child for child in started if child.exists()], SLOW)


def test_a_worker_that_dies(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: a worker is killed by somebody else. The demo says which, and by what."""
    monkeypatch.setattr(show, "WORKERS", 1)
    order = crew.Member.order

    async def order_and_kill(member: crew.Member, what: Any) -> None:
        await order(member, what)
        if "of linkauth" in member.name:
            member._process.kill()

    monkeypatch.setattr(crew.Member, "order", order_and_kill)
    ended = here("demo", "--lifetime", "1")
    assert ended.status == 1
    assert "worker 1 of linkauth ended with signal 9" in " ".join(ended.out.split())


def test_a_part_that_does_not_start(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: the processes end at once. It is said in words."""
    monkeypatch.setattr(show, "WORKERS", 1)
    monkeypatch.setattr(crew, "PROGRAM", "linkauth.cli.not_there")
    ended = here("demo", "--lifetime", "1")
    assert ended.status == 1
    assert re.search(r"The demo broke off: .* ended with status 1", " ".join(ended.out.split()))


def test_what_is_judged(tmp_path: Path) -> None:
    """Status 0 wants no failed call, no token sent twice, one login, and a first token and one for each two thirds of a life."""
    side = sides.Linkauth("linkauth", "through linkauth", tmp_path, 3.0)
    told = {"begun": 100.0, "now": 114.9, "failed": 0, "error": ""}

    class Member:
        def __init__(self, told: Any) -> None:
            self.told = told

    side.workers = [Member(told), Member({**told, "begun": 101.0, "now": 115.0})]  # type: ignore[list-item]
    assert side.most == 1 + 7
    other = sides.ByHand("a lock by hand", "by hand", tmp_path, 3.0)

    def status(failed: int = 0, **counts: int) -> int:
        told["failed"] = failed
        side.counts = {"tokens": 8, "password": 1, **counts}
        return show.judge(Console(file=io.StringIO()), side, other)

    assert status() == 0
    assert [status(1), status(tokens=9), status(tokens=0), status(password=2), status(refresh_reuse=1)] == [1] * 5


async def test_the_lock_by_hand_is_no_straw_man(tmp_path: Path) -> None:
    """In one process it does all right: one renewal for many tasks, what another process wrote is read, a dead token is not sent again."""
    async with Sandbox(linkxg={"refresh_limit": None}) as sandbox, aiohttp.ClientSession() as http:
        linkxg, file = sandbox.linkxg, tmp_path / "session.json"
        side = sides.ByHand("", "by hand", file, 900.0)
        side.place = sides.Place(url="", base_url=linkxg.base_url, email=linkxg.email, password=linkxg.password)
        await side.log_in()
        mine, others = (by_hand.Session(http, linkxg.base_url, file, 900.0) for _ in range(2))
        first = await mine.token()
        renewed = set(await asyncio.gather(*(mine.token(refused=first) for _ in range(20))))
        assert len(renewed) == 1
        assert linkxg.counts["refresh_requests"] == 1
        assert {await others.token()} == renewed

        spent = file.read_text().replace('"refresh_token": "', '"refresh_token": "not ')
        file.write_text(json.dumps({**json.loads(spent), "renew_at": time.time()}))
        for _ in range(2):
            with pytest.raises(by_hand.LoggedOut):
                await mine.token(refused=await others.token())
        assert linkxg.counts["refresh_requests"] == 2
        side.empty()
        with pytest.raises(by_hand.LoggedOut, match="the file is gone"):
            await by_hand.Session(http, linkxg.base_url, file, 900.0).token()
