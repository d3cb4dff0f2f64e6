"""``python -m tests.fuzz TARGET [libFuzzer's options]``: coverage-guided fuzzing of one reader, on demand.

Needs atheris (``pip install atheris``), which has wheels for some Pythons and platforms only. Without it
``LINKAUTH_FUZZ=100 pytest tests/fuzz tests/oauth/test_fuzz.py`` feeds the same readers by hypothesis. What is found is
left as ``crash-…`` where it was started, and ends it with exit status 77.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Fuzz until something is found, or as long as libFuzzer's ``-max_total_time=SECONDS`` says."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris (it has no wheel for every Python)", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["linkauth", "linkauth_stores"]):
        from tests.fuzz import targets
    if not arguments or arguments[0] not in targets.TARGETS:
        print(f"which reader? {', '.join(targets.TARGETS)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(targets.SEEDS):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], "-max_len=4096", *arguments[1:], folder], targets.TARGETS[arguments[0]])
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
