"""Where a secret could hide, looked into: texts, objects, exceptions with all that hangs on them, frames.

Two ways to know a secret when one is met. **Marks**: the sandbox's secrets begin with ``sandbox-``, the canaries of these
tests with ``CANARY``, and a JWT is known by its shape. **The registry**: whatever became a ``SecretStr`` while a test ran
(client secrets, passwords, tokens, codes), so the made-up secrets of any test are found, too.
"""

from __future__ import annotations

import pickle
import re
import secrets
import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CellType, TracebackType

MARK = re.compile(
    r"sandbox-[a-z0-9]+-[A-Za-z0-9_-]{32}"  # linkauth.sandbox.tokens.secret
    r"|CANARY[0-9a-f]{12}"  # canary()
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}"  # a JWT: an object, a dot, an object
)
SHORTEST = 8
"""Characters of a secret of the registry: shorter ones are parts of words."""
MOST = 2000
"""Secrets of the registry that are looked for; a test with more has marks or is one of many like it."""

ENTERED = 2000
"""Containers that are walked into from one value."""
DEEPEST = 12

HERE = Path(__file__).resolve().parents[2]
OURS = (str(HERE / "linkauth") + "/", str(HERE / "stores") + "/", "<attrs generated")
TESTS = str(HERE / "tests") + "/"


def canary() -> str:
    """A secret that is short: asyncio's debug output and others leave out the middle of a long one."""
    return f"CANARY{secrets.token_hex(6)}"


class Leak(AssertionError):
    """A secret was found where none may be."""


def found(text: str, registered: Iterable[str] = ()) -> str:
    """What gives a secret away in ``text``, with the secret itself shortened; empty: nothing does."""
    hit = MARK.search(text)
    if hit is not None:
        return _around(text, hit.start(), hit.group())
    for secret in registered:
        at = text.find(secret)
        if at >= 0:
            return _around(text, at, secret)
    return ""


def _around(text: str, at: int, secret: str) -> str:
    return f"…{text[max(at - 60, 0) : at]}<{secret[:14]}…>"


def spoken(value: object) -> Iterator[tuple[str, str]]:
    """What an object says of itself: ``repr``, ``str``, a format string, a pickle."""
    for name, say in (("repr", repr), ("str", str), ("format", format), ("pickle", _pickled)):
        yield name, _said(say, value)


def _pickled(value: object) -> str:
    return pickle.dumps(value).decode("latin-1")


def _said(say: Any, value: object) -> str:
    try:
        return str(say(value))
    except Exception as error:
        # That it cannot be said, or pickled, is well; what the refusal says is looked at all the same.
        return f"{type(error).__name__}: {error}"


def of_error(error: BaseException) -> Iterator[tuple[str, str]]:
    """All that can be read off an exception: itself, its args, notes, attributes, cause, context, group, and frames."""
    waiting, seen = [("error", error)], set[int]()
    while waiting:
        where, each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        where = f"{where} {type(each).__name__}"
        for name, text in spoken(each):
            yield f"{where}: {name}", text
        yield f"{where}: args", _said(repr, each.args)
        yield f"{where}: notes", _said(repr, getattr(each, "__notes__", []))
        for name, value in vars(each).items():
            for how, text in spoken(value):
                if how != "pickle":  # of the error, not of what it holds in this process
                    yield f"{where}: attribute {name}, {how}", text
            if isinstance(value, BaseException):
                waiting.append((f"{where} attribute {name}", value))
        yield from of_frames(each.__traceback__, where)
        if each.__cause__ is not None:
            waiting.append((f"{where} cause", each.__cause__))
        if each.__context__ is not None:  # also behind ``raise … from None``
            waiting.append((f"{where} context", each.__context__))
        if isinstance(each, BaseExceptionGroup):
            waiting += [(f"{where} member", inner) for inner in each.exceptions]


def of_frames(trace: TracebackType | None, where: str) -> Iterator[tuple[str, str]]:
    """The locals of linkauth's frames and of all that they call, as a traceback with locals shows them.

    A test's own frames hold its secrets by right, and so do its caller's; what linkauth calls counts as linkauth's.
    """
    below = False
    while trace is not None:
        frame, file = trace.tb_frame, trace.tb_frame.f_code.co_filename
        below = file.startswith(OURS) or (below and not file.startswith(TESTS))
        if below:
            for name, value in list(frame.f_locals.items()):
                local = f"{where}: local {name} of {frame.f_code.co_qualname}"
                yield local, _said(repr, value)
                for path, leaf in inside(value):
                    yield f"{local}{path}", _said(repr, leaf)
        trace = trace.tb_next


def inside(value: object) -> Iterator[tuple[str, object]]:
    """The texts that a value holds, and the way to each, as error trackers and debuggers walk into containers.

    Into lists, tuples, sets and dicts of whatever class, which such tools take as what they are and not at their ``repr``;
    into attrs objects, dataclasses, exceptions, and linkauth's own objects and functions (``__dict__``, slots, closures).
    """
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    seen = set[int]()
    while waiting and len(seen) < ENTERED:
        path, each, depth = waiting.pop()
        if isinstance(each, str | bytes | bytearray):
            if path:
                yield path, each
        elif id(each) not in seen and depth < DEEPEST:
            seen.add(id(each))
            waiting += [(path + step, part, depth + 1) for step, part in _parts(each)]


def _parts(each: object) -> Iterator[tuple[str, object]]:
    kind = type(each)
    if kind.__module__.startswith("linkauth.sandbox."):
        return  # a pretended vendor holds its secrets by right, as the tests do whose other side it is; its repr counts
    if isinstance(each, Mapping):
        for name, part in each.items():
            yield " name", name
            yield f"[{name if len(str(name)) < SHORTEST else '…'}]", part
    elif isinstance(each, list | tuple | set | frozenset | deque):
        yield from (("[]", part) for part in list(each))
    elif isinstance(each, BaseException):
        yield from ((" args", part) for part in (*each.args, *getattr(each, "__notes__", ())))
    elif isinstance(each, FunctionType):
        if each.__module__.startswith("linkauth"):
            yield from ((" cell", _content(cell)) for cell in each.__closure__ or ())
    elif isinstance(each, MethodType):
        yield " self", each.__self__
    elif attrs.has(kind) or is_dataclass(kind) or kind.__module__.partition(".")[0] == "linkauth":
        names = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if name != "__weakref__"]
        for name in (*names, *getattr(each, "__dict__", ())):
            yield f".{name}", getattr(each, name, None)


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def formatted(error: BaseException) -> str:
    """The traceback with locals that a log may hold, without the frames of tests."""
    try:
        whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    except Exception:  # Python 3.11 gives up at a local whose repr raises: a half-made object
        return "\n".join(text for _, text in of_error(error))
    whole.stack = traceback.StackSummary.from_list([f for f in whole.stack if not f.filename.startswith(TESTS)])
    return "".join(whole.format())
