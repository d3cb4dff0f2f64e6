"""At a terminal and away from one: prompts, signals, a reader that has gone, and what ``sandbox`` prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli import browser
from tests.cli.conftest import LINKAUTH, PATIENCE, Command, environment, run
from tests.cli.terminal import Terminal
from tests.loopback import closed_port
from tests.servers import until

if TYPE_CHECKING:
    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking


def test_a_password_is_asked_for_without_echo(here: Any, vendors: Vendors, store: str) -> None:
    """At a terminal e-mail and password are asked for; the password is not seen."""
    password = vendors.at["linkxg"]["password"]
    terminal = Terminal("connect", *vendors.options("linkxg-user")[:3], "--store", store)
    terminal.until("e-mail: ")
    terminal.type(f"{vendors.at['linkxg']['email']}\n")
    terminal.until("password: ")
    terminal.type(f"{password}\n")
    assert terminal.end() == 0, terminal.seen
    assert "Connected: linkxg-user/default" in terminal.seen
    assert password not in terminal.seen


@pytest.mark.parametrize("typed", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_a_question_can_be_left(vendors: Vendors, store: str, typed: str) -> None:
    """Ctrl-C and Ctrl-D at a prompt end the command at once, with 130 and without a traceback."""
    terminal = Terminal("connect", *vendors.options("linkxg-user"), "--store", store)
    terminal.until("password: ")
    terminal.type(typed)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen


def test_nothing_said(vendors: Vendors, store: str) -> None:
    """An empty answer is told, not sent."""
    terminal = Terminal("connect", *vendors.options("linkxg-user"), "--store", store)
    terminal.until("password: ")
    terminal.type("\n")
    assert terminal.end() == 1
    assert "password: nothing was said" in terminal.seen


def test_a_reader_that_has_gone(vendors: Vendors, store: str) -> None:
    """``linkauth status | head -0``: no failure, no traceback, and no exception ignored at exit."""
    run("connect", *vendors.options("linkxg-user"), "--store", store, **vendors.secrets("linkxg-user")).well()
    reading, writing = os.pipe()
    os.close(reading)
    command = subprocess.Popen(
        [*LINKAUTH, "status", "--store", store],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    _, err = command.communicate(timeout=PATIENCE)
    assert (command.returncode, err) == (0, "")


def test_verbose_shows_no_secret(vendors: Vendors, store: str) -> None:
    """With every logger at DEBUG, a login's output holds neither password nor token."""
    how = [*vendors.options("linkxg-user"), "--store", store]
    said = run("connect", *how, "-v", PYTHONASYNCIODEBUG="1", **vendors.secrets("linkxg-user"))
    token = run("token", *how[:3], "--store", store, "--reveal").well().strip()
    assert said.status == 0
    assert "DEBUG" in said.err
    for secret in (*vendors.every_secret, token):
        assert secret not in said.out + said.err


def test_keep_alive_goes_on_until_it_is_stopped(vendors: Vendors, store: str) -> None:
    """SIGTERM, as a service manager sends it, ends it in good order."""
    how = [*vendors.options("linkxg-user")[:3], "--store", store]
    email = vendors.at["linkxg"]["email"]
    run("connect", *how, "--email", email, **vendors.secrets("linkxg-user")).well()
    with Command("keep-alive", *how) as command:
        # It has written when the next round is, for which it waits.
        until(lambda: list(Path(store.removeprefix("file:")).glob("round+*")), PATIENCE)
        ended = command.end(signal.SIGTERM)
    assert ended.status == 143
    assert "Traceback" not in ended.err


# -- linkauth sandbox ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_ends_well(number: int) -> None:
    """It is stopped in no other way, so that is no failure."""
    with Command("sandbox", "--port", "0") as sandbox:
        sandbox.until("_control")
        ended = sandbox.end(number)
    assert (ended.status, ended.err) == (0, "")


def test_a_sandbox_that_cannot_listen(here: Any) -> None:
    """A port in use, an address that is not this machine's alone, a port that there is not: each in a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        here("sandbox", "--port", port).badly(f"cannot listen on 127.0.0.1:{port}: ", "Who has to act: you.")
    for address in ("0.0.0.0", "localhost", "::1"):
        here("sandbox", "--host", address).badly("an IPv4 loopback address and a port are needed")
    here("sandbox", "--port", "99999").badly("an IPv4 loopback address and a port are needed")


@pytest.mark.long
def test_every_line_that_the_sandbox_prints_works(tmp_path: Path) -> None:
    """Typed into a shell as printed, one after the other, with a user who accepts where a page is shown."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    linkauth = bin_folder / "linkauth"
    linkauth.write_text(f'#!/bin/sh\nexec {LINKAUTH[0]} -m linkauth "$@"\n')
    linkauth.chmod(0o755)
    env = environment(PATH=f"{bin_folder}:{os.environ['PATH']}", TMPDIR=str(tmp_path))
    # Not connect's own port, which another run of this test may hold at this moment.
    env["LINKAUTH_REDIRECT_URI"] = f"http://127.0.0.1:{closed_port()}/callback"
    with Command("sandbox", "--port", "0", PATH=env["PATH"]) as sandbox:
        sandbox.until("_control")
        typed = [line.strip() for line in sandbox.out if line.startswith("  ")]
        assert len(typed) == 13
        env["LINKAUTH_STORE"] = shell(typed[0].removeprefix("export ") + '; printf %s "$LINKAUTH_STORE"', env)
        assert env["LINKAUTH_STORE"].startswith("file:/")
        for line in typed[1:]:
            try_line(line, env)


def try_line(line: str, env: dict[str, str]) -> None:
    if "in a browser: " in line:
        page = browser.get(line.partition(": ")[2])
        assert page.status == 200, line
        assert "accept" in page.text.lower()
    elif " connect " in line and "linkxg-user" not in line:
        with subprocess.Popen(line, shell=True, env=env, stdout=subprocess.PIPE, text=True) as command:
            assert command.stdout is not None
            url = next(each.strip() for each in command.stdout if each.startswith("  http"))
            assert parse_qs(urlsplit(url).query)["redirect_uri"] == [env["LINKAUTH_REDIRECT_URI"]]
            next(each for each in command.stdout if "Waiting" in each)
            assert browser.answer(url).status == 200
            assert "Connected: " in command.stdout.read()
        assert command.returncode == 0, line
    elif line.startswith("curl") and not shutil.which("curl"):
        return
    else:
        said = shell(line, env)
        if line.startswith("curl"):
            assert "error" not in json.loads(said), said
        elif line.endswith("status"):
            assert said.count("/default") == 5, said
        else:
            assert re.search("valid until|Connected", said), said


def shell(line: str, env: dict[str, str]) -> str:
    ended = subprocess.run(
        line, shell=True, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert ended.returncode == 0, (line, ended.stdout, ended.stderr)
    return ended.stdout
