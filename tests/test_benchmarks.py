"""The benchmarks run, and what they found is told as it was found; what they measure is nobody's test."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report, result
from benchmarks.measure import Bench, Found, Scene, Spread, run

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = result.RESULTS / "results.json"


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """``python -m benchmarks``, from the repository's root."""
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)


def kept(median: float, *, limit: bool = True) -> result.Result:
    """A result of one bench in which linkauth came to ``median``, give or take a tenth."""
    spread = Spread(0.9 * median, median, 1.1 * median)
    one = Found({"µs": Spread(1, 1, 1)}, Spread(1, 1, 1) if limit else None)
    ours = Found({"µs": spread}, spread if limit else None)
    subjects = {"linkauth": ours, "bare": one, "a peer": one, "by somebody": one}
    bench = result.Kept("A hit", "bare" if limit else None, 3, subjects)
    return result.Result(
        "2026-12-01", "c0ffee", "m", 2, (1.0, 2.0), {"Python": "3.11", "a peer": "1"}, [], 1.0, {"hit": bench}
    )


def committed() -> result.Result:
    return result.read(json.loads(COMMITTED.read_text()))


@pytest.mark.long
def test_the_benchmarks_run(tmp_path: Path) -> None:
    """``python -m benchmarks`` measures, keeps what it found, and of many tasks without a token one asks."""
    ran = program("--only", "hit", "peek", "requests", "storm", "--rounds", "1", "--scale", "0.01", "--save", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = result.read(json.loads((tmp_path / "results.json").read_text()))
    assert list(found.benches) == ["hit", "peek", "requests", "storm"]
    assert found.benches["storm"].subjects["linkauth"].figures["requests"].median == 1
    assert (tmp_path / "results.md").read_text() == report.page(found)
    assert "| **linkauth** |" in ran.stdout


@pytest.mark.long
def test_every_bench_runs(tmp_path: Path) -> None:
    """``--quick`` runs them all: no refresh token is used twice, nobody fails, and nobody is asked more than once."""
    ran = program("--quick", "--save", tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = result.read(json.loads((tmp_path / "results.json").read_text())).benches
    assert set(found) == set(committed().benches)
    for name, expected in {
        "files": {"requests": 1, "used twice": 0, "failed": 0},
        "redis": {"requests": 1, "used twice": 0, "failed": 0},
        "cancelled": {"requests": 1, "callers that failed": 0},
    }.items():
        ours = found[name].subjects["linkauth"].figures
        assert {figure: ours[figure].median for figure in expected} == expected, name
    pictures = importlib.util.find_spec("matplotlib") is not None
    assert all((tmp_path / f"costs-{ink}.svg").exists() is pictures for ink in ("light", "dark"))


def test_the_readme_says_what_was_measured() -> None:
    """The README's table, and the page of all results, are those of the committed run."""
    assert report.readme(committed()) in (ROOT / "README.md").read_text()
    assert (result.RESULTS / "results.md").read_text() == report.page(committed())


def test_the_committed_run_was_a_whole_one() -> None:
    """All benches, all of the work, every peer; and the pictures lie beside it."""
    from benchmarks.__main__ import BENCHES

    found = committed()
    assert (set(found.benches), found.scale, found.absent) == (set(BENCHES), 1.0, [])
    assert {path.name for path in result.RESULTS.glob("costs-*")} == {
        f"costs-{ink}.{kind}" for ink in ("light", "dark") for kind in ("svg", "png")
    }


@pytest.mark.long
async def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is three times as slow in one round changes figures and no ratio; whoever warms up is not counted."""
    slowness = {"limit": iter([100.0, 1.0, 3.0, 1.0]), "linkauth": iter([1.0, 2.0, 6.0, 2.0])}

    def turn(name: str):
        async def taken() -> dict[str, float]:
            return {"µs": next(slowness[name])}

        return taken

    class Opened:
        def __init__(self, _: Scene) -> None: ...

        async def __aenter__(self):
            return {name: turn(name) for name in slowness}

        async def __aexit__(self, *_: object) -> None: ...

    bench = Bench("a", "A bench", Opened, "limit")
    found = await run(bench, Scene(None, 1.0), 3)
    assert found["linkauth"].ratio == Spread(2, 2, 2)
    assert found["linkauth"].figures["µs"] == Spread(2, 2, 4)


@pytest.mark.parametrize("limit", [True, False])
def test_what_got_worse_is_said(*, limit: bool) -> None:
    """``--check``: half as much again is worse, whether a limit or the first figure tells it; a tenth more is noise."""
    old = kept(1.0, limit=limit)
    assert list(result.worse(kept(1.1, limit=limit), old)) == []
    assert list(result.worse(kept(2.0, limit=limit), old)) == ["hit, linkauth: 2, and 1 on 2026-12-01"]


def test_what_is_kept_is_read_again() -> None:
    """A result that goes through JSON is the same one."""
    assert result.read(json.loads(json.dumps(result.written(kept(1.0))))) == kept(1.0)


def test_the_readme_is_written_anew() -> None:
    """Between its marks the README gets the new figures, and nothing else of it changes."""
    page = "\n".join(["# Before", *report.MARKS, "After"])
    new = report.into_readme(page, kept(1.5))
    assert "| a hit | bare | **1.5** | 1: by somebody | 1: a peer |" in new
    assert new.startswith("# Before\n")
    assert new.endswith("\nAfter")
    assert report.into_readme(new, kept(1.5)) == new
