"""The ratios as pictures, for a light and for a dark page: ``results/costs-light.svg`` and its like. Wants matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.ours import LINKAUTH

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.result import Kept, Result

INK = {"light": ("#1f2328", "#8c959f", "#0969da"), "dark": ("#e6edf3", "#7d8590", "#58a6ff")}
"""Words, the others' bars, linkauth's bar: readable on white and on nearly black, and to who cannot tell red from green."""
COLUMNS = 2


def draw(result: Result, folder: Path) -> list[Path]:
    """The files that were written: SVG and PNG, light and dark."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "linkauth", "font.size": 9})
    written = []
    for name, ink in INK.items():
        figure = _figure({name: kept for name, kept in result.benches.items() if kept.limit}, ink)
        for kind in ("svg", "png"):
            path = folder / f"costs-{name}.{kind}"
            metadata = {"Date": None} if kind == "svg" else {}
            figure.savefig(path, transparent=True, dpi=110, metadata=metadata)
            written.append(path)
    return written


def _figure(benches: dict[str, Kept], ink: tuple[str, str, str]) -> Any:
    from matplotlib.figure import Figure

    rows = -(-len(benches) // COLUMNS)
    figure = Figure(figsize=(11, 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for panel, kept in zip(panels, benches.values(), strict=False):
        _panel(panel, kept, ink)
    for panel in panels[len(benches) :]:
        panel.set_axis_off()
    return figure


def _panel(panel: Any, kept: Kept, ink: tuple[str, str, str]) -> None:
    """One bench: a bar for each subject, the shortest on top, quartiles as a thin line."""
    words, others, ours = ink
    ratios = kept.ratios()
    names = sorted(ratios, key=lambda name: -ratios[name].median)
    middles = [ratios[name].median for name in names]
    spread = [[ratios[n].median - ratios[n].low for n in names], [ratios[n].high - ratios[n].median for n in names]]
    panel.barh(
        names,
        middles,
        xerr=spread,
        color=[ours if name.startswith(LINKAUTH) else others for name in names],
        error_kw={"ecolor": words, "elinewidth": 0.8},
    )
    if max(middles) > 8 * min(middles):
        panel.set_xscale("log")
    panel.axvline(1, color=words, linewidth=0.8, linestyle=":")
    for place, middle in enumerate(middles):
        panel.annotate(f" {middle:.3g}", (max(middle, 0), place), color=words, va="bottom", fontsize=7)
    panel.set_title(kept.what, color=words, fontsize=9, loc="left")
    panel.set_facecolor("none")
    panel.tick_params(colors=words, which="both", labelsize=8)
    for side, spine in panel.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(words)
