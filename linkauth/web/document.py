"""The HTML around what a page says: without scripts, images or anything from elsewhere, and with a policy that would stop them."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from string import Template
from typing import Final

__all__ = ["document", "policy"]

DOCUMENT: Final = Template(
    "<!doctype html>\n"
    '<html lang="en">\n'
    '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="robots" content="noindex"><title>$title</title><style>$style</style></head>\n'
    "<body><main><h1>$title</h1>\n$body\n</main></body>\n"
    "</html>\n"
)


def document(title: str, body: str, style: str) -> str:
    """The whole page. ``title`` is text; ``body`` is HTML."""
    return DOCUMENT.substitute(title=escape(title), body=body, style=style)


def policy(style: str, *, form_action: str) -> str:
    """Its ``Content-Security-Policy``: nothing runs or is loaded but ``style``. ``form_action``: where its forms may go."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        f"base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    )
