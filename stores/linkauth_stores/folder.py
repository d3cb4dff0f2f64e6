"""A folder for secrets, shared by processes: who may look, how a file is replaced, and who may change it meanwhile.

Everything goes through a descriptor of the folder, so that nobody can swap it between check and use. Symbolic links are
never followed, but for those above the folder. ``OSError`` and ``Refused`` come out of every function.
"""

from __future__ import annotations

import fcntl
import os
import random
import secrets
import stat
import time
import zlib
from contextlib import contextmanager, suppress
from errno import ELOOP, ENOTDIR
from typing import IO, TYPE_CHECKING, cast

from linkauth.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = [
    "Refused",
    "is_open_to_others",
    "is_temporary",
    "lock_of",
    "locked",
    "names",
    "opened",
    "read",
    "replace",
    "sweep",
]

STRIPES = 16
"""Lock files. Keys share them by hash: a lock file that is never deleted needs no care, and one per key would litter."""
PATIENCE = 5.0
"""Seconds to wait for a lock that is held for a millisecond, as a rule, before the store counts as unavailable."""
LARGEST = 64 * 1024 * 1024

_SAFE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # not to hang on a pipe that somebody put there
_held: set[int] = set()


class Refused(StoreUnavailable):
    """Somebody else could read or change what is here. The message goes on from the folder's path."""


def _let_go() -> None:
    """In a forked child: a lock that a thread of the parent holds must end with the parent."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def opened(path: Path) -> Generator[int]:
    """A descriptor of the folder ``path``, made (0700) if it is not there. Ours alone, or ``Refused``."""
    flags = os.O_RDONLY | os.O_DIRECTORY | _SAFE
    try:
        folder = os.open(path, flags)
    except FileNotFoundError:
        _make(path)
        folder = os.open(path, flags)
    except OSError as error:
        if error.errno not in {ELOOP, ENOTDIR}:
            raise
        kind = "a symbolic link" if path.is_symlink() else "no folder"
        raise Refused(f"is {kind}: name the folder itself") from None
    try:
        status = os.fstat(folder)
        if status.st_uid != os.geteuid():
            raise Refused(f"belongs to user {status.st_uid}, this process is user {os.geteuid()}")
        if status.st_mode & 0o077:
            raise Refused(f"is open to others (mode {stat.S_IMODE(status.st_mode):04o}): chmod 700 it")
        yield folder
    finally:
        os.close(folder)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(0o700, exist_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def names(folder: int) -> list[str]:
    """The names of all that is in it."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _open(folder: int, name: str, flags: int) -> int:
    """A regular file of ours, or ``Refused``."""
    try:
        descriptor = os.open(name, flags | _SAFE, 0o600, dir_fd=folder)
    except OSError as error:
        if stat.S_ISLNK(_mode(folder, name)):
            raise Refused(f"in it, {name} is a symbolic link: look who put it there") from None
        raise error from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        return descriptor
    os.close(descriptor)
    whose = f"belongs to user {status.st_uid}" if stat.S_ISREG(status.st_mode) else "is no file"
    raise Refused(f"in it, {name} {whose}: look who put it there")


def is_open_to_others(folder: int, name: str) -> bool:
    """Whether others than its owner may read or write the file of that ``name``."""
    return bool(_mode(folder, name) & 0o077) and not stat.S_ISLNK(_mode(folder, name))


def _mode(folder: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return 0


@contextmanager
def _file(folder: int, name: str) -> Generator[IO[bytes] | None]:
    try:
        descriptor = _open(folder, name, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    with cast("IO[bytes]", os.fdopen(descriptor, "rb")) as file:
        yield file


def read(folder: int, name: str, *, line: bool = False) -> bytes | None:
    """What the file ``name`` holds, its first line if ``line``; None: there is none. Needs no lock."""
    with _file(folder, name) as file:
        if file is None:
            return None
        if line:
            return file.readline(LARGEST)
        # As much as there is: for what it is told to read it makes room at first.
        return file.read(min(os.fstat(file.fileno()).st_size, LARGEST))


@contextmanager
def locked(folder: int, name: str, *, until: float = 0.0) -> Generator[None]:
    """Alone with ``name`` among all processes and threads. ``BlockingIOError`` if it is not so ``until`` then (monotonic seconds)."""
    lock = _open(folder, f".{lock_of(name)}.lock", os.O_RDWR | os.O_CREAT)
    _held.add(lock)
    try:
        _lock(lock, until)
        yield
        # Not by closing alone: a child forked in between has the lock, too, as long as it has the descriptor.
        fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        _held.discard(lock)
        os.close(lock)


def _lock(lock: int, until: float) -> None:
    """By trying, since a blocking flock knows no time-out and its thread could not be ended."""
    pause = 0.0005
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - to get out of step with the others
        pause = min(pause * 1.5, 0.01)


def replace(folder: int, name: str, content: bytes) -> None:
    """Put ``content`` in the place of ``name``, whole and durable or not at all. Needs the lock."""
    temporary = f".{lock_of(name)}.{secrets.token_hex(8)}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def is_temporary(name: str) -> bool:
    """Whether ``name`` is what ``replace`` writes to at first."""
    return name.startswith(".") and name.endswith(".tmp")


def sweep(folder: int, name: str) -> None:
    """Remove the temporary file ``name`` that a killed process left: who writes one holds the lock in its name."""
    with locked(folder, name):
        os.unlink(name, dir_fd=folder)


def lock_of(name: str) -> str:
    """The lock that guards ``name``. A temporary file's name begins with its own."""
    if name.startswith("."):
        return name[1:3]
    return f"{zlib.crc32(name.encode()) % STRIPES:02x}"
