"""What the processes of ``test_file_processes`` do: ``python file_program.py PROGRAM FOLDER``."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from linkauth.store import Busy, Granted
from linkauth_stores import file, folder
from linkauth_stores.file import FileStore

KEYS = ("a", "b", "c")
KILLS = 40


def kills(place: str) -> None:
    """Fork writers and kill each at some moment; print what each was told was stored."""
    chance = random.Random(7)
    for _ in range(KILLS):
        heard, says = os.pipe()
        writer = os.fork()
        if writer == 0:
            os.close(heard)
            asyncio.run(write(place, says))
        os.close(says)
        told = os.read(heard, 100)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        while more := os.read(heard, 65536):
            told += more
        os.close(heard)
        print(told.decode(), end="")


async def write(place: str, says: int) -> None:
    """Commit to the keys in turn, without end, values that tell their number."""
    store = FileStore(place)
    numbers = dict.fromkeys(KEYS, 0)
    for key in KEYS:
        record = (await store.read(key)).record
        numbers[key] = record.version if record else 0
    while True:
        for key in KEYS:
            numbers[key] += 1
            await store.commit(key, numbers[key], b"%d," % numbers[key] * 20_000)
            os.write(says, b"%b %d\n" % (key.encode(), numbers[key]))


def fork(place: str) -> None:
    """A child with its parent's store is a process of its own, and its death is no secret."""
    store = FileStore(place)
    assert isinstance(asyncio.run(store.claim("parent's", "parent", 30, 0, b"")), Granted)
    child = os.fork()
    if child == 0:
        assert isinstance(asyncio.run(store.claim("parent's", "child", 30, 0, b"")), Busy)
        assert isinstance(asyncio.run(store.claim("child's", "child", 30, 0, b"")), Granted)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    inherits = asyncio.run(store.claim("child's", "parent", 30, 0, b""))
    assert isinstance(inherits, Granted)
    assert inherits.inherited
    assert isinstance(asyncio.run(store.claim("parent's", "another", 30, 0, b"")), Busy), "the parent still lives"


def locked(place: str) -> None:
    """A child that is born while a lock is held has it no more: not even a descriptor by which it would last."""
    Path(place).mkdir(0o700)
    with folder.opened(Path(place)) as at, folder.locked(at, "k"):
        (descriptor,) = folder._held
        child = os.fork()
        if child == 0:
            try:
                os.fstat(descriptor)
            except OSError:
                os._exit(0 if not folder._held else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert os.fstat(descriptor)


def keeps(place: str) -> None:
    """Take the lock that guards ``k``, tell it, and keep it until the input ends."""
    with folder.opened(Path(place)) as at, folder.locked(at, file._name("k")):
        print("locked", flush=True)
        sys.stdin.read()


def orphan(place: str) -> None:
    """Claim, fork a child that does nothing, tell its process id, and wait to be killed."""
    store = FileStore(place)
    assert isinstance(asyncio.run(store.claim("k", "parent", 30, 0, b"")), Granted)
    child = os.fork()
    if child:
        print(child, flush=True)
    else:
        os.close(1)  # whoever waits for the parent's output to end does not wait for the child
    time.sleep(60)


if __name__ == "__main__":
    {"kills": kills, "fork": fork, "locked": locked, "keeps": keeps, "orphan": orphan}[sys.argv[1]](sys.argv[2])
