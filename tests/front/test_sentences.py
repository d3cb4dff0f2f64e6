"""What a user can reach says what it is, and nothing else: sentences below fields, and what ``help()`` shows."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import pydoc
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import linkauth

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"
NEIGHBOURS = {"linkauth.httpx", "linkauth.httpx2", "linkauth.starlette", "linkauth.telemetry"}
"""What needs an extra: looked at where it is installed."""


def named() -> list[str]:
    """What the reference is made of: modules and names, as its pages call them."""
    pages = "\n".join(page.read_text() for page in sorted(REFERENCE.glob("*.md")))
    return [*re.findall(r"^::: ([\w.]+)", pages, flags=re.MULTILINE), "linkauth"]


def reached(name: str) -> list[object]:
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError):  # of the package itself, once its module could not be had
        if name in NEIGHBOURS:
            return []
        raise
    if not isinstance(found, ModuleType):
        return [found]
    return [getattr(found, public) for public in found.__all__]


def public_classes() -> list[type]:
    """Those that the reference shows, and the project's own that they derive from."""
    found: set[type] = set()
    for name in named():
        for each in reached(name):
            if isinstance(each, type):
                found.update(base for base in each.__mro__ if base.__module__.startswith("linkauth"))
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


def fields(body: list[ast.stmt]) -> list[tuple[str, bool]]:
    """Each public field that a class's body declares, and whether a sentence stands below it."""
    return [
        (one.target.id, isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant))
        for one, below in pairwise([*body, ast.Pass()])
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and not one.target.id.startswith("_")
    ]


def declared(kind: type) -> list[tuple[str, bool]]:
    module = importlib.import_module(kind.__module__)
    (body,) = (
        node.body
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    return fields(body)


def test_each_public_field_has_its_sentence() -> None:
    """Of every class that the reference shows, below the field, where editors, mkdocs and readers look for it."""
    silent = [
        f"{kind.__module__}.{kind.__name__}.{field}"
        for kind in public_classes()
        for field, says in declared(kind)
        if not says
    ]
    assert silent == [], "write a docstring right below each: what it is, its unit, what None and empty mean"


INNARDS = {
    "a type variable": r"~[A-Z]|'[A-Z]'|\[[A-Z]\]",
    "Generic": r"\bGeneric\b",
    "attrs' machinery": r"__attrs|attr\._make|_frozen_|slots_[gs]et|NOTHING|by attrs|__match_args__",
    "a private name": r"(?<![\w/])_[a-z]\w*",
    "a type that is not read": r"ForwardRef",
}
"""What is none of a user's business -> how it shows itself."""


@pytest.mark.parametrize("name", sorted(set(linkauth.__all__) - {"__version__"}))
def test_help_shows_what_users_call(name: str) -> None:
    """``help()`` of each exported name: no type variable, and nothing of how its class is made."""
    shown = pydoc.plain(pydoc.render_doc(getattr(linkauth, name)))
    if name == "TokenStore":  # a Protocol derives from Generic
        shown = shown.split("Methods defined here")[1].split("Data descriptors")[0]
        shown = re.sub(r"_no_init_or_replace_init|_proto_hook", "", shown)
    found = {what: sorted(set(re.findall(how, shown))) for what, how in INNARDS.items() if re.search(how, shown)}
    assert found == {}
