"""A vendor's protocol is a generator: it yields a ``Request``, is sent a ``Response`` and returns its result.

So protocol steps read from top to bottom, grants compose with ``yield from``, and a vendor is tested without a loop
or a socket (``linkauth.testing.play``). Time comes in with the response; a flow looks at no clock.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TypeAlias, TypeVar
from urllib.parse import urlencode

import attrs

from linkauth.oauth import wire
from linkauth.oauth.token import secret_bytes

__all__ = ["Flow", "Request", "Response"]

T = TypeVar("T")


def _mask(_: object) -> str:
    return "****"


@attrs.frozen(kw_only=True)
class Request:
    """One request to a vendor's token side. Neither body nor headers appear in its ``repr``."""

    method: str = "POST"
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=_mask)
    body: bytes = attrs.field(default=b"", converter=secret_bytes, repr=_mask)

    @classmethod
    def form(cls, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Request:
        """A POST of ``application/x-www-form-urlencoded`` fields; empty ones are left out (RFC 6749 §3.2)."""
        # surrogatepass: an encoder that failed would hold, and show, the text that it failed at.
        given = {name: value for name, value in fields.items() if value}
        body = urlencode(given, errors="surrogatepass").encode("ascii")
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return cls(url=url, headers={**kind, **(headers or {})}, body=body)

    @classmethod
    def json(cls, url: str, fields: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Request:
        """A POST of a JSON object."""
        kind = {"Content-Type": "application/json", "Accept": "application/json"}
        return cls(url=url, headers={**kind, **(headers or {})}, body=wire.dump(fields))


@attrs.frozen(kw_only=True)
class Response:
    """A vendor's answer, read to its end. ``sent_at``: when the request went out, Unix seconds by the store's clock.

    ``headers`` have lower-case names. The body may hold secrets and stays out of ``repr``.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=_mask)
    body: bytes = attrs.field(default=b"", converter=secret_bytes, repr=_mask)
    sent_at: float = 0.0


Flow: TypeAlias = Generator[Request, Response, T]
"""A conversation with a vendor that ends in a ``T``."""
