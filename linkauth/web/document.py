"""The HTML around what a page says: without scripts or anything from elsewhere, and with a policy that would stop them."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from string import Template
from typing import Final

__all__ = ["document", "policy"]

DOCUMENT: Final = Template(
    "<!doctype html>\n"
    "<html $language>\n"
    '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="robots" content="noindex"><title>$title</title><style>$style</style></head>\n'
    "<body>$banner<main>$body\n</main></body>\n"
    "</html>\n"
)


def document(title: str, body: str, style: str, *, lang: str = "en", direction: str = "ltr", banner: str = "") -> str:
    """The whole page. ``title`` is text; ``body``, which has the page's heading, and ``banner``, above it, are HTML."""
    language = f'lang="{escape(lang)}"' + ("" if direction == "ltr" else f' dir="{escape(direction)}"')
    return DOCUMENT.substitute(title=escape(title), body=body, style=style, language=language, banner=banner)


def policy(style: str, *, form_action: str, images: str = "") -> str:
    """Its ``Content-Security-Policy``: nothing runs or is loaded but ``style``, and images from where ``images`` says.

    ``form_action``: where its forms may go.
    """
    digest = b64encode(sha256(style.encode()).digest()).decode()
    from_there = f"img-src {images}; " if images else ""
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; {from_there}"
        f"base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    )
