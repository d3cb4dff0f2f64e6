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
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

MARK = re.compile(
    r"sandbox-[a-z0-9]+-[A-Za-z0-9_-]{32}"  # linkauth.sandbox.tokens.secret
    r"|CANARY[0-9a-f]{12}"  # canary()
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}"  # a JWT: an object, a dot, an object
)
SHORTEST = 8
"""Characters of a secret of the registry: shorter ones are parts of words."""
MOST = 2000
"""Secrets of the registry that are looked for; a test with more has marks or is one of many like it."""

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
                yield f"{where}: local {name} of {frame.f_code.co_qualname}", _said(repr, value)
        trace = trace.tb_next


def formatted(error: BaseException) -> str:
    """The traceback with locals that a log may hold, without the frames of tests."""
    try:
        whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    except Exception:  # Python 3.11 gives up at a local whose repr raises: a half-made object
        return "\n".join(text for _, text in of_error(error))
    whole.stack = traceback.StackSummary.from_list([f for f in whole.stack if not f.filename.startswith(TESTS)])
    return "".join(whole.format())
