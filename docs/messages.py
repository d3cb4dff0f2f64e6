"""Writes ``docs/operations/messages.md``: what linkauth says, from the code, and beside it what somebody wrote to do.

``python docs/messages.py`` adds what the code says anew, takes out what it says no more, and keeps what was written by hand:
the paragraph of each section, and the last columns of each row. ``tests/test_messages.py`` fails until that has been done.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from linkauth import errors
from linkauth.engine.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["HOLE", "PAGE", "WHO", "found", "written"]

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "operations" / "messages.md"
HOLE: Final = "WRITE"
"""Stands where somebody has to write."""
WHO: Final = {"you", "the operator", "the user", "the vendor", "nobody"}

OTHERS: Final = {"linkauth/cli/demo", "linkauth/sandbox", "linkauth/testing"}
"""What nobody runs who has users: a show, and the vendors on loopback."""
ALSO: Final = {"Refused": "StoreUnavailable", "BadCallback": "InvalidRequest"}
"""Classes whose words go into an error's."""
LEVELS: Final = {"info", "warning", "error", "exception", "critical", "log"}
VARIES: Final = "…"
DEEPEST: Final = 4
"""How many names and functions are followed to a text."""

EVENTS, LOG, TOLD, FOUND = "Events", "Log lines", "What commands tell", "What `linkauth doctor` finds"
TABLES: Final = (EVENTS, LOG, TOLD, FOUND)

Known: TypeAlias = "dict[str, list[ast.expr]]"
"""A name -> what is assigned to it."""

Sections: TypeAlias = dict[str, set[str]]
"""A section's name, such as an error's class -> what is said there."""


class _Texts:
    """What an expression may say, ``…`` for what varies; but what is called ``fault`` is said in its own words."""

    def __init__(self, module: ast.Module) -> None:
        self._constants = _assigned([node for node in module.body if isinstance(node, ast.Assign | ast.AnnAssign)])
        functions = (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        self._functions = {function.name: function for function in functions}

    def of(self, node: ast.expr, known: Known, depth: int = 0) -> list[str]:
        """Each text that ``node`` may be; none where that cannot be told. ``known``: what is assigned around it."""
        match node:
            case _ if depth > DEEPEST:
                pass
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                return ["".join(some) for some in product(*(self._part(part, known, depth) for part in parts))]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                added = [self.of(side, known, depth) or [VARIES] for side in (left, right)]
                return ["".join(pair) for pair in product(*added)]
            case ast.IfExp(body=yes, orelse=no):
                return self._all((yes, no), known, depth)
            case ast.BoolOp(values=sides):
                return self._all(sides, known, depth)
            case ast.Name(id=name):
                return self._all(known.get(name) or self._constants.get(name, []), known, depth + 1)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in self._functions:
                return self._given(self._functions[name], depth + 1)
        return []

    def _all(self, nodes: Iterable[ast.expr], known: Known, depth: int) -> list[str]:
        return [text for node in nodes for text in self.of(node, known, depth)]

    def _part(self, part: ast.expr, known: Known, depth: int) -> list[str]:
        match part:
            case ast.FormattedValue(value=ast.Name(id="fault") as fault):
                return [text for text in self.of(fault, known, depth) if text] or [VARIES]
            case ast.Constant(value=str(text)):
                return [text]
        return [VARIES]

    def _given(self, function: ast.FunctionDef | ast.AsyncFunctionDef, depth: int) -> list[str]:
        """What ``function`` returns; of one that gives faults the keys of its dictionary, too."""
        given: list[ast.expr] = []
        for node in ast.walk(function):
            match node:
                case ast.Return(value=ast.expr() as value):
                    given.append(value)
                case ast.Dict(keys=keys) if function.name.endswith("faults"):
                    given += [key for key in keys if key is not None]
        return self._all(given, _assigned(function.body), depth)


def _assigned(body: list[ast.stmt]) -> Known:
    names: Known = defaultdict(list)
    for node in (inner for statement in body for inner in ast.walk(statement)):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.NamedExpr(target=ast.Name(id=name), value=value)
                | ast.For(target=ast.Name(id=name), iter=value)
            ):
                names[name].append(value)
    return names


def _calls(node: ast.AST, known: Known) -> Iterator[tuple[ast.Call, Known]]:
    for child in ast.iter_child_nodes(node):
        inside = _assigned(child.body) if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else known
        if isinstance(child, ast.Call):
            yield child, known
        yield from _calls(child, inside)


def _section(call: ast.Call, path: str) -> tuple[str, ast.expr | None]:
    """Where what ``call`` says belongs, and the argument that says it."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="log"), attr=level) if level in LEVELS:
            return LOG, call.args[1 if level == "log" else 0]
        case ast.Attribute(value=ast.Name(id="parser"), attr="error"):
            return "ConfigurationError", call.args[0]
        case ast.Attribute(attr=name) | ast.Name(id=name):
            pass
        case _:
            return "", None
    given = call.args
    if name == "print" and path.startswith("linkauth/cli") and given:
        return TOLD, given[0]
    if name == "Finding" and given:
        return FOUND, given[0]
    name = ALSO.get(name, "ConfigurationError" if name == "ArgumentTypeError" else name)
    if name not in errors.__all__ or not given:
        return "", None
    refusal = issubclass(getattr(errors, name), errors.OAuthError)
    return name, given[1] if refusal and len(given) > 1 else None if refusal else given[0]


def found() -> Sections:
    """All that the code says, by section."""
    said: Sections = defaultdict(set)
    said[EVENTS] = {kind.value for kind in EventKind}
    for file in sorted(path for top in ("linkauth", "stores/linkauth_stores") for path in (ROOT / top).rglob("*.py")):
        path = str(file.relative_to(ROOT))
        if path == "linkauth/errors.py" or any(path.startswith(f"{other}/") for other in OTHERS):
            continue
        module = ast.parse(file.read_text())
        texts = _Texts(module)
        for call, known in _calls(module, {}):
            section, says = _section(call, path)
            for text in texts.of(says, known) if says is not None else ():
                plain = _plain(text)
                if re.search(r"[a-z]{2}", plain) and (section != TOLD or len(plain.split()) > 3):
                    said[section].add(plain)
    return said


def _plain(text: str) -> str:
    """``text`` in one line; what varies, and a log's ``%s``, as one ``…``."""
    return re.sub(r"(…\s?)+…", "…", " ".join(re.sub(r"%[sd]", VARIES, text).replace("%%", "%").split()))


def _code(text: str) -> str:
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def written(page: str, said: Sections) -> str:
    """The page as it should be for what is ``said``, with what was written by hand in ``page``."""
    intro, *parts = re.split(r"^(?=#{2,3} )", page, flags=re.MULTILINE)
    by_hand = {part.splitlines()[0].lstrip("# ").split(":")[0].strip("`"): part for part in parts}
    kinds = [kind for kind in vars(errors) if kind in errors.__all__]
    lines = [intro.rstrip(), ""]
    for name in (*TABLES, "Errors", *kinds):
        table, rows = name in TABLES, sorted(said.get(name, ()), key=lambda text: (text.strip(VARIES + ": "), text))
        old = by_hand.get(name.strip("`"), "")
        heading = f"## {name}" if table or name == "Errors" else f"### `{name}`: {getattr(errors, name).who}"
        paragraph = [line for line in old.splitlines()[1:] if not line.startswith(("| ", "|-", "- `"))]
        lines += [heading, "", "\n".join(paragraph).strip() or HOLE, ""]
        if table:
            kept = dict(re.findall(r"^\| (`.+?`+) \| (.*) \|$", old, flags=re.MULTILINE))
            lines += ["| says | who acts | what to do |", "|---|---|---|"]
            lines += [f"| {_code(text)} | {kept.get(_code(text), f'{HOLE} | {HOLE}')} |" for text in rows]
        else:
            kept = dict(re.findall(r"^- (`.+?`+)(?<! `)( → .*)$", old, flags=re.MULTILINE))
            lines += [f"- {_code(text)}{kept.get(_code(text), '')}" for text in rows]
        lines += [""] if rows else []
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), found()))
    sys.exit(f"write what to do where {HOLE} stands" if HOLE in PAGE.read_text() else 0)
