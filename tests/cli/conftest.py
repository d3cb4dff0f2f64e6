"""The command line against a sandbox of its own process, as in two terminals."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs
import pytest

from linkauth.cli import main
from tests import packages
from tests.canary.plugin import CANARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
LINKAUTH = [sys.executable, "-m", "linkauth"]
PATIENCE = 100.0
"""Seconds that a loaded machine may take for one command."""


TELLING = ("LINKAUTH_", "SSH_", "DISPLAY", "WAYLAND_DISPLAY")
"""Variables that say something to linkauth."""


def environment(**more: str) -> dict[str, str]:
    """An environment without a word to linkauth but ``more``, with output buffered as it commonly is, and no browser to be opened."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*TELLING, "PYTHONUNBUF"))}
    path = f"{ROOT}{os.pathsep}{ROOT / 'stores'}"
    return kept | {"PYTHONPATH": path, "NO_COLOR": "1", "BROWSER": "true"} | more


@attrs.frozen
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    def well(self) -> str:
        """What it printed; nothing on standard error."""
        assert (self.status, self.err) == (0, ""), (self.status, self.out, self.err)
        return self.out

    def badly(self, *words: str) -> str:
        """What it said on standard error: status 1, one sentence, and who has to act; no traceback."""
        assert self.status == 1, (self.out, self.err)
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err
        return self.err


REVEALING = {"--reveal", "new-key", "sandbox"}
"""What is there to print secrets."""


def ran(arguments: Sequence[str], status: int, out: str, err: str) -> Ran:
    """How a command ended. The canary hears what it said, wherever it ran."""
    if not REVEALING.intersection(arguments):
        # The URL that the user is to open has its state in it: that is what it is for.
        CANARY.hear("a command's output", re.sub(r"\bstate=[\w-]+", "state=", f"{out}\n{err}"))
    return Ran(status, out, err)


def run(*arguments: str, stdin: str | None = None, timeout: float = PATIENCE, **env: str) -> Ran:
    """``python -m linkauth …`` as a process without a terminal."""
    ended = subprocess.run(
        [*LINKAUTH, *arguments], env=environment(**env), input=stdin or "", capture_output=True, text=True,
        check=False, timeout=timeout,
    )  # fmt: skip
    return ran(arguments, ended.returncode, ended.stdout, ended.stderr)


class Command:
    """``python -m linkauth …`` that goes on for a while. Its lines are read as they come."""

    def __init__(self, *arguments: str, **env: str) -> None:
        self._arguments = arguments
        self.process = subprocess.Popen(
            [*LINKAUTH, *arguments],
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=lambda: self.err.extend(self.process.stderr or ()), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self) -> str:
        """The next line."""
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"nothing more came after {self.out} {self.err}") from None
        assert line is not None, (self.out, self.err)
        self.out.append(line)
        return line

    def until(self, word: str) -> str:
        """The first line that has ``word`` in it."""
        while word not in self.line():
            pass
        return self.out[-1]

    def end(self, number: int | None = None) -> Ran:
        """Wait until it ends, after a signal if one is given."""
        if number is not None:
            # Ctrl-C goes to all that the terminal runs, other signals to one.
            (os.killpg if number == signal.SIGINT else os.kill)(self.process.pid, number)
        self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.out.append(line)
        return ran(self._arguments, self.process.returncode, "\n".join(self.out), "".join(self.err))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@attrs.frozen
class Vendors:
    """A running sandbox: ``at["linkkit"]["client_id"]``, and how a command line names each vendor."""

    at: Mapping[str, Any]

    def options(self, vendor: str) -> list[str]:
        """VENDOR and its registration."""
        part = self.at["linkxg" if vendor == "linkxg-user" else vendor]
        match vendor:
            case "linkxg-user":
                return [vendor, "--base-url", part["base_url"], "--email", part["email"]]
            case "oauth2":
                return [vendor, "--client-id", part["client_id"], "--issuer", part["issuer"], "--scope", "read"]
            case "sagex3":
                more = ["--customer", part["customer"]]
            case _:
                more = []
        return [vendor, "--client-id", part["client_id"], "--base-url", part["base_url"], *more]

    def secrets(self, vendor: str) -> dict[str, str]:
        """The environment that holds its secret."""
        if vendor == "linkxg-user":
            return {"LINKAUTH_PASSWORD": self.at["linkxg"]["password"]}
        return {"LINKAUTH_CLIENT_SECRET": self.at[vendor]["client_secret"]}

    @property
    def every_secret(self) -> set[str]:
        """What no output may show."""
        parts = [part for part in self.at.values() if isinstance(part, dict)]
        return {part[name] for part in parts for name in ("client_secret", "password") if name in part}


@pytest.fixture(scope="session")
def vendors() -> Iterator[Vendors]:
    """``linkauth sandbox --port 0 --json``, for all tests of this process: they are many, and LinkXG's limits are for one user."""
    limits = {"token_limit": None, "login_limit": None, "refresh_limit": None}
    with Command("sandbox", "--port", "0", "--json") as sandbox:
        all_of_them = Vendors(json.loads(sandbox.line()))
        control(all_of_them, {"linkxg": {"settings": limits}})
        yield all_of_them


@pytest.fixture
def own() -> Iterator[Vendors]:
    """A sandbox of the test's own: its client's secret will not be the one that was printed."""
    with Command("sandbox", "--port", "0", "--json") as sandbox:
        yield Vendors(json.loads(sandbox.line()))


def control(vendors: Vendors, orders: dict[str, Any]) -> dict[str, Any]:
    """Give the sandbox ``orders``."""
    body = json.dumps(orders).encode()
    request = urllib.request.Request(f"{vendors.at['url']}/_control", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store of this test's own."""
    return f"file:{tmp_path / 'store'}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A place in which Acme's distribution can be pretended to be installed (``install``)."""
    found = tmp_path / "site"
    found.mkdir()
    with packages.importable(found, "acme_linkauth"):
        yield found


def install(site: Path, code: str, *, name: str = "acme") -> None:
    """Acme's distribution, which offers the vendor ``name``: what ``code`` calls ``acme``."""
    points = {"linkauth.vendors": {name: "acme_linkauth:acme"}}
    packages.install(site, "acme-linkauth", points, {"acme_linkauth.py": code})


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Any:
    """``here(*arguments, **environment)``: the command line in this process."""
    for name in [name for name in os.environ if name.startswith(TELLING)]:
        monkeypatch.delenv(name)

    def run_here(*arguments: str, **env: str) -> Ran:
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = int(ended.code or 0)
        out, err = capsys.readouterr()
        return ran(arguments, status, out, err)

    return run_here
