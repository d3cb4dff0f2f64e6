"""What a piece of code does, counted: calls and bytecodes. The same on every machine, however busy it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["bytecodes_of", "calls_of", "sent"]


def sent(coroutine: Any) -> Any:
    """What ``coroutine`` returns, which waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def calls_of(work: Callable[[], object]) -> list[str]:
    """The functions that ``work`` calls, in Python and in C, but for those of this module."""
    called: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_globals is not globals():
            called.append(frame.f_code.co_qualname)
        elif event == "c_call" and frame.f_globals is not globals():
            called.append(argument.__qualname__)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return called[1:]  # the first is ``work`` itself


def bytecodes_of(work: Callable[[], object], package: str = "linkauth") -> int:
    """How many bytecodes of ``package`` are run by ``work``."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_globals.get("__name__", "").startswith(package):
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
