"""Which processes live: each keeps a file locked for as long as it does, and the kernel unlocks it when it dies.

A process id can be reused, belongs to one container's view, and stays while a dead process waits to be reaped; a lock
has none of these faults. A process without a lock is dead. The name of its file stands in the leases that it takes.
A forked child is another process: it drops what it inherited, and locks a file of its own when it needs one.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
import time
from contextlib import suppress

__all__ = ["is_alive", "is_presence", "own", "sweep"]

_SUFFIX = ".alive"
_NEW = ".new"
_BIRTH = 60.0  # seconds in which its maker has locked and named a new file
_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Mine:
    """What this process has locked: (device, inode) of the folder -> name, descriptor."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.files: dict[tuple[int, int], tuple[str, int]] = {}

    def forget(self) -> None:
        """In a forked child: the parent's lock must not outlive the parent by its children."""
        for _, descriptor in self.files.values():
            with suppress(OSError):
                os.close(descriptor)
        self.__init__()  # type: ignore[misc]  # a lock held by a thread that the child does not have stays locked


_mine = _Mine()
os.register_at_fork(after_in_child=_mine.forget)


def own(folder: int) -> str:
    """The name of this process in ``folder`` (a descriptor), its file made and locked if it was not. ``OSError``."""
    status = os.fstat(folder)
    place = status.st_dev, status.st_ino
    with _mine.lock:
        if place in _mine.files:
            name, descriptor = _mine.files[place]
            if _same(folder, name, descriptor):
                return name
            os.close(_mine.files.pop(place)[1])  # somebody emptied the folder
        _mine.files[place] = name, _ = _make(folder)
        return name


def _same(folder: int, name: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(_file(name), dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _make(folder: int) -> tuple[str, int]:
    """Locked before it has its name, so that nobody finds it unlocked."""
    name = secrets.token_hex(16)
    descriptor = os.open(f".{name}{_NEW}", _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(f".{name}{_NEW}", _file(name), src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.close(descriptor)
        raise
    return name, descriptor


def is_alive(folder: int, name: str) -> bool:
    """Whether the process ``name`` lives; True where that cannot be told. ``OSError``."""
    if not _NAME.fullmatch(name):
        return True
    try:
        descriptor = os.open(_file(name), _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at once do not take one another for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def is_presence(name: str) -> bool:
    """Whether ``name`` is the name of a file of this module's."""
    return name.startswith(".") and name.endswith((_SUFFIX, _NEW))


def sweep(folder: int, name: str) -> None:
    """Remove the file ``name`` of a dead process. ``OSError``."""
    descriptor = os.open(name, _FLAGS, dir_fd=folder)
    try:
        if name.endswith(_NEW) and time.time() - os.fstat(descriptor).st_mtime < _BIRTH:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(descriptor)


def _file(name: str) -> str:
    return f".{name}{_SUFFIX}"
