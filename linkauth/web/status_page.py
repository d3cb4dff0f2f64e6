"""The operator's page: who is connected, until when, and what failed. Plain HTML without scripts, whatever serves it.

What comes from the store or the query is escaped, and the page's policy would not run it anyway.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import attrs

from linkauth.oauth.grants import NEVER
from linkauth.web import visit
from linkauth.web.document import document, policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from linkauth.engine.status import Status

__all__ = ["HEADERS", "Found", "Wanted", "message", "page", "state_of"]

A_PAGE: Final = 100
"""Credentials."""
STATES: Final = {
    "": "all",
    "needs-user": "need their user",
    "ends-soon": "end soon",
    "failing": "failing",
    "well": "well",
}
"""Word in the query, and on the page."""

NONE: Final = "None of them is what you look for."
NOTHING: Final = "Nobody is connected yet."

STYLE: Final = """
:root { color-scheme: light dark; }
html { background: Canvas; color: CanvasText; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.1rem; margin: 0; }
form { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; margin: 1rem 0; }
label { display: flex; flex-direction: column; font-size: .9rem; flex: 1 1 9rem; min-width: 0; max-width: 20rem; }
input, select, button { font: inherit; min-height: 2.75rem; padding: .25rem .75rem; box-sizing: border-box; max-width: 100%; }
ol { list-style: none; padding: 0; }
li { padding: .75rem 0 .75rem .75rem; border-top: .0625rem solid; border-left: .375rem solid transparent; }
li.needs-user { border-left-color: CanvasText; }
li.ends-soon, li.failing { border-left: .375rem double CanvasText; }
p { margin: .25rem 0; }
dl { display: flex; flex-wrap: wrap; gap: 0 1.5rem; margin: .25rem 0; }
dt, dd { display: inline; margin: 0; }
dt::after { content: ": "; }
code { user-select: all; }
nav { display: flex; gap: 1.5rem; }
nav a { padding: .625rem 0; }
"""

# No referrer: the query may hold an account's name.
HEADERS: Final = {**visit.HEADERS, "Content-Security-Policy": policy(STYLE, form_action="'self'")}


@attrs.frozen(kw_only=True)
class Wanted:
    """What is asked for in the query. Whatever is none of the words counts as nothing said."""

    vendor: str = ""
    account: str = ""
    """A part of the name, in any case."""
    state: str = ""
    page: int = 1
    """From 1 up."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Wanted:
        """What the query says."""
        state, page = query.get("state", ""), query.get("page", "")
        return cls(
            vendor=query.get("vendor", ""),
            account=query.get("account", "").strip(),
            state=state if state in STATES else "",
            page=max(int(page), 1) if page.isascii() and page.isdigit() and len(page) < 10 else 1,
        )

    def wants(self, status: Status) -> bool:
        """Whether ``status`` is shown."""
        if self.vendor not in {"", status.vendor} or self.account.casefold() not in status.account.casefold():
            return False
        return self.state in {"", state_of(status)}

    def link(self, page: int) -> str:
        """The query of another page of the same."""
        said = {"vendor": self.vendor, "account": self.account, "state": self.state, "page": str(page)}
        return "?" + urlencode({name: value for name, value in said.items() if value})


@attrs.define
class Found:
    """What is in the store, as far as it is shown."""

    wanted: Wanted
    vendors: set[str] = attrs.field(factory=set[str])
    total: int = 0
    by_state: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(STATES, 0))
    shown: list[Status] = attrs.field(factory=list["Status"])
    """All that match."""

    def add(self, status: Status) -> None:
        """One more that the store has."""
        self.vendors.add(status.vendor)
        self.total += 1
        self.by_state[state_of(status)] += 1
        if self.wanted.wants(status):
            self.shown.append(status)

    @property
    def pages(self) -> int:
        """How many there are, one at least."""
        return max(-(-len(self.shown) // A_PAGE), 1)

    @property
    def number(self) -> int:
        """Of the page that is shown: the last, where fewer are left than were asked for."""
        return min(self.wanted.page, self.pages)

    def page(self) -> Sequence[Status]:
        """Those on it, in the order of vendors and accounts."""
        self.shown.sort(key=lambda status: (status.vendor, status.account, status.key))
        return self.shown[(self.number - 1) * A_PAGE : self.number * A_PAGE]


def state_of(status: Status) -> str:
    """One of ``STATES``."""
    if status.needs_user:
        return "needs-user"
    if status.session_ends_soon:
        return "ends-soon"
    return "failing" if status.error or status.in_doubt else "well"


def page(found: Found, links: Mapping[str, str]) -> str:
    """The page. ``links``: by a record's key the URL at which its user starts again."""
    counted = "".join(f", {found.by_state[state]} {words}" for state, words in STATES.items() if found.by_state[state])
    body = f"<h1>Connections</h1>\n<p>{found.total} in the store{counted}.</p>\n{_form(found)}\n"
    items = "\n".join(_item(status, links.get(status.key, "")) for status in found.page())
    body += f"<ol>\n{items}\n</ol>\n{_turn(found)}" if items else f"<p>{NONE if found.total else NOTHING}</p>"
    return document("Connections", body, STYLE)


def message(title: str, text: str) -> str:
    """A page that says one thing."""
    return document(title, f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>", STYLE)


def _form(found: Found) -> str:
    wanted = found.wanted
    vendors = {"": "all"} | {name: name for name in sorted(found.vendors | {wanted.vendor} - {""})}
    return (
        '<form method="get" role="search">'
        f"<label>Vendor{_select('vendor', vendors, wanted.vendor)}</label>"
        f'<label>Account<input name="account" value="{escape(wanted.account)}"></label>'
        f"<label>State{_select('state', STATES, wanted.state)}</label>"
        "<button>Show</button></form>"
    )


def _select(name: str, words: Mapping[str, str], chosen: str) -> str:
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(word)}</option>'
        for value, word in words.items()
    )
    return f'<select name="{name}">{options}</select>'


def _item(status: Status, link: str) -> str:
    state = state_of(status)
    whose = f"{status.vendor} / {status.account}" if status.account else f"{status.vendor}: {_kind(status.key)}"
    word = {"needs-user": "Needs its user", "ends-soon": "Ends soon", "failing": "Failing", "well": "Well"}[state]
    lines = [f"<h2>{escape(whose)}</h2>", f"<p><strong>{word}</strong>{_why(status)}</p>"]
    facts = {
        "Client": escape(status.client_id),
        "Scope": escape(status.scope),
        "Token until": _moment(status.expires_at, status.now),
        "Renewable until": _moment(status.refresh_expires_at, status.now),
        "Session until": _moment(status.session_expires_at, status.now),
        "Tried again at": _moment(status.retry_at, status.now),
        "Secret changed": _moment(status.secret_rotated_at, status.now),
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{fact}</dd></div>" for name, fact in facts.items() if fact)
    lines += [f"<dl>{told}</dl>"] if told else []
    if link:
        lines.append(
            f"<p>For the user, to start again (opened by you, it would connect you): <code>{escape(link)}</code></p>"
        )
    return f'<li class="{state}">{"".join(lines)}</li>'


def _kind(key: str) -> str:
    return {"secret": "the client's secret", "answer": "an answer that was not understood"}.get(
        key.partition("/")[0], "a record that cannot be read"
    )


def _why(status: Status) -> str:
    why = status.error or ("a renewal was begun, and nobody knows how it ended" if status.in_doubt else "")
    return f": {escape(why)}" if why else ""


def _moment(at: float | None, now: float) -> str:
    """When that is, and how far from ``now``, the store's clock."""
    if at is None:
        return ""
    if not 0 <= at < NEVER:
        return "without end"
    written = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    left = _span(abs(at - now))
    return f'<time datetime="{written.replace(" ", "T")}Z">{written} UTC</time> ({f"in {left}" if at > now else f"{left} ago"})'


def _span(seconds: float) -> str:
    for length, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {word}"
    return f"{seconds:.0f} s"


def _turn(found: Found) -> str:
    """The way to the pages before and after."""
    here, pages = found.number, found.pages
    if pages == 1:
        return ""
    back = f'<a rel="prev" href="{escape(found.wanted.link(here - 1))}">Before</a>' if here > 1 else ""
    on = f'<a rel="next" href="{escape(found.wanted.link(here + 1))}">After</a>' if here < pages else ""
    return f'<nav aria-label="Pages">{back}<span>Page {here} of {pages}</span>{on}</nav>'
