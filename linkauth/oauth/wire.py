"""JSON <-> values: the one place that knows cattrs.

Foreign data is read strictly: a number is not a string, ``true`` is not 1, and no message quotes a value, for the
value may be a secret. Unknown fields of a vendor's answer are ignored, for vendors add fields.
"""

from __future__ import annotations

import json
import math
import sys
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args, get_origin

import attrs
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from linkauth.errors import MalformedResponse, line
from linkauth.oauth.masking import Mask
from linkauth.oauth.token import OMIT, Masked, MaskedStr, discreet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "Masked",
    "answer",
    "as_object",
    "camel",
    "decode",
    "dump",
    "fit",
    "members",
    "structure",
    "teach",
    "words",
]

C = TypeVar("C")

LONGEST_WORDS: Final = 300
"""Characters of a vendor's own words that an error repeats."""
LONGEST_READ: Final = 4096
"""Characters of them that are looked at."""
MOST_WORDS: Final = 65_536
"""Characters that ``fit`` shows."""

DEEPEST: Final = 32
"""Levels of nesting in an answer; documented ones have three. What is read must also be written to the store."""

LONGEST_NUMBER: Final = 300
"""Digits of a number in an answer."""


def _strict(kind: type) -> Any:
    def hook(value: object, _: object) -> Any:
        if type(value) is not kind and not (kind is str and isinstance(value, MaskedStr)):
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


def _strict_words(value: object, _: object) -> list[str]:
    items = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(type(item) is str for item in items):
        raise TypeError("expected a list of str")
    return cast("list[str]", items)


_converter = Converter()
for _kind in (str, int, bool):
    _converter.register_structure_hook(_kind, _strict(_kind))
_converter.register_structure_hook(float, _strict_float)
_converter.register_structure_hook_func(lambda kind: kind == list[str], _strict_words)


def _strict_array(kind: Any) -> Any:
    items = GenericAlias(list, get_args(kind)[:1])  # cattrs' own reading of a list keeps the index in a fault's path
    read = _converter.get_structure_hook(items)

    def hook(value: object, _: object) -> Any:
        if not isinstance(value, list):  # cattrs would take an object's names, or a string's letters
            raise TypeError(f"expected a list, got {type(value).__name__}")
        return tuple(read(value, items))

    return hook


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is tuple


# ``tuple[T, ...]`` is how a frozen class holds a JSON array.
_converter.register_structure_hook_factory(_is_array, _strict_array)


def teach(kind: Any, read: Callable[[object], object]) -> None:
    """Have values of type ``kind`` read by ``read``, whose ``TypeError`` and ``ValueError`` show no value."""
    _converter.register_structure_hook_func(lambda asked: asked == kind, lambda value, _: read(value))


def camel(name: str) -> str:
    """``created_at`` as vendors of the camelCase kind write it: ``createdAt``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def answer(*, rename: Callable[[str], str] = str) -> Callable[[type[C]], type[C]]:
    """Decorate an attrs class that is read from a vendor's answer.

    ``rename``: a field's name to the vendor's. Members that have no field go to ``extra``, where the class has one.
    """

    def register(kind: type[C]) -> type[C]:
        names: dict[str, str] = {field.name: rename(field.name) for field in attrs.fields(kind)}  # type: ignore[arg-type]
        keeps = names.pop("extra", None) is not None
        known = frozenset(names.values())
        how = {name: override(rename=theirs) for name, theirs in names.items()}
        if keeps:
            how["extra"] = override(omit=True)
        read = make_dict_structure_fn(kind, _converter, **how)  # type: ignore[arg-type]

        def hook(value: Mapping[str, Any], _: object) -> C:
            if not isinstance(value, dict):
                raise TypeError(f"expected an object, got {type(value).__name__}")
            found: Any = read(value, kind)
            if keeps:
                found = attrs.evolve(found, extra={name: left for name, left in value.items() if name not in known})
            return found  # type: ignore[no-any-return]

        _converter.register_structure_hook(kind, hook)
        return kind

    return register


def dump(value: object) -> bytes:
    """``value`` as compact JSON, in ASCII: half a surrogate pair that a vendor sent must not fail here."""
    return _ENCODER.encode(value).encode("ascii")


def decode(body: bytes) -> Any:
    """The JSON value in ``body``, None where there is none. Never raises: half of what comes is not JSON at all.

    A number that is none (``NaN``) or that no float holds is read as the largest float: whoever uses it refuses it,
    and the rest of the answer, a new refresh token perhaps, survives.
    """
    try:
        value = _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):  # JSONDecodeError holds the whole document: it must not travel on
        return None
    # As few brackets cannot nest too deep, in whatever encoding.
    return value if body.count(b"[") + body.count(b"{") < DEEPEST or _shallow(value) else None


def _out_of_range(text: str) -> float:
    return -sys.float_info.max if text.startswith("-") else sys.float_info.max


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _out_of_range(text)


def _int(text: str) -> int | float:
    # int() takes quadratic time, and raises above 4,300 digits.
    return int(text) if len(text) <= LONGEST_NUMBER else _out_of_range(text)


# Made once: the json module's functions make one for each call that has options.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER: Final = json.JSONDecoder(parse_constant=_out_of_range, parse_float=_float, parse_int=_int)


def _shallow(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return True
    return False


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []


def as_object(value: object) -> Masked:
    """``value`` where it is a JSON object, else an empty one."""
    return Masked(discreet(value)) if isinstance(value, dict) else Masked()


def members(body: bytes, what: str) -> Masked:
    """The JSON object in ``body``; ``what`` names it in the ``MalformedResponse`` that is raised otherwise."""
    value = decode(body)
    if isinstance(value, dict):
        return as_object(cast("object", value))
    found = "not JSON" if value is None else f"a JSON {type(value).__name__}"
    del value, body  # a traceback with locals would show them
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
    """A vendor's own words for an error message: one printable line, shortened, with ``secrets`` masked (``masking``)."""
    # What is cut off is not shown, so it need not be searched.
    return line(Mask(secrets)(value[:LONGEST_READ]), LONGEST_WORDS) if isinstance(value, str) else ""


def fit(value: object, *secrets: str | None, whole: bool = False) -> Any:
    """A vendor's own JSON for an error, every text and name in it as ``words`` makes it; all else stays as it is.

    ``whole``: with ``secrets`` masked, and otherwise as they came. Texts beyond 64 KiB together are left out: no vendor means so many words to be read.
    """
    mask, left = Mask(secrets), MOST_WORDS

    def show(part: object) -> object:
        nonlocal left
        if isinstance(part, str):
            text, left = part[:left], max(left - len(part), 0)
            shown = mask(text if whole else text[:LONGEST_READ]) + ("…" if len(text) < len(part) else "")
            return shown if whole else line(shown, LONGEST_WORDS)
        if isinstance(part, dict):
            return {str(show(name)): show(inner) for name, inner in cast("dict[str, object]", part).items()}
        return [show(inner) for inner in cast("list[object]", part)] if isinstance(part, list) else part

    return show(value)


def _writer(kind: type[attrs.AttrsInstance]) -> Callable[[Any], dict[str, Any]]:
    omitted = {
        field.name: override(omit_if_default=True)
        for field in attrs.fields(kind)
        if OMIT.keys() <= field.metadata.keys()
    }
    return make_dict_unstructure_fn(kind, _converter, **omitted)  # type: ignore[arg-type]


_converter.register_unstructure_hook_factory(attrs.has, _writer)


def unstructure(value: attrs.AttrsInstance) -> dict[str, Any]:
    """An attrs object as plain members, for a record that linkauth writes itself."""
    return cast("dict[str, Any]", _converter.unstructure(value))
