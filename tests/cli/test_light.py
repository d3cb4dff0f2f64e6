"""What the command line imports, and when: help, the version and completion wait for no library."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module

import pytest

from linkauth.cli.parser import COMMANDS
from tests.cli.conftest import environment

PROGRAM = """
import contextlib, io, json, sys
from linkauth.cli import main

for typed in ([], ["--help"], ["--version"], *([name, "--help"] for name in sys.argv[1:])):
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main(typed)
    assert said.getvalue(), typed
print(json.dumps([*sys.modules]))
"""


def test_help_waits_for_no_library() -> None:
    """``linkauth``, ``--help``, ``--version`` and each command's help import neither aiohttp nor attrs, cattrs, asyncio, the engine."""
    command = [sys.executable, "-c", PROGRAM, *COMMANDS]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=60)
    loaded = set(json.loads(ended.stdout))
    assert loaded.isdisjoint({"aiohttp", "attr", "attrs", "cattrs", "asyncio", "yarl", "rich", "linkauth.engine"})


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_there(name: str) -> None:
    """What the parser names as a command's code is a coroutine function."""
    module, _, function = COMMANDS[name][0].partition(".")
    assert inspect.iscoroutinefunction(getattr(import_module(f"linkauth.cli.{module}"), function))
