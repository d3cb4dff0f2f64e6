"""The page of messages is the code's: each has its row, each row its message, and each says who acts and what to do."""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path
from types import ModuleType

import pytest

from tests.packages import loaded

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def messages() -> ModuleType:
    """``docs/messages.py``, which is no part of a package."""
    return loaded(ROOT / "docs" / "messages.py")


@pytest.fixture(scope="module")
def said(messages: ModuleType) -> dict[str, set[str]]:
    """All that the code says."""
    return messages.found()  # type: ignore[no-any-return]


def test_each_message_has_its_row_and_each_row_its_message(messages: ModuleType, said: dict[str, set[str]]) -> None:
    """What the page would gain and lose if it were written anew: nothing."""
    page = messages.PAGE.read_text()
    change = "\n".join(unified_diff(page.splitlines(), messages.written(page, said).splitlines(), n=0, lineterm=""))
    assert not change, f"run `python docs/messages.py`, then write in {messages.PAGE} where WRITE stands:\n{change}"


def test_each_row_says_who_acts_and_what_to_do(messages: ModuleType) -> None:
    """No hole is left, nobody acts whom ``error.who`` could not name, and no section goes without a word."""
    page = messages.PAGE.read_text()
    assert [line for line in page.splitlines() if messages.HOLE in line] == []
    rows = re.findall(r"^\| `.+`+ \| (.*?) \| (.*) \|$", page, flags=re.MULTILINE)
    assert len(rows) > 80
    assert {who for who, _ in rows} <= messages.WHO
    assert all(what.endswith(".") for _, what in rows)


def test_a_message_without_a_row_and_a_row_without_a_message_are_found(
    messages: ModuleType, said: dict[str, set[str]]
) -> None:
    """Rows come and go with the code, and what was written by hand stays with the others."""
    page = messages.PAGE.read_text()
    (row,) = re.findall(r"^\| `store lost` .*\n", page, flags=re.MULTILINE)
    changed = page.replace(row, "| `store sold` | nobody | Buy another. |\n").replace(
        "- `timeout: seconds above 0 are needed`\n", ""
    )
    anew = messages.written(changed, said)
    assert f"| `store lost` | {messages.HOLE} | {messages.HOLE} |" in anew
    assert "store sold" not in anew
    assert anew.replace(f"| `store lost` | {messages.HOLE} | {messages.HOLE} |\n", row) == page


@pytest.mark.parametrize(
    ("line", "section", "text"),
    [
        ('raise ConfigurationError(f"{name}: no {kind} is here")', "ConfigurationError", "…: no … is here"),
        ('raise InvalidRequest("", "the page is " + word)', "InvalidRequest", "the page is …"),
        ('raise StoreUnavailable("it is away" if away else "it is full")', "StoreUnavailable", "it is full"),
        ('log.warning("%s: lost %d of %d", name, 1, 2)', "Log lines", "…: lost … of …"),
        ('parser.error("there is no such thing")', "ConfigurationError", "there is no such thing"),
        (
            'for fault in several():\n        raise ConfigurationError(f"{a}: {fault}")\ndef several():\n    return "it is so"',
            "ConfigurationError",
            "…: it is so",
        ),
        ('fault = "it is broken"\n    raise CorruptRecord(fault)', "CorruptRecord", "it is broken"),
        ('if fault := "it is odd":\n        raise NotSent(fault)', "NotSent", "it is odd"),
    ],
)
def test_what_a_line_says_is_read(
    messages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, section: str, text: str
) -> None:
    """As it stands on the page: what varies as one mark, both sides of a choice, and a text that was given a name first."""
    (tmp_path / "linkauth").mkdir()
    (tmp_path / "linkauth" / "planted.py").write_text(f"def planted():\n    {line}\n")
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    assert text in messages.found()[section]
