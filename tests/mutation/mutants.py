"""What is changed: mutmut's operators, and three of our own, over one module's syntax tree."""

from __future__ import annotations

import importlib
import inspect
import types
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG, FEW = 120, 30
"""Characters: what is shown of a mutant, and of what is around it."""
ROOMS = [Path(__file__).parents[2] / "linkauth" / room for room in ("protocol", "engine")]
MODULES = {path.stem: path for room in ROOMS for path in sorted(room.glob("*.py")) if path.stem != "__init__"}
"""Where each module is, by its name: no two of these rooms' have the same."""

# Each argument as None, or left out, is mostly a TypeError, which any test sees; ``omit`` leaves out those with a default.
DULL = {"operator_arg_removal", "operator_dict_arguments", "operator_lambda"}
OPERATORS = [(kind, operator) for kind, operator in mutation_operators if operator.__name__ not in DULL]


@attrs.frozen
class Mutant:
    """One change to one module."""

    module: str
    function: str
    """``Class.method`` or ``function``."""
    line: int
    lines: range
    """Where a test must have been to notice it."""
    old: str
    new: str
    source: str
    """The whole module, changed."""
    twin: int
    """Which of those in this function that look the same."""

    def __str__(self) -> str:
        """The same wherever the function stands in its file: ``left.txt`` knows it by this."""
        return f"{self.module} {self.function}:  {self.old}  ->  {self.new}" + f"  (#{self.twin})" * (self.twin > 1)


def delete(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """``call()`` -> ``None``: what is done and not what comes of it."""
    if not m.matches(node.value, m.Ellipsis()):
        yield node.with_changes(value=cst.Name("None"))


def negate(node: cst.If | cst.While | cst.IfExp) -> Iterator[cst.CSTNode]:
    """``if found:`` -> ``if not found:``, where mutmut has no operator to turn round."""
    if not m.matches(node.test, m.Comparison() | m.UnaryOperation(operator=m.Not())):
        inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), inner))


def omit(node: cst.Call) -> Iterator[cst.CSTNode]:
    """``f(a, b=c)`` -> ``f(a)``: words are let be."""
    for i, arg in enumerate(node.args):
        if arg.keyword is not None and not m.matches(arg.value, m.SimpleString() | m.FormattedString()):
            yield node.with_changes(args=[*node.args[:i], *node.args[i + 1 :]])


OURS = [(cst.Expr, delete), ((cst.If, cst.While, cst.IfExp), negate), (cst.Call, omit)]

WORDS = m.SimpleString(value=m.MatchIfTrue(lambda text: " " in text or text.startswith('"""')))
SKIPPED = (
    m.Annotation()
    | m.Decorator()
    | m.Import()
    | m.ImportFrom()
    | m.FormattedString()
    | m.ConcatenatedString()
    | WORDS
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.FunctionDef(name=m.Name("__repr__"))
    | m.Call(func=m.Attribute(value=m.Name("log")))
    | m.Call(func=m.Name("TypeVar"))
)
"""Read by people or by type checkers, or (decorators) not to be exchanged in a module that is already imported."""


class Finder(cst.CSTVisitor):
    """Collects ``(outermost function, node, its replacement)``."""

    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self) -> None:
        self.found: list[tuple[str, cst.CSTNode, cst.CSTNode]] = []
        self._names: list[str] = []
        self._depth = 0
        """Functions around the node."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, SKIPPED) or self._pointless(node):
            return False
        if isinstance(node, cst.ClassDef | cst.FunctionDef) and not self._depth:
            self._names.append(node.name.value)
        self._depth += isinstance(node, cst.FunctionDef)
        if self._depth:
            name = ".".join(self._names)
            for kinds, operator in (*OPERATORS, *OURS):
                for changed in operator(node) if isinstance(node, kinds) else ():
                    head = isinstance(node, cst.If | cst.While | cst.IfExp)
                    self.found.append((name, node.test, changed.test) if head else (name, node, changed))
        return True

    def on_leave(self, node: cst.CSTNode) -> None:
        if m.matches(node, SKIPPED) or self._pointless(node):
            return
        self._depth -= isinstance(node, cst.FunctionDef)
        if isinstance(node, cst.ClassDef | cst.FunctionDef) and not self._depth:
            self._names.pop()

    def _pointless(self, node: cst.CSTNode) -> bool:
        """A docstring; a statement that only logs; a message that is put into words."""
        if isinstance(node, cst.Expr):
            return m.matches(node.value, m.SimpleString() | m.Call(func=m.Attribute(value=m.Name("log"))))
        return isinstance(node, cst.Assign) and m.matches(node.value, m.FormattedString() | WORDS)


def mutants(module: str) -> list[Mutant]:
    """Every change to ``module`` that is tried."""
    wrapper = MetadataWrapper(cst.parse_module(MODULES[module].read_text()))
    finder = Finder()
    wrapper.visit(finder)
    positions, parents = wrapper.resolve(PositionProvider), wrapper.resolve(ParentNodeProvider)
    told, alike = [], Counter()
    seen = {wrapper.module.code}
    for function, node, changed in finder.found:
        if m.matches(node, m.SimpleString()) and _code(changed) != f'"XX{_code(node)[1:]}'[:-1] + 'XX"':
            continue  # the same string in capitals shows no more than another string does
        source = _replaced(wrapper.module, positions[node], node, changed)
        if source in seen:
            continue
        seen.add(source)
        around: Any = node
        while not isinstance(around, cst.BaseSmallStatement | cst.BaseCompoundStatement | cst.Module):
            around = parents[around]
        # A default is worked out when the module is imported: what matters is who calls.
        last = around if isinstance(around, cst.FunctionDef) else node
        lines = range(positions[around].start.line, positions[last].end.line + 1)
        shown, other = node, changed
        if isinstance(node, cst.Name | cst.BaseNumber | cst.BaseCompOp | cst.ComparisonTarget | cst.SimpleString):
            shown = parents[node]
            other = shown.deep_replace(node, changed)
        line, (old, new) = positions[node].start.line, _apart(_code(shown), _code(other))
        alike[function, old, new] += 1
        told.append(Mutant(module, function, line, lines, old, new, source, alike[function, old, new]))
    return told


def _code(node: Any) -> str:
    return " ".join(cst.Module([]).code_for_node(node).split())


def _apart(old: str, new: str) -> tuple[str, str]:
    """Both, without what long ones have in common."""
    if len(old) <= LONG >= len(new):
        return old, new
    begin = max(_alike(old, new) - FEW, 0)
    end = max(_alike(old[:begin:-1], new[:begin:-1]) - FEW, 0)
    return f"… {old[begin : len(old) - end]} …", f"… {new[begin : len(new) - end]} …"


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next(
        (i for i, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), min(len(one), len(other))
    )


def _replaced(module: cst.Module, place: Any, node: cst.CSTNode, changed: Any) -> str:
    """The module's text with ``changed`` in the place of ``node``: cut in where that is plain, for it is much faster."""
    lines = module.code.splitlines(keepends=True)
    begin = sum(map(len, lines[: place.start.line - 1])) + place.start.column
    end = sum(map(len, lines[: place.end.line - 1])) + place.end.column
    if module.code[begin:end] == module.code_for_node(node):
        return module.code[:begin] + module.code_for_node(changed) + module.code[end:]
    return module.deep_replace(node, changed).code


def apply(mutant: Mutant) -> None:
    """Change the running program: the function's code, wherever it is known."""
    name = f"linkauth.{MODULES[mutant.module].parent.name}.{mutant.module}"
    module, changed = importlib.import_module(name), types.ModuleType(name)
    exec(compile(mutant.source, f"<mutant of {mutant.module}>", "exec"), vars(changed))
    here, there = _function(module, mutant.function), _function(changed, mutant.function)
    here.__code__, here.__defaults__, here.__kwdefaults__ = there.__code__, there.__defaults__, there.__kwdefaults__


def _function(module: types.ModuleType, path: str) -> types.FunctionType:
    found: Any = module
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    return inspect.unwrap(found)
