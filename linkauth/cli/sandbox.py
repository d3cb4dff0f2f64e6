"""Serve the vendors on loopback, and say what to type to try each."""

from __future__ import annotations

import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from linkauth.cli.terminal import reason
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Raises ``ConfigurationError`` where it cannot listen."""
    from linkauth.sandbox import serve  # noqa: PLC0415  # the other commands need no server

    try:
        await serve(chosen.host, chosen.port, as_json=chosen.json, program=_program())
    except OSError as error:
        fault = f"cannot listen on {chosen.host}:{chosen.port}: {reason(error)}; --port 0 takes any that is free"
    except (ValueError, OverflowError):
        fault = f"cannot listen on {chosen.host}:{chosen.port}: an IPv4 loopback address and a port are needed"
    else:
        return 0
    raise ConfigurationError(fault)


def _program() -> str:
    """What to type in another terminal: a virtual environment that is not activated is not on its PATH."""
    if shutil.which("linkauth"):
        return "linkauth"
    return f"{shlex.quote(sys.executable)} -m linkauth"
