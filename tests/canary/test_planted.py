"""The canary is seen to sing: every planted leak is caught, and where nothing leaks nothing is said."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.canary import leaks, scan
from tests.canary.plugin import CANARY


@pytest.mark.leaks
@pytest.mark.parametrize("leak", leaks.PLANTED, ids=lambda leak: leak.__name__)
def test_a_planted_leak_is_caught(leak, canary):
    """A secret in this pocket is found."""
    canary.begin()
    leak()
    assert canary.end() != []


@pytest.mark.long
def test_the_suite_fails_where_a_secret_shows():
    """A test run over the planted leaks, as anybody would run it, fails in every one of them."""
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-W", "default", leaks.__file__]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=scan.HERE)
    every = [*leaks.PLANTED, *leaks.PRINTED]
    failed = set(re.findall(r"^(?:ERROR|FAILED) \S+test_leak\[(\w+)\]", ran.stdout, re.MULTILINE))
    assert failed == {leak.__name__ for leak in every}, ran.stdout[-3000:]


def test_silence_is_no_leak():
    """Where nothing is said nothing is found; a secret's mask is none."""
    CANARY.begin()
    CANARY.hear("log", "linkxg/ada: renewed **** for sandbox-linkxg")
    assert CANARY.end() == []
