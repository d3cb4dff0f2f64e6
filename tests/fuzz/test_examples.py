"""Which examples hypothesis tries: the same in each run of the tests, new ones in each run that looks for more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import tests.conftest
from hypothesis import given, strategies as st

@given(st.integers())
def shown(number):
    print(number)

shown()
"""


def examples(**more: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "LINKAUTH_FUZZ"}} | more
    # Anew from the repository's root, where hypothesis would find examples of before, too.
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert len(told.stdout.splitlines()) > 50
    return told.stdout


@pytest.mark.long
def test_the_tests_try_the_same_examples_each_time() -> None:
    """What fails here fails everywhere, and nothing comes by chance upon whoever changed something else."""
    assert examples() == examples()


@pytest.mark.long
@pytest.mark.parametrize(
    "ci", [{}, {"CI": "true"}], ids=["at home", "where hypothesis repeats itself of its own accord"]
)
def test_who_looks_for_more_is_shown_new_examples_each_time(ci: dict[str, str]) -> None:
    """``LINKAUTH_FUZZ=N`` is no repetition: neither of the run before, nor of the tests'."""
    first, second = examples(LINKAUTH_FUZZ="1", **ci), examples(LINKAUTH_FUZZ="1", **ci)
    assert first != second
    assert examples() not in {first, second}
