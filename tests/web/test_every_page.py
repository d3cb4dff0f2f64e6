"""Every page of linkauth's, each over HTTP: that none is forgotten here, and what all of them promise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import linkauth
from linkauth.web import ENGLISH
from tests.web.every_page import Shown, at_the_sandbox, every_page, landings, sandbox_pages, titles, titles_in


async def test_none_is_forgotten() -> None:
    """Each title that a source file gives a page is among the pages that are looked at here."""
    seen = {page.title for page in await every_page()}
    assert {where: wanted.pattern for where, wanted in titles().items() if not any(map(wanted.fullmatch, seen))} == {}


def test_no_word_is_forgotten() -> None:
    """Each word of the landing pages is said by one of those that are looked at here, and each of those has its words."""
    said = {one.name for one in landings().values()}
    said |= {one.says or f"{one.name}.text" for one in landings().values()}
    assert said == ENGLISH.keys() - {"lang", "dir", "logo", "again", "vendor-says"}


def test_html_is_made_in_two_places() -> None:
    """No other file makes a page, so none can come past the look at their titles."""
    room = Path(linkauth.__file__).parent
    makers = {str(file.relative_to(room)) for file in room.rglob("*.py") if "<!doctype" in file.read_text().lower()}
    assert makers == {"web/document.py", "sandbox/pages.py"}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("page('Not seen', body)", "Not\\ seen"),
        ("raise Refusal(page(f'{vendor}: gone', body))", ".+:\\ gone"),
        ("return posting('Back', url, {})", "Back"),
    ],
)
def test_a_new_page_is_noticed(source: str, wanted: str) -> None:
    """The look into the sources finds a page wherever it is made; one whose title cannot be read there is refused."""
    found = titles_in("linkauth/sandbox/new.py", ast.parse(f"def f():\n    {source}"))
    assert [each.pattern for each in found.values()] == [wanted]
    with pytest.raises(AssertionError, match="cannot be read"):
        titles_in("linkauth/sandbox/new.py", ast.parse("def f(words):\n    page(words, body)"))


async def test_the_sandboxs_pages() -> None:
    """Each knows the dark, says its language and its title, does not reload itself, and loads nothing from elsewhere."""
    pages = [page async for page in sandbox_pages()]
    assert len(pages) > 15
    for page in pages:
        keeps_its_promises(page)


def keeps_its_promises(page: Shown) -> None:
    assert page.title, page.name
    assert '<html lang="en">' in page.text, page.name
    assert "color-scheme: light dark" in page.text, page.name
    assert "http-equiv" not in page.text, page.name
    assert not re.search(r"<(img|link|iframe|script [^>]*src)", page.text), page.name
    assert page.policy.startswith("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"), page.name


async def test_the_counters_are_read_again_by_hand() -> None:
    """The sandbox's first page has a link that reads it again, in the place of a reload by itself."""
    async with at_the_sandbox() as (sandbox, shown):
        page = await shown("counters", "GET", sandbox.url)
        assert '<a href="/">Read the counters again</a>' in page.text
