"""How the demo looks: both sides as a table, and what has happened below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from linkauth.cli.demo.play import Play
    from linkauth.cli.demo.sides import Side

__all__ = ["picture"]


def picture(play: Play) -> Group:
    """One look at it all."""
    return Group(_figures(play), Text(), _events(play))


def _figures(play: Play) -> Table:
    table = Table(header_style="bold")
    table.add_column("")
    for side in play.sides:
        table.add_column(side.title, justify="right")
    bad = "bold red"
    rows = {
        "the user is": [
            Text("LOGGED OUT", bad) if each.logged_out else Text("logged in", "green") for each in play.sides
        ],
        "each worker's token (✗ killed)": [_workers(each) for each in play.sides],
        "calls answered": [Text(f"{each.total('answered'):,}") for each in play.sides],
        "calls failed": [_bad(each.total("failed"), 0) for each in play.sides],
        "access tokens issued": [Text(f"{each.seen('tokens')}") for each in play.sides],
        "refresh tokens sent twice": [_bad(each.seen("refresh_reuse"), 0) for each in play.sides],
        "times the user logged in": [_bad(each.seen("password"), 1) for each in play.sides],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _bad(figure: int, most: int) -> Text:
    return Text(f"{figure:,}", "bold red" if figure > most else "green")


def _workers(side: Side) -> Text:
    """Each worker's token, by its number; yellow while it renews, a cross where it was killed, a mark where its user is out."""
    cells = Text()
    for worker in side.workers:
        told = worker.told
        if worker.killed:
            cells.append("  ✗", "dim")
        elif told.get("logged_out"):
            cells.append("  !", "bold red")
        else:
            number = side.numbers.get(told.get("token", ""), 0)
            cells.append(f"{number or '·':>3}", "yellow" if told.get("renewing") else "green")
    return cells


def _events(play: Play) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style="dim")
    table.add_column()
    for second, words, style in play.events:
        table.add_row(f"{second:4.1f} s", Text(words, style))
    return table
