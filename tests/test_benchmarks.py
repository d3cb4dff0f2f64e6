"""The benchmarks run; what they measure is nobody's test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_benchmarks_run() -> None:
    """``python -m benchmarks`` prints its table and the machine; of many tasks without a token one asks."""
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "a token from memory" in ran.stdout
    assert "through the middleware" in ran.stdout
    assert re.search(r"^100 tasks without a token +1 request ", ran.stdout, re.MULTILINE)
    assert " cores, load " in ran.stdout
