"""What was typed is understood here, and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.cli import settings
from linkauth.cli.parser import parser
from linkauth.cli.pipes import readers_may_go

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Raises ``SystemExit`` where the arguments are not understood."""
    with readers_may_go():
        settings.choose({}, {})  # that of an earlier call says nothing here
        whole = parser()
        chosen = whole.parse_args(arguments)
        if chosen.run is None:
            whole.print_help()
            return 0
        from linkauth.cli.running import ended  # noqa: PLC0415  # help needs no event loop, and none of the engine

        return ended(chosen, arguments)
