"""What a user starts with, by ``GET /VENDOR?tenant=…&next=…``: both are kept with the state, and a callback changes neither."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, urlencode

import attrs

if TYPE_CHECKING:
    from linkauth.web.visit import Visit

__all__ = ["Start", "is_path"]

LONGEST: Final = 2048
"""Characters of ``next``."""

_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
"""What a tenant may be called: nothing that could end a host or a segment of a URL that an app writes it into."""

_OF_A_URL: Final = "%/?#[]@!$&'()*+,;=:~"
"""What stays as it is when a path is sent on, beside letters and digits (RFC 3986 §2)."""


@attrs.frozen
class Start:
    """Which vendor, by the word in the path; which of its tenants; and where in the app the user goes on."""

    word: str
    tenant: str = ""
    next_path: str = ""

    @classmethod
    def asked(cls, visit: Visit) -> Self | None:
        """What ``visit`` asks for; None where its ``next`` is no path of the app's own, or one of the two comes twice."""
        tenants, paths = ([value for key, value in visit.query if key == name] or [""] for name in ("tenant", "next"))
        if len(tenants) > 1 or len(paths) > 1 or not is_path(paths[0]):
            return None
        return cls(visit.word, tenants[0], paths[0])

    @property
    def names_a_tenant(self) -> bool:
        """Whether ``tenant`` is a name that the app can be asked about."""
        return _TENANT.fullmatch(self.tenant) is not None

    @property
    def path(self) -> str:
        """Where to start so again, below the mounted app."""
        query = urlencode([pair for pair in (("tenant", self.tenant), ("next", self.next_path)) if pair[1]])
        return f"/{quote(self.word, safe='')}" + (f"?{query}" if query else "")

    @property
    def location(self) -> str:
        """Where the user goes on, as a ``Location`` has it; empty: nobody said. Looked at again: it comes from a store."""
        return quote(self.next_path, safe=_OF_A_URL) if is_path(self.next_path) else ""


def is_path(text: str) -> bool:
    """Whether ``text`` is a path of the app's own, with a query or not, or empty.

    One slash at its beginning, for ``//other.example`` is another host; no backslash, which browsers read as a slash; and
    nothing that they leave out before they read it, such as a tab (WHATWG URL §4.4).
    """
    plain = text.isprintable() and "\\" not in text and len(text) <= LONGEST
    return plain and (not text or (text.startswith("/") and not text.startswith("//")))
