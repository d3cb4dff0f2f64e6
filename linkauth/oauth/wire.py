"""JSON <-> values: the one place that knows cattrs.

Foreign data is read strictly: a number is not a string, ``true`` is not 1, and no message quotes a value, for the
value may be a secret. Unknown fields of a vendor's answer are ignored, for vendors add fields.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import attrs
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError

from linkauth.errors import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decode", "dump", "members", "retry_after", "structure", "words"]

C = TypeVar("C")

LONGEST_WORDS = 300
"""Characters of a vendor's own words that an error repeats."""


def _strict(kind: type) -> Any:
    def hook(value: object, _: object) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
        return value

    return hook


def _strict_float(value: object, _: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("expected a finite number")
    return number


_converter = Converter()
for _kind in (str, int, bool):
    _converter.register_structure_hook(_kind, _strict(_kind))
_converter.register_structure_hook(float, _strict_float)


def dump(value: object) -> bytes:
    """``value`` as compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def decode(body: bytes) -> Any:
    """The JSON value in ``body``, None where there is none. Never raises: half of what comes is not JSON at all."""
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # JSONDecodeError holds the whole document: it must not travel on
        return None


def members(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``body``; ``what`` names it in the ``MalformedResponse`` that is raised otherwise."""
    value = decode(body)
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]  # keys of a JSON object are strings
    found = "not JSON" if value is None else f"a JSON {type(value).__name__}"
    raise MalformedResponse(f"{what} is {found}, where a JSON object is documented")


def structure(value: object, kind: type[C], what: str) -> C:
    """``value`` as a ``kind`` (an attrs class). Raises ``MalformedResponse`` that names the field, not its value."""
    try:
        return _converter.structure(value, kind)
    except BaseValidationError as error:
        # transform_error names paths and types; the group's own text would quote values.
        faults = "; ".join(transform_error(error, format_exception=_fault))
    except (TypeError, ValueError, AttributeError, KeyError):
        faults = f"expected an object, got {type(value).__name__}"
    raise MalformedResponse(f"{what}: {faults}")


def _fault(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "required field missing"
    return str(error) if isinstance(error, TypeError | ValueError) and error.args else "invalid value"


def words(value: object, *secrets: str | None) -> str:
    """A vendor's own words for an error message: one printable line, shortened, with ``secrets`` masked."""
    if not isinstance(value, str):
        return ""
    for hidden in sorted({s for s in secrets if s}, key=len, reverse=True):
        value = value.replace(hidden, "****")
    line = "".join(c if c.isprintable() else " " for c in value[: LONGEST_WORDS + 1])
    return line if len(line) <= LONGEST_WORDS else line[:LONGEST_WORDS] + "…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds (RFC 9110 §10.2.3); None where there is none or it is a date.

    A date would have to be read against a clock, and none of the vendors sends one.
    """
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def unstructure(value: attrs.AttrsInstance) -> dict[str, Any]:
    """An attrs object as plain members, for a record that linkauth writes itself."""
    return attrs.asdict(value, recurse=True)
