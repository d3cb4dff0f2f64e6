"""What ``import linkauth`` brings along."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that a new process has when it has imported linkauth."""
    ask = "import json, sys, linkauth; print(json.dumps([*sys.modules]))"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(told.stdout))


def test_what_few_apps_need_is_imported_by_them(loaded):
    """The catalogue, the command line, the sandbox, the web pages and a store's library come where they are asked for."""
    needless = {"vendors.catalog", "cli", "sandbox", "web", "clients", "testing"}
    assert {f"linkauth.{name}" for name in needless} & loaded == set()
    assert {"redis", "cryptography", "rich", "httpx", "opentelemetry"} & loaded == set()
