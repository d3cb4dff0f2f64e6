"""What changes in place at a terminal. It is drawn with rich, which is an extra: import this where it is needed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from linkauth.cli.words import rate

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from rich.progress import Task

__all__ = ["bar", "replaced"]


@contextmanager
def replaced() -> Generator[Callable[[Sequence[str]], None]]:
    """Show lines on standard output, each time in the place of those before. What does not fit is cut at the end."""
    with Live(auto_refresh=False) as live:
        yield lambda lines: live.update(Text("\n".join(lines)), refresh=True)


@contextmanager
def bar(doing: str, total: int) -> Generator[Callable[[], None]]:
    """A bar on standard error; what it yields is called when one more is done."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda: progress.advance(task)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """How many a second, or a minute."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else rate(speed))
