"""As much GraphQL as Sage's example needs: nested selections with arguments and variables, over sample data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from linkauth.sandbox import samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["GraphQLFault", "answer"]

_TOKEN: Final = re.compile(r'\s*(?:([{}():!,=])|(\$?[A-Za-z_]\w*)|(-?\d+)|"([^"\\\n]*)")')
DEEPEST: Final = 20


class GraphQLFault(Exception):
    """A query that cannot be answered, in words for ``errors[0].message``."""


@attrs.frozen
class Field:
    """One field of a selection."""

    name: str
    arguments: dict[str, Any]
    fields: Sequence[Field]


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens: list[str | int] = []
        self._variables = variables
        text, at = text.rstrip(), 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise GraphQLFault(f"Syntax Error: Unexpected character at {at}.")
            mark, name, number, string = match.groups()
            self._tokens.append(mark or name or (int(number) if number else f'"{string}'))
            at = match.end()
        self._tokens.append("<EOF>")

    def _take(self, wanted: str | None = None) -> str | int:
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        if wanted is not None and token != wanted:
            raise GraphQLFault(f'Syntax Error: Expected "{wanted}".')
        return token

    def document(self) -> Sequence[Field]:
        if self._tokens[0] == "query":  # with a name and declared variables, which are passed over
            while self._tokens[0] not in {"{", "<EOF>"}:
                self._take()
        fields = self._selection(0)
        self._take("<EOF>")
        return fields

    def _selection(self, depth: int) -> Sequence[Field]:
        if depth > DEEPEST:
            raise GraphQLFault("The query is too deep.")
        self._take("{")
        fields: list[Field] = []
        while self._tokens[0] != "}":
            name = self._take()
            if not isinstance(name, str) or not name.isidentifier():
                raise GraphQLFault("Syntax Error: Expected Name.")
            arguments = self._arguments() if self._tokens[0] == "(" else {}
            fields.append(Field(name, arguments, self._selection(depth + 1) if self._tokens[0] == "{" else ()))
        self._take("}")
        return fields

    def _arguments(self) -> dict[str, Any]:
        self._take("(")
        arguments: dict[str, Any] = {}
        while self._tokens[0] != ")":
            name = str(self._take())
            self._take(":")
            arguments[name] = self._value(self._take())
            if self._tokens[0] == ",":
                self._take()
        self._take(")")
        return arguments

    def _value(self, token: str | int) -> Any:
        if isinstance(token, int):
            return token
        if token.startswith('"'):
            return token[1:]
        if token.startswith("$"):
            if token[1:] not in self._variables:
                raise GraphQLFault(f'Variable "{token}" is not defined.')
            return self._variables[token[1:]]
        raise GraphQLFault("Syntax Error: Expected a value.")


def answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """The ``data`` for a request's ``query`` and ``variables``. Raises ``GraphQLFault``."""
    query: object = body.get("query")
    variables: object = body.get("variables") or {}
    if not isinstance(query, str) or not isinstance(variables, dict):
        raise GraphQLFault("Must provide query string, and variables as an object.")
    selected = _Reader(query, cast("dict[str, Any]", variables)).document()
    found: dict[str, Any] = _pick({"sage": {"x3BusinessPartners": {"customer": _customers}}}, selected, "Query")
    return found


def _customers(first: object = 20, after: object = None) -> dict[str, Any]:
    if type(first) is not int or first < 1:
        raise GraphQLFault('Argument "first" must be a positive Int.')
    codes = [row["code"] for row in samples.customers()]
    begin = codes.index(after) + 1 if after in codes else 0
    rows = samples.customers()[begin : begin + first]
    last = rows[-1]["code"] if rows else None
    info = {"endCursor": last, "hasNextPage": begin + len(rows) < len(codes)}
    edges = [{"node": row, "cursor": row["code"]} for row in rows]
    return {"edges": edges, "pageInfo": info, "totalCount": len(codes)}


def _pick(value: Any, fields: Sequence[Field], kind: str) -> Any:
    if isinstance(value, list):
        return [_pick(each, fields, kind) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict) and not fields:
        raise GraphQLFault(f'Field "{kind}" must have a selection of subfields.')
    if not isinstance(value, dict):
        if fields:
            raise GraphQLFault(f'Field "{kind}" must not have a selection.')
        return value
    members = cast("dict[str, Any]", value)
    found: dict[str, Any] = {}
    for field in fields:
        if field.name not in members:
            raise GraphQLFault(f'Cannot query field "{field.name}" on type "{kind}".')
        member = members[field.name]
        if callable(member):
            if unknown := field.arguments.keys() - {"first", "after"}:
                raise GraphQLFault(f'Unknown argument "{min(unknown)}" on field "{field.name}".')
            member = member(**field.arguments)
        elif field.arguments:
            raise GraphQLFault(f'Unknown argument "{min(field.arguments)}" on field "{field.name}".')
        found[field.name] = _pick(member, field.fields, field.name)
    return found
