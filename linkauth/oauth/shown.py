"""What ``help()`` shows of a value's class: what users call and read, and not how it is made."""

from __future__ import annotations

from inspect import Signature, signature
from typing import TYPE_CHECKING, Final

import attrs

__all__ = ["Shown"]


class _Made:
    """What stands for a default that is made anew each time, as in a type stub."""

    def __repr__(self) -> str:
        return "..."


MADE: Final = _Made()


class Shown(type):
    """The class of attrs classes that users meet: ``dir()`` and ``help()`` leave out what attrs writes into them."""

    if not TYPE_CHECKING:  # type checkers read the constructor's own signature

        def __dir__(cls) -> list[str]:
            return [name for name in super().__dir__() if not name.startswith("__")]

        @property
        def __signature__(cls) -> Signature:
            whole = signature(cls.__init__)
            given = [
                one.replace(default=MADE) if one.default is attrs.NOTHING else one
                for one in list(whole.parameters.values())[1:]
            ]
            return whole.replace(parameters=given, return_annotation=Signature.empty)
