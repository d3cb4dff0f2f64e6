"""Every page of linkauth's, each over HTTP: that none is forgotten here, and what all of them promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import linkauth
from linkauth.web import ENGLISH
from tests.web.every_page import Shown, at_the_sandbox, every_page, landings, lines, places, sandbox_pages, watch


@pytest.fixture
def wanted() -> set[str]:
    """Where the sources make a page, read before the loop runs."""
    return places()


async def test_none_is_forgotten(wanted: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place in the sources that makes a page has made one of those that are looked at here."""
    gone_through = watch(monkeypatch)
    assert await every_page()
    assert wanted - gone_through == set()
    assert len(wanted) > 15


def test_no_word_is_forgotten() -> None:
    """Each word of the landing pages is said by one of those that are looked at here, and each of those has its words."""
    said = {one.name for one in landings().values()}
    said |= {one.says or f"{one.name}.text" for one in landings().values()}
    assert said == ENGLISH.keys() - {"lang", "dir", "logo", "again", "vendor-says"}


def test_html_is_made_in_two_places() -> None:
    """No other file makes a page, so none is made past the functions that are watched here."""
    room = Path(linkauth.__file__).parent
    makers = {str(file.relative_to(room)) for file in room.rglob("*.py") if "<!doctype" in file.read_text().lower()}
    assert makers == {"web/document.py", "sandbox/pages.py"}


def test_a_new_page_is_noticed() -> None:
    """Wherever it is made: as an answer, within another call, or handed on."""
    source = "def f():\n    page('New', '')\n    raise Refusal(page(title, body))\n    return posting('Back', url, {})"
    assert sorted(lines(source)) == [2, 3, 4]


async def test_the_sandboxs_pages() -> None:
    """Each knows the dark, says its language and its title, does not reload itself, and loads nothing from elsewhere."""
    pages = [page async for page in sandbox_pages()]
    assert len(pages) > 15
    for page in pages:
        keeps_its_promises(page)


def keeps_its_promises(page: Shown) -> None:
    assert re.search("<title>[^<]+</title>", page.text), page.name
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
