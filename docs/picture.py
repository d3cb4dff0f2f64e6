"""Draw ``docs/demo.svg``, the picture in the README, from a real run: ``.venv/bin/python docs/picture.py [FILE]``, half a minute.

A run that ended badly is not drawn: exit status 1.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from linkauth.cli.demo.show import judge, show
from linkauth.cli.demo.view import picture

LIFETIME = 4.0
"""Seconds that an access token lives: the command's own."""
WIDTH = 84


def main(file: Path) -> int:
    """Run the demo, and draw how it ended."""
    console = Console()
    play = asyncio.run(show(console, LIFETIME))
    if judge(console, play.linkauth, play.by_hand):
        return 1
    drawn = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor", force_terminal=True)
    drawn.print(picture(play))
    svg = drawn.export_svg(title="linkauth demo", unique_id="demo")
    # Rich names a font on somebody's server: a picture asks nobody for anything.
    file.write_text(re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.svg")))
