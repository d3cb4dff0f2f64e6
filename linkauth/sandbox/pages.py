"""Plain pages that anyone can use: a language, a title, labels, buttons, and nothing from elsewhere."""

from __future__ import annotations

import secrets
from html import escape
from string import Template
from typing import TYPE_CHECKING, Final

from aiohttp import web

from linkauth.sandbox.wire import NOT_STORED

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["hidden", "page", "posting"]

STYLE: Final = """
:root { color-scheme: light dark; }
html { background: Canvas; color: CanvasText; }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; }
a { color: LinkText; }
button { font: inherit; padding: .5rem 1.2rem; margin: .5rem .5rem 0 0; min-height: 2.75rem; }
fieldset { margin: 1rem 0; border: .0625rem solid; border-radius: .5rem; }
label { display: block; padding: .375rem 0; }
input { inline-size: 1.25rem; block-size: 1.25rem; vertical-align: text-bottom; }
table { border-collapse: collapse; margin: 1.5rem 0; width: 100%; } caption { text-align: left; font-weight: bold; }
th { text-align: left; font-weight: normal; padding-right: 1rem; } td { text-align: right; white-space: nowrap; }
td:only-child { text-align: left; }
tr { border-top: .0625rem solid; }
"""

PAGE: Final = Template(
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>$title</title><style>$style</style></head>\n'
    "<body><main><h1>$title</h1>\n$body\n</main></body>\n</html>\n"
)

HEADERS: Final = {**NOT_STORED, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def page(title: str, body: str, *, status: int = 200, nonce: str = "") -> web.Response:
    """A page. ``body`` is HTML, ``title`` is text; ``nonce``: of the one script that may run."""
    text = PAGE.substitute(title=escape(title), body=body, style=STYLE)
    script = f" script-src 'nonce-{nonce}';" if nonce else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline';{script} base-uri 'none'"
    headers = {**HEADERS, "Content-Security-Policy": policy}
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


def posting(title: str, url: str, fields: Mapping[str, str]) -> web.Response:
    """A page whose form sends itself: how a browser is made to POST ``fields`` to ``url``. A button does it, too."""
    nonce = secrets.token_urlsafe(12)
    body = (
        f'<p>If nothing happens, continue by hand.</p><form method="post" action="{escape(url)}">{hidden(fields)}'
        f'<button>Continue</button></form><script nonce="{nonce}">document.forms[0].submit()</script>'
    )
    return page(title, body, nonce=nonce)


def hidden(fields: Mapping[str, str]) -> str:
    """``fields`` as hidden inputs of a form."""
    return "".join(f'<input type="hidden" name="{escape(n)}" value="{escape(v)}">' for n, v in fields.items())
