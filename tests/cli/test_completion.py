"""Completion, in the shells themselves: what they offer after what was typed. None of them runs a program for it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("shtab", reason="it comes with the extra cli")
pytestmark = pytest.mark.blocking  # a command line prints

TYPED = [
    ("linkauth st", {"status"}),
    ("linkauth -v --profile work keep", {"keep-alive"}),
    ("linkauth connect link", {"linkedin", "linkkit", "linkxg", "linkxg-user"}),
    ("linkauth token --store memory: sla", {"slack"}),
    ("linkauth token slack --rev", {"--reveal", "--revoke-url"}),
    ("linkauth completion f", {"fish"}),
]
"""What is typed before the key, and what is offered."""

BASH = """
shopt -s progcomp
source "$1"; shift
function_name=$(complete -p linkauth | { read -r line; line=${line##*-F }; echo "${line%% *}"; })
PATH=
for typed; do
  COMP_LINE=$typed; COMP_POINT=${#typed}; read -ra COMP_WORDS <<<"$typed"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
  "$function_name" linkauth "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
  echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture
def script(here: Any, tmp_path: Path) -> Any:
    """``script(shell)``: the file that ``linkauth completion`` wrote."""

    def write(shell: str) -> Path:
        file = tmp_path / f"linkauth.{shell}"
        file.write_text(here("completion", shell).well(), encoding="utf-8")
        return file

    return write


def found(command: str) -> str:
    """Where a shell is."""
    return shutil.which(command) or pytest.skip(f"{command} is not installed")


def test_bash_completes(script: Any) -> None:
    """Commands, options after VENDOR, vendors of the catalogue too; with no PATH, so that nothing can be run meanwhile."""
    command = [found("bash"), "--norc", "-c", BASH, "bash", script("bash"), *(typed for typed, _ in TYPED)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""
    assert [set(line.split()) for line in ended.stdout.splitlines()] == [offered for _, offered in TYPED]


@pytest.mark.long
def test_fish_completes(script: Any) -> None:
    """As bash does."""
    file = script("fish")
    for typed, offered in TYPED:
        program = f"source {file}; set PATH; complete -C '{typed}'"
        command = [found("fish"), "--no-config", "-c", program]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert {line.partition("\t")[0] for line in ended.stdout.splitlines()} == offered


@pytest.mark.long
@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_zsh_completes(script: Any, tmp_path: Path, typed: str, offered: set[str]) -> None:
    """As bash does, at a terminal: there is no other way to ask it."""
    script("zsh").rename(tmp_path / "_linkauth")  # a folder of functions is where zsh looks
    ours, theirs = pty.openpty()
    shell = subprocess.Popen([found("zsh"), "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    said = ""

    def until(words: set[str]) -> None:
        nonlocal said
        while not all(word in said for word in words):
            assert select.select([ours], [], [], PATIENCE)[0], said
            said += os.read(ours, 4096).decode(errors="replace")

    try:
        # The prompt says that keys are read; before that Ctrl-D would end the line.
        begin = f"fpath=({tmp_path} $fpath); autoload -U compinit; compinit -D -u; PATH= ; PS1=read''y\n"
        os.write(ours, begin.encode())
        until({"ready"})
        said = ""
        # Ctrl-D lists what can be completed, whether it is one or several.
        os.write(ours, f"{typed}\x04".encode())
        until(offered)
    finally:
        shell.kill()
        shell.wait(60)
        os.close(ours)
