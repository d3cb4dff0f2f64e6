"""What a run found, in words: a table for each bench, the page of them all, and the table of the README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.ours import LINKAUTH

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from benchmarks.measure import Found, Spread
    from benchmarks.result import Kept, Result

MARKS = ("<!-- costs: python -m benchmarks --save -->", "<!-- end of costs -->")
"""Between these the README holds what ``readme`` says."""

BUSY = """The machine was busy: what is told in elapsed time (processes, loops that call an API) is rough, processor time less so."""


def number(value: float) -> str:
    """Three digits, and no more noughts than that takes."""
    return f"{float(f'{value:.3g}'):,.4g}" if value < 1e4 else f"{float(f'{value:.3g}'):,.0f}"


def spread(found: Spread) -> str:
    """The median and, where the rounds differ, the quartiles."""
    if number(found.low) == number(found.high):
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)} to {number(found.high)})"


def in_order(kept: Kept) -> list[tuple[str, Found]]:
    """The cheapest first."""
    return sorted(kept.subjects.items(), key=lambda each: next(iter(each[1].figures.values())).median)


def table(kept: Kept) -> Iterator[str]:
    """Markdown: a line for each subject."""
    names = list(next(iter(kept.subjects.values())).figures)
    columns = [*([f"ratio to {kept.limit}"] if kept.limit else []), *names]
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for subject, found in in_order(kept):
        cells = [*([spread(found.ratio)] if found.ratio else []), *(spread(found.figures[name]) for name in names)]
        shown = f"**{subject}**" if subject.startswith(LINKAUTH) else subject
        yield f"| {shown} | {' | '.join(cells)} |"


def machine(result: Result) -> str:
    """When and where, in a sentence."""
    busy = (
        f"load {result.load[0]:.1f} before and {result.load[1]:.1f} after the run (a run by itself makes about 1 of it)"
    )
    programs = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    return f"{result.taken}, linkauth as of commit {result.commit}; {result.cores} cores, {result.machine}; {busy}; {programs}."


def page(result: Result) -> str:
    """``results/results.md``: every bench."""
    lines = [
        "# What `python -m benchmarks` found",
        "",
        machine(result),
        "",
        "Subjects take turns, in another order each round. Ratios are taken within a round. Told is the median, and in brackets",
        "the quartiles, between which half of the rounds lie. Processor time is the client's own: the server runs on the other core.",
    ]
    if result.absent:
        lines += ["", f"Not installed here, and so not measured: {', '.join(result.absent)}."]
    if result.scale != 1:
        lines += ["", f"A small run: {result.scale:g} of the work."]
    for name, kept in result.benches.items():
        lines += ["", f"## {name}", "", f"{kept.what}. {kept.rounds} rounds.", "", *table(kept)]
    return "\n".join(lines) + "\n"


def cost(kept: Kept, libraries: Container[str]) -> str:
    """A line of the README's table: linkauth, the best that is written by hand, and the best library."""
    others: dict[bool, list[tuple[float, str]]] = {False: [], True: []}
    for name, ratio in kept.ratios().items():
        if name != kept.limit and not name.startswith(LINKAUTH):
            others[name in libraries].append((ratio.median, name))
    by_hand, library = (f"{number(min(each)[0])}: {min(each)[1]}" if each else "" for each in others.values())
    what = kept.what[0].lower() + kept.what[1:]
    return f"| {what} | {kept.limit} | **{number(kept.ratios()[LINKAUTH].median)}** | {by_hand} | {library} |"


def readme(result: Result) -> str:
    """What stands between the README's ``MARKS``."""
    lines = [
        MARKS[0],
        "| work | the least, 1.0 | linkauth | best by hand | best library |",
        "|---|---|---:|---|---|",
        *(cost(kept, result.versions) for kept in result.benches.values() if LINKAUTH in kept.ratios()),
        "",
        f"Medians of ratios within rounds, {result.taken.split()[0]}, {result.cores} cores with a load of {result.load[0]:.0f},",
        f"Python {result.versions['Python']}; every peer, the spread and the versions are in `benchmarks/results/results.md`.",
        *([BUSY] if max(result.load) > result.cores else []),
        MARKS[1],
    ]
    return "\n".join(lines)


def into_readme(text: str, result: Result) -> str:
    """The README with the figures of ``result``."""
    between = re.compile(f"{re.escape(MARKS[0])}.*?{re.escape(MARKS[1])}", re.DOTALL)
    return between.sub(lambda _: readme(result), text)
