"""The landing pages in an app's own colour, with its logo and in its language: what is taken, what is refused, and what stays as it was."""

from __future__ import annotations

import re
from itertools import product

import pytest

from linkauth.errors import AccessDenied, ConfigurationError
from linkauth.vendors.catalog import ENTRIES
from linkauth.vendors.titles import title
from linkauth.web import ENGLISH, Look
from linkauth.web.landing import CONNECTED, USED, failure
from linkauth.web.look import STYLE, text_on
from tests.web.conftest import Site, Visitor
from tests.web.pages import state_of

ARABIC = {
    "lang": "ar",
    "dir": "rtl",
    "connected": "تم الربط مع $vendor",
    "refused": '<b>"لا"</b> $$1 & $vendor',
    "again": "<حاول> مرة أخرى",
}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


async def test_colour_logo_and_language(site: Site, ada: Visitor) -> None:
    """The app's look is on the pages of either framework: its words, their direction, its logo, and English where a word is missing."""
    await site.serve(titles=None, look=Look(colour="#06c", logo="/static/logo.svg", words=ARABIC))
    await ada.sign_in("ada")
    page = await ada.get(site.sandbox.linkkit.consent(await ada.begin("linkkit")).url)
    assert page.tags[0] == ("html", {"lang": "ar", "dir": "rtl"})
    assert "تم الربط مع Linkkit" in page.text
    assert ENGLISH["connected.text"] in page.text
    assert ("img", {"src": "/static/logo.svg", "alt": ""}) in page.tags
    assert "a { background: #06c; color: #fff; }" in page.source
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    refused = f"/linkkit/callback?error=access_denied&state={state_of(await ada.begin('linkkit'))}"
    page = await ada.get(refused)
    assert '<b>"لا"</b> $1 & Linkkit' in page.text
    assert "<حاول> مرة أخرى" in page.text
    assert "b" not in [tag for tag, _ in page.tags]


async def test_titles_by_default(site: Site, ada: Visitor) -> None:
    """People read "Sage X3" and not the word in the path, also where that word is the app's own or stands for many tenants."""
    await site.serve(
        words={"sagex3": site.sagex3, "links": site.linkkit, "github": lambda _: None, "my-own": lambda _: None},
        titles={"links": ""},
    )
    for word, said in {"sagex3": "Sage X3", "links": "Linkkit", "github": "GitHub", "my-own": "my-own"}.items():
        page = await ada.get(f"/{word}")
        assert f"then connect {said} from there" in page.text


@pytest.mark.parametrize("name", ENTRIES)
def test_the_catalogues_titles(name: str) -> None:
    """Each of the catalogue's vendors has a title that begins as a name does, and is no machine's word."""
    assert re.fullmatch(r"e?[A-Z][A-Za-z0-9]*( [A-Z][A-Za-z0-9]*)*", title(name))


@pytest.mark.parametrize(("name", "said"), [("google", "Google"), ("ebay", "eBay"), ("acme", "acme"), ("x", "X")])
def test_a_title(name: str, said: str) -> None:
    """As the vendor writes itself; a name that nobody knows stays as it was typed."""
    assert title(name) == said


def test_every_colour_can_be_read() -> None:
    """What is written on a colour has a contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3), whatever the colour."""
    for red, green, blue in product("0123456789abcdef", repeat=3):
        colour = f"#{red}{green}{blue}"
        assert contrast(colour, text_on(colour)) >= 4.5, colour
    assert (text_on("#FFEE00"), text_on("#003"), text_on("#767676")) == ("#000", "#fff", "#000")


def contrast(*colours: str) -> float:
    """The ratio as WCAG defines it, computed from light to dark."""
    light, dark = sorted(map(luminance, colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(digit * 2, 16) / 255 for digit in colour[1:]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(part * value for part, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    "colour",
    ["red", "06c", "#06", "#0066c", "#0066cc80", "#06c; }", "#06c\n", "", 3, "rgb(0,0,0)", "#\u0660\u0660\u0660"],
)
def test_what_is_no_colour(colour: object) -> None:
    """Only hex is taken: nothing else can stand in a stylesheet and end it."""
    with pytest.raises(ConfigurationError, match="Look: colour is"):
        Look(colour=colour)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "logo",
    [
        "",
        "logo.svg",
        "//evil.example/logo.svg",
        "/\\evil.example",
        "https://evil.example/logo.svg",
        "/lo\tgo.svg",
        "data:text/html,<script>",
        "data:image/svg+xml,<svg xmlns='x'>",
        "data:image/png",
        "javascript:alert(1)",
        b"/logo.svg",
        3,
    ],
)
def test_what_is_no_logo(logo: object) -> None:
    """Only what lies at the app itself, or in the page: nothing foreign is loaded, and nobody learns who connects."""
    with pytest.raises(ConfigurationError, match="Look: logo is"):
        Look(logo=logo)  # type: ignore[arg-type]


def test_a_logo_in_the_page() -> None:
    """A ``data:`` URL is let through by the policy, a path is not; markup in a path is text."""
    page = CONNECTED.page("Acme", "", Look(logo=PIXEL, words={"logo": 'The "Acme" app'}))
    assert f'<img src="{PIXEL}" alt="The &quot;Acme&quot; app">' in page.text
    assert "; img-src data:; " in page.headers["Content-Security-Policy"]
    assert '<img src="/a&quot;&gt;&lt;script&gt;" alt="">' in CONNECTED.page("Acme", "", Look(logo='/a"><script>')).text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"conected": "x"}, r"'conected'.*close are: connected"),
        ({"Connected.Text": "x"}, r"close are: connected\.text"),
        ({3: "x"}, "has 3"),
        ({"connected": " "}, "is no text"),
        ({"connected": None}, "is no text"),
        ({"connected": "$user"}, r"\$vendor"),
        ({"connected": "5 $"}, r"every other dollar doubled"),
        ({"lang": "German"}, "language tag"),
        ({"lang": 'de" onload="'}, "language tag"),
        ({"dir": "left"}, '"ltr" or "rtl"'),
    ],
)
def test_what_is_no_word(words: dict[str, str], says: str) -> None:
    """A key that no page has is told with the nearest that one has, when the look is made, as is a word that cannot be filled in."""
    with pytest.raises(ConfigurationError, match=says):
        Look(words=words)


@pytest.mark.parametrize("lang", ["de", "pt-BR", "zh-Hant-TW", "gsw"])
def test_a_language(lang: str) -> None:
    """Whoever reads the page aloud is told its language; the rest of the words stays English."""
    look = Look(words={"lang": lang})
    assert f'<html lang="{lang}">' in CONNECTED.page("Acme", "", look).text
    assert dict(look.words) == {**ENGLISH, "lang": lang}


def test_what_comes_from_outside_is_text() -> None:
    """A title, a vendor's words and an address with markup in them are escaped; a title's direction ends with it."""
    evil = "<script>\"&'\u202eabc"
    landing = failure(AccessDenied("access_denied", evil, status=403))
    text = landing.page(evil, f"https://app.example.com/{evil}", Look(words=ARABIC)).text
    escaped = "&lt;script&gt;&quot;&amp;&#x27;\u202eabc"
    assert "<script" not in text
    assert f"<bdi>{escaped}</bdi>" in text
    assert f'<blockquote dir="auto">{escaped}</blockquote>' in text
    assert f'href="https://app.example.com/{escaped}"' in text


def test_without_a_look() -> None:
    """As ever: English, no image, no colour, and a stylesheet of no app's own."""
    page = USED.page("Acme", "https://app.example.com/connect/acme")
    assert f"<style>{STYLE}</style>" in page.text
    assert "<img" not in page.text
    assert "img-src" not in page.headers["Content-Security-Policy"]
    assert not re.search("#[0-9a-f]{3}", STYLE)
