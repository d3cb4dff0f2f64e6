"""How a process of the demo tells what it does: lines of JSON on its standard output."""

from __future__ import annotations

import json
import os
import sys

__all__ = ["tell"]


def tell(what: object) -> None:
    """One line of JSON. Where the parent has gone, nobody is left to tell, at exit neither."""
    try:
        print(json.dumps(what), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
