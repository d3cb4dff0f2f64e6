"""Readers that have gone, and what is told to those that are there: each error once, and more with ``-v`` wherever it stands."""

from __future__ import annotations

import logging
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.cli.parser import parser
from tests.cli.conftest import LINKAUTH, PATIENCE, environment
from tests.loopback import closed_port

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.blocking  # a command line prints


@pytest.mark.parametrize(
    ("arguments", "gone", "status"),
    [
        ([], {"stdout"}, 0),
        (["--help"], {"stdout", "stderr"}, 0),
        (["--version"], {"stdout"}, 0),
        (["frobnicate"], {"stderr"}, 2),
        (["status", "--store", "nowhere:x"], {"stderr"}, 1),
    ],
)
def test_a_closed_pipe_is_no_failure(arguments: Sequence[str], gone: set[str], status: int) -> None:
    """Whichever stream nobody reads: the exit status is the one that it would have been, and no traceback is told on the other."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {name: writing if name in gone else subprocess.PIPE for name in ("stdout", "stderr")}
    command = subprocess.Popen(
        [*LINKAUTH, *arguments], env=environment(), stdin=subprocess.DEVNULL, text=True, **streams
    )
    os.close(writing)
    out, err = command.communicate(timeout=PATIENCE)
    assert (command.returncode, out or "", err or "") == (status, "", "")


@pytest.fixture
def alone(here: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As ``here``, and nobody listens to the log yet, as in a process that begins."""

    def run(*arguments: str, **env: str) -> Any:
        root = logging.getLogger()
        with monkeypatch.context() as patch:
            patch.setattr(root, "handlers", [])  # pytest's own
            patch.setattr(root, "level", root.level)
            return here(*arguments, **env)

    return run


def away() -> list[str]:
    """A vendor at which nobody listens."""
    url = f"http://127.0.0.1:{closed_port()}/v1"
    return ["token", "linkxg", "--client-id", "a", "--base-url", url, "--store", "memory:"]


def test_one_error_is_told_once(alone: Any) -> None:
    """What the log has said, with vendor and account, is not said again; who has to act is."""
    said = alone(*away(), LINKAUTH_CLIENT_SECRET="s").badly("linkauth: linkxg/default: ", "Nobody has to act")
    assert said.count("no connection came about") == 1


def test_verbose_goes_anywhere() -> None:
    """``-v`` before the command, after it, between its arguments and at the end; nowhere, it is off."""
    arguments = ["status", "--needs-user", "--store=memory:", "--json"]
    for place in range(len(arguments) + 1):
        assert parser().parse_args([*arguments[:place], "-v", *arguments[place:]]).verbose
    assert not parser().parse_args(arguments).verbose
