"""The recipes' page, cut into files; a Redis and the sandbox for what they start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import Server, binary, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text()
FILES = dict(re.findall(r"```python\n# ([\w ]+(?:\.py)?)\n(.*?)```", PAGE, flags=re.DOTALL))
COMMANDS = [command.strip() for command in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)]
PATIENCE = 60.0
"""Seconds that a busy machine may take to start three workers."""


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if binary() is None:
        pytest.skip("no Redis on this machine")
    with Server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def sandbox() -> Iterator[dict[str, Any]]:
    """What ``linkauth sandbox --json`` prints, in a process of its own."""
    command = [sys.executable, "-m", "linkauth", "sandbox", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)


@pytest.fixture
def folder(tmp_path: Path, sandbox: dict[str, Any], redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's files, and the environment that they read."""
    for name, body in FILES.items():
        if name.endswith(".py"):
            (tmp_path / name).write_text(body)
    linkxg, linkkit = sandbox["linkxg"], sandbox["linkkit"]
    monkeypatch.setenv("LINKAUTH_STORE", f"{redis_url}?prefix={tmp_path.name}")
    monkeypatch.setenv("LINKXG_ID", linkxg["client_id"])
    monkeypatch.setenv("LINKXG_SECRET", linkxg["client_secret"])
    monkeypatch.setenv("LINKXG_URL", linkxg["base_url"])
    monkeypatch.setenv("LINKKIT_ID", linkkit["client_id"])
    monkeypatch.setenv("LINKKIT_SECRET", linkkit["client_secret"])
    monkeypatch.setenv("LINKKIT_URL", linkkit["base_url"])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command of the page that begins with ``words``, with ``more`` arguments; it is ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def started(words: str, *more: str) -> subprocess.Popen[str]:
        (command,) = (one for one in COMMANDS if one.startswith(words))
        program = shutil.which(command.split()[0])
        assert program is not None, f"{command.split()[0]} is not installed: pip install -e '.[recipes]'"
        full = " ".join([command, *more])
        process = subprocess.Popen(["bash", "-c", f"exec {full}"], cwd=folder, text=True, start_new_session=True)
        running.append(process)
        return process

    yield started
    for process in running:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def fetch(url: str) -> bytes:
    """What is served at ``url``, once it is served."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture
def token_requests(sandbox: dict[str, Any]) -> Callable[[], int]:
    """How many token requests LinkXG has seen."""
    return lambda: int(json.loads(fetch(sandbox["url"] + "/counters"))["linkxg"]["token_requests"])


@pytest.fixture
def order(sandbox: dict[str, Any]) -> Callable[[object], None]:
    """Give the sandbox an order, as ``linkauth.sandbox.control`` reads it."""

    def ordered(what: object) -> None:
        body = json.dumps(what).encode()
        request = urllib.request.Request(f"{sandbox['url']}/_control", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).close()

    return ordered


@pytest.fixture
def port() -> int:
    return free_port()
