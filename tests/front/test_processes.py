"""Which process lives is told by the kernel, and only where it knows for certain."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import linkauth.processes
from linkauth.processes import LocalProcesses

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = [
    pytest.mark.blocking,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere no process has a name"),
]
KNOWS = LocalProcesses()
TELLS = """
import sys
from linkauth.processes import LocalProcesses
print(LocalProcesses().own(), flush=True)
sys.stdin.read()
"""


@contextmanager
def another() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, which lives until its input ends, and its name."""
    with subprocess.Popen(
        [sys.executable, "-c", TELLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdout is not None
        yield it, it.stdout.readline().strip()
        it.kill()


def ended(pid: int) -> None:
    """Return once the process has ended, and leave it unreaped: a zombie."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_process_lives_until_it_is_killed() -> None:
    """From another process: alive, then a zombie that nobody has reaped, then no more; both are dead."""
    with another() as (it, name):
        assert KNOWS.is_alive(name) is True
        it.kill()
        ended(it.pid)
        assert KNOWS.is_alive(name) is False
        it.wait()
        assert KNOWS.is_alive(name) is False


def test_a_stopped_process_lives() -> None:
    """After SIGSTOP it may go on at any moment, with a request in the air."""
    with another() as (it, name):
        it.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, it.pid, os.WSTOPPED)
        assert KNOWS.is_alive(name) is True
        it.send_signal(signal.SIGCONT)


def test_an_id_that_is_used_again_is_another_process() -> None:
    """The id lives, but started at another time: whoever had it before is dead."""
    machine, pid, started = KNOWS.own().split(".")
    assert KNOWS.is_alive(f"{machine}.{pid}.{started}") is True
    assert KNOWS.is_alive(f"{machine}.{pid}.{int(started) - 1}") is False


def test_a_process_whose_first_thread_has_ended_lives(proc: Path) -> None:
    """The kernel calls it a zombie, and another thread of it is still at work."""
    write(proc, os.getpid(), state="Z", threads=2)
    assert KNOWS.is_alive(KNOWS.own()) is True
    write(proc, os.getpid(), state="Z", threads=1)
    assert KNOWS.is_alive(KNOWS.own()) is False


def test_a_program_may_be_called_anything(proc: Path) -> None:
    """Brackets and blanks in its name do not move the fields behind it."""
    write(proc, os.getpid(), called="a) Z 1 (b) c")
    assert KNOWS.own().endswith(f".{os.getpid()}.4711")
    assert KNOWS.is_alive(KNOWS.own()) is True


def test_what_belongs_to_another_user_is_told_by_the_kernel(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A /proc that hides it (hidepid) is no sign of death: that there is such an id, is one of life."""
    name = KNOWS.own().split(".")[0] + ".12345.1"
    told: list[Exception | None] = [PermissionError(), None, ProcessLookupError()]

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (12345, 0)
        if (error := told.pop(0)) is not None:
            raise error

    monkeypatch.setattr(os, "kill", kill)
    assert [KNOWS.is_alive(name) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("foreign", ["0123456789abcdef.1.1", "", "strange", "0123456789abcdef.-1.1", "1.2.3.4"])
def test_of_another_machine_nothing_is_told(foreign: str) -> None:
    """Nor of what is no name at all."""
    assert KNOWS.is_alive(foreign) is None


@pytest.mark.parametrize(
    ("file", "becomes"),
    [
        ("self", None),
        ("self", "1"),
        ("sys/kernel/random/boot_id", None),
        ("self/ns/pid", None),
        (f"{os.getpid()}/stat", "1 (python) S"),
    ],
    ids=["none", "another container's", "no boot", "no namespace", "unreadable"],
)
def test_without_a_proc_of_its_own_it_has_no_name(proc: Path, file: str, becomes: str | None) -> None:
    """And then nothing is told of others either: they are waited out."""
    there = KNOWS.own()
    assert there
    linkauth.processes._named.cache_clear()
    where = proc / file
    if where.is_symlink():
        where.unlink()
        if becomes is not None:
            where.symlink_to(becomes)
    elif becomes is None:
        where.unlink()
    else:
        where.write_text(becomes)
    assert KNOWS.own() == ""
    assert KNOWS.is_alive(there) is None


@pytest.mark.parametrize(("file", "becomes"), [("self/ns/pid", "pid:[2]"), ("self/ns/time", "time:[2]")])
def test_who_counts_otherwise_is_another_machine(proc: Path, file: str, becomes: str) -> None:
    """In another namespace the same id, or the same moment, is another one."""
    before = KNOWS.own()
    linkauth.processes._named.cache_clear()
    (proc / file).unlink()
    (proc / file).symlink_to(becomes)
    assert KNOWS.own().split(".")[0] != before.split(".")[0]
    assert KNOWS.is_alive(before) is None


def test_an_older_kernel_has_no_namespace_of_times(proc: Path) -> None:
    """Before Linux 5.6 all count alike, and a process has a name all the same."""
    (proc / "self/ns/time").unlink()
    assert KNOWS.is_alive(KNOWS.own()) is True


def test_a_forked_child_is_another_process() -> None:
    """Its parent's name was looked up before the fork; the child has its own, and the parent sees it die."""
    mine = KNOWS.own()
    context = multiprocessing.get_context("fork")
    says, told = context.Pipe()
    child = context.Process(target=_tell, args=(told,))
    child.start()
    name = says.recv()
    assert name.split(".")[1] == str(child.pid)
    assert (name != mine, KNOWS.is_alive(name), KNOWS.own()) == (True, True, mine)
    child.kill()
    child.join()
    assert KNOWS.is_alive(name) is False


def test_a_name_says_nothing_of_the_machine() -> None:
    """It lies in the store: neither what the boot is called nor a host's name is in it, only a digest of it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot not in KNOWS.own()
    assert boot.replace("-", "")[:16] not in KNOWS.own()


def _tell(told: Any) -> None:
    told.send(LocalProcesses().own())
    signal.pause()


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A /proc of the test's own, as this process would see it."""
    pid = os.getpid()
    (tmp_path / f"{pid}/ns").mkdir(parents=True)
    (tmp_path / "self").symlink_to(str(pid))
    (tmp_path / f"{pid}/ns/pid").symlink_to("pid:[1]")
    (tmp_path / f"{pid}/ns/time").symlink_to("time:[1]")
    boot = tmp_path / "sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("3c7a33f6-1a09-4c0a-8a54-4b0f7d3a2c1e\n")
    write(tmp_path, pid)
    monkeypatch.setattr(linkauth.processes, "PROC", tmp_path)
    linkauth.processes._named.cache_clear()
    yield tmp_path
    linkauth.processes._named.cache_clear()


def write(proc: Path, pid: int, *, called: str = "python", state: str = "S", threads: int = 1) -> None:
    """What the kernel says of a process (proc(5))."""
    between = " ".join("0" for _ in range(16))
    (proc / f"{pid}/stat").write_text(f"{pid} ({called}) {state} {between} {threads} 0 4711 0 0\n")
