"""How an app's landing pages look: its colour, its logo, its words."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any, Final

import attrs

from linkauth.errors import ConfigurationError
from linkauth.web.start import is_path
from linkauth.web.words import ENGLISH, completed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLAIN", "Look"]

_COLOUR: Final = re.compile(r"#([0-9A-Fa-f]{3}){1,2}")
_IMAGE: Final = re.compile(r"data:image/[a-z0-9.+-]+(;[A-Za-z0-9=-]+)*,[!-~]+")

STYLE: Final = """
:root { color-scheme: light dark; }
html { background: Canvas; color: CanvasText; }
body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto 2rem; padding: 0 1.5rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; }
blockquote { margin: 1rem 0; padding-inline-start: 1rem; border-inline-start: .25rem solid; }
a { display: inline-block; padding: .5rem 1.25rem; border: .125rem solid CanvasText; border-radius: .5rem; }
a { color: CanvasText; text-decoration: none; }
a:focus-visible { outline: .1875rem solid CanvasText; outline-offset: .1875rem; }
"""


def _colour(_: Any, __: Any, value: object) -> None:
    if value is not None and not (isinstance(value, str) and _COLOUR.fullmatch(value)):
        raise ConfigurationError('Look: colour is a CSS colour in hex, such as "#0a6" or "#00aa66"')


def _logo(_: Any, __: Any, value: object) -> None:
    if value is None or (isinstance(value, str) and value and (is_path(value) or _IMAGE.fullmatch(value))):
        return
    raise ConfigurationError(
        "Look: logo is a path of the app's own, such as \"/static/logo.svg\", or an image's data: URL"
    )


@attrs.frozen(kw_only=True)
class Look:
    """How the landing pages look. Raises ``ConfigurationError`` for what no page could show, when it is made.

    ``colour``: ``#rgb`` or ``#rrggbb``, for the page's edge, its button, and behind the logo, in light and dark alike; what is written on
    it is black or white, whichever reads better (never below WCAG's AA). ``logo``: a path of the app's own, from its root (``/static/logo.svg``),
    or an image's ``data:`` URL; without a ``colour`` it stands on white. ``words``: what the pages say in another language, by
    the keys of ``linkauth.web.ENGLISH``; what is missing there is said in English.
    """

    colour: str | None = attrs.field(default=None, validator=_colour)
    """``#rgb`` or ``#rrggbb``; None: the browser's own."""
    logo: str | None = attrs.field(default=None, validator=_logo)
    """A path of the app's own from its root, or a ``data:`` URL; None: none."""
    words: Mapping[str, str] = attrs.field(default=ENGLISH, converter=completed)
    """What the pages say, by the keys of ``linkauth.web.ENGLISH``, whose own stand where one is missing."""

    @property
    def style(self) -> str:
        """The pages' stylesheet."""
        style = STYLE
        if self.colour is not None:
            style += f"html {{ border-top: .5rem solid {self.colour}; }}\n"
            style += f"a {{ background: {self.colour}; color: {text_on(self.colour)}; }}\n"
        if self.logo is not None:
            behind = self.colour or "#fff"
            style += "img { max-width: 100%; max-height: 6rem; box-sizing: border-box; padding: .75rem; border-radius: .5rem; }\n"
            style += f"img {{ background: {behind}; color: {text_on(behind)}; }}\n"  # the words in its place, where it does not load
        return style

    @property
    def banner(self) -> str:
        """The HTML above what a page says; empty: nothing."""
        if self.logo is None:
            return ""
        return f'<header><img src="{escape(self.logo)}" alt="{escape(self.words["logo"])}"></header>'

    @property
    def images(self) -> str:
        """Where images may come from, as ``Content-Security-Policy`` has it; empty: nowhere."""
        if self.logo is None:
            return ""
        return "data:" if self.logo.startswith("data:") else "'self'"


PLAIN: Final = Look()
"""In English, without colour or logo."""


def text_on(colour: str) -> str:
    """Black or white, whichever has more contrast on ``colour``: at least 4.58 to 1, where AA asks for 4.5 (WCAG 2.2, 1.4.3)."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    red, green, blue = (_linear(int(digits[at : at + 2], 16) / 255) for at in (0, 2, 4))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#fff"


def _linear(channel: float) -> float:
    """A channel of sRGB, from 0 to 1, as light (WCAG 2.2, relative luminance)."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
