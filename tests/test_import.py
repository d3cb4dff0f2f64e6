"""What ``import linkauth`` brings along, and what the first use of a name does."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import linkauth

HEAVY = {"aiohttp", "attr", "attrs", "cattrs", "asyncio"}
"""What a command's help, and a completion, need not wait for."""

LAZILY = """
import json, pickle, pydoc, sys
import linkauth
begun = [*sys.modules]
error = pickle.loads(pickle.dumps(linkauth.errors.NoAnswer("nothing came")))
assert type(error) is linkauth.NoAnswer
listed = dir(linkauth)
helped = pydoc.plain(pydoc.render_doc(linkauth))
exec("from linkauth import *")
print(json.dumps([begun, listed, helped, [name for name in linkauth.__all__ if name not in globals()]]))
"""


def told(program: str) -> object:
    """What a new process that runs ``program`` prints, read as JSON."""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ended.stdout)


def test_what_few_apps_need_is_imported_by_them():
    """The catalogue, the command line, the sandbox, the web pages and a store's library come where they are asked for."""
    loaded = {*told("import json, sys, linkauth; linkauth.AuthEngine; print(json.dumps([*sys.modules]))")}
    needless = {"vendors.catalog", "cli", "sandbox", "web", "clients", "testing"}
    assert {f"linkauth.{name}" for name in needless} & loaded == set()
    assert {"redis", "cryptography", "rich", "httpx", "opentelemetry"} & loaded == set()


def test_the_package_alone_is_light_and_has_all_its_names():
    """A new process: ``import linkauth`` brings no library; ``dir``, ``help``, ``import *``, errors and their pickles work."""
    begun, listed, helped, missing = told(LAZILY)
    assert HEAVY.intersection(begun) == set()
    assert {*linkauth.__all__, "errors", "vendors", "store", "oauth"} <= {*listed}
    assert "class AuthEngine" in helped
    assert missing == []


def test_what_runs_is_what_checkers_read():
    """Each public name comes from the very module that ``__init__`` names to type checkers; none is in one list alone."""
    tree = ast.parse(Path(linkauth.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test).endswith("CHECKING"))
    read = {one.name: node.module for node in block.body for one in node.names}
    ran = {
        name: f"linkauth.{linkauth._HOMES.get(name, 'errors')}" for name in linkauth.__all__ if name != "__version__"
    }
    assert ran == read
    assert linkauth._HOMES.keys() <= read.keys()
    for name, module in read.items():
        assert getattr(linkauth, name) is getattr(importlib.import_module(module), name)


def test_a_name_that_is_not_there_is_told():
    """A mistyped name is an ``AttributeError`` with its name, as of any module."""
    with pytest.raises(AttributeError, match="'linkauth' has no attribute 'AuthEngin'"):
        linkauth.__getattr__("AuthEngin")
    assert not hasattr(linkauth, "httpx_")
