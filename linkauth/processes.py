"""Which processes of this machine live, as its kernel tells, so that nobody waits for one that is dead.

A process has a name: the machine's, its id, and when it started, for ids are used again. The machine's is a digest of what the
kernel calls this boot, and of the namespaces in which ids and times are counted: of processes elsewhere, be it in another
container, nothing can be told. Linux alone has all of it, in ``/proc`` (proc(5)); without that no process has a name.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

__all__ = ["LocalProcesses"]

PROC = Path("/proc")
NAME = re.compile(r"([0-9a-f]{16})\.([1-9][0-9]{0,6})\.([0-9]{1,20})", re.ASCII)
"""The machine, the process's id (the kernel's highest is 2^22), and when it started, ticks since the boot."""
ENDED = frozenset({b"Z", b"X", b"x"})
"""States of a process that will run no more: nobody has asked yet how it ended."""


class LocalProcesses:
    """What can be told of the processes of this machine. The files that it reads are the kernel's memory, on no disk."""

    def own(self) -> str:
        """This process's name; empty where there is none. A forked child has its own."""
        try:
            return _named(os.getpid())
        except (OSError, ValueError, IndexError):
            return ""

    def is_alive(self, name: str) -> bool | None:
        """Whether the process of that name lives. False: it is certainly dead. None: that cannot be told from here."""
        told = NAME.fullmatch(name)
        if told is None or told[1] != self.own().partition(".")[0]:
            return None
        pid, started = int(told[2]), int(told[3])
        try:
            os.kill(pid, 0)  # changes nothing; and /proc may hide what belongs to another user
        except ProcessLookupError:
            return False
        except OSError:
            pass  # there is one, and it is another user's
        try:
            state, threads, since = _stat(pid)
        except (OSError, ValueError, IndexError):
            return True  # hidden, or just gone
        # Its first thread may have ended before the others.
        return since == started and not (state in ENDED and threads <= 1)


@lru_cache(maxsize=1)
def _named(pid: int) -> str:
    """The name of this process, whose id is ``pid``. ``OSError``, ``ValueError``, ``IndexError``: it has none."""
    if (PROC / "self").readlink() != Path(f"{pid}"):
        raise ValueError("this /proc counts processes for somebody else")
    boot = (PROC / "sys/kernel/random/boot_id").read_bytes()
    ids, times = (PROC / "self/ns/pid").readlink(), Path()
    with suppress(FileNotFoundError):  # before Linux 5.6 all count alike
        times = (PROC / "self/ns/time").readlink()
    machine = sha256(boot + f"{ids} {times}".encode()).hexdigest()[:16]
    return f"{machine}.{pid}.{_stat(pid)[2]}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_named.cache_clear)


def _stat(pid: int) -> tuple[bytes, int, int]:
    """A process's state, how many threads it has, and when it started, ticks since the boot: fields 3, 20 and 22.

    They are counted from behind its program's name, which may hold anything.
    """
    fields = (PROC / f"{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return fields[0], int(fields[17]), int(fields[19])
