"""A vendor's protocol is a generator: it yields a ``Request``, is sent a ``Response`` and returns its result.

So protocol steps read from top to bottom, grants compose with ``yield from``, and a vendor is tested without a loop
or a socket (``linkauth.testing.play``). Time comes in with the response; a flow looks at no clock.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import attrs

from linkauth.oauth import wire
from linkauth.oauth.token import MaskedStr, masked, secret_bytes, secret_str

__all__ = ["Flow", "Request", "Response"]

T = TypeVar("T")

SECRETS: Final = frozenset(
    {
        *("client_secret", "client_assertion", "password", "code", "code_verifier", "device_code", "assertion"),
        *("token", "access_token", "refresh_token", "refreshToken", "subject_token", "actor_token", "authorization"),
    }
)
"""Fields and headers that are secrets, however short."""
PUBLIC: Final = frozenset(
    {
        *("client_id", "email", "username", "login_hint", "scope", "redirect_uri", "resource", "audience"),
        *("grant_type", "response_type", "client_assertion_type", "token_type_hint", "code_challenge_method"),
        *("subject_token_type", "actor_token_type", "requested_token_type"),
        *(
            "accept",
            "accept-encoding",
            "accept-language",
            "connection",
            "content-length",
            "content-type",
            "date",
            "host",
        ),
        *("user-agent", "x-request-id", "x-correlation-id", "traceparent", "tracestate", "idempotency-key"),
    }
)
"""Fields and headers that are none: a vendor's words about them help whoever has to act."""
SHORTEST: Final = 8
"""Characters from which any other field or header counts as a secret: nobody but an app's author knows what it is."""


def _mask(_: object) -> str:
    return "****"


def _discreet(headers: Mapping[str, str]) -> Mapping[str, str]:
    """``headers`` in a form that no traceback shows, whoever walks into it."""
    return wire.Masked((name, text if name.lower() in PUBLIC else secret_str(text)) for name, text in headers.items())


@attrs.frozen(kw_only=True)
class Request:
    """One request to a vendor's token side. Neither body nor headers appear in its ``repr``."""

    method: str = "POST"
    """The HTTP method."""
    url: str
    """Whole, with its query."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_discreet, repr=_mask)
    """What is not known to be public is masked in ``repr``."""
    body: bytes = attrs.field(default=b"", converter=secret_bytes, repr=_mask)
    """As it is sent; empty: none."""
    idempotent: bool = attrs.field(default=False, repr=False, eq=False)
    """Sent twice it does what it does once (RFC 9110 §9.2.2). The engine says so of renewals where nothing rotates."""

    @classmethod
    def form(cls, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Request:
        """A POST of ``application/x-www-form-urlencoded`` fields; empty ones are left out (RFC 6749 §3.2)."""
        body = _form(fields)
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return cls(url=url, headers={**kind, **(headers or {})}, body=body)

    @classmethod
    def json(cls, url: str, fields: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Request:
        """A POST of a JSON object."""
        kind = {"Content-Type": "application/json", "Accept": "application/json"}
        return cls(url=url, headers={**kind, **(headers or {})}, body=wire.dump(fields))

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the body, masked in ``repr``: of a form (each text the last of its name), or of a JSON object."""
        if self._is_json():
            found: wire.Masked = masked(wire.as_object(wire.decode(self.body)))
            return found
        text = self.body.decode("utf-8", "surrogateescape")
        return wire.Masked((name, MaskedStr(value)) for name, value in parse_qsl(text, errors="surrogateescape"))

    def with_fields(self, fields: Mapping[str, Any]) -> Request:
        """This request with ``fields`` in place of its own, written as its own are."""
        return attrs.evolve(self, body=wire.dump(dict(fields)) if self._is_json() else _form(fields))

    def _is_json(self) -> bool:
        return self.body[:1] in {b"{", b"["}

    def secrets(self) -> tuple[str, ...]:
        """What is in this request that nobody's words may give away: whatever is not known to be public."""
        query = parse_qsl(urlsplit(self.url).query)
        if self._is_json():
            members = _texts("", wire.decode(self.body))
        else:
            members = iter(parse_qsl(self.body.decode("utf-8", "surrogateescape"), errors="surrogateescape"))
        given = [*query, *members]
        for name, value in self.headers.items():
            parts = _credentials(value) if name.lower().endswith("authorization") else (value,)
            given += [(name.lower(), part) for part in parts]
        known = [(name, secret_str(value)) for name, value in given if name not in PUBLIC]
        return tuple(value for name, value in known if name in SECRETS or len(value) >= SHORTEST)


@attrs.frozen(kw_only=True)
class Response:
    """A vendor's answer, read to its end. ``sent_at``: when the request went out, Unix seconds by the store's clock.

    ``headers`` have lower-case names. The body may hold secrets and stays out of ``repr``.
    """

    status: int
    """The HTTP status."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=_mask)
    """By names in lower case."""
    body: bytes = attrs.field(default=b"", converter=secret_bytes, repr=_mask)
    """Read to its end, and unpacked; empty: none."""
    sent_at: float = 0.0
    """When the request went out, Unix seconds by the store's clock."""
    request: Request | None = attrs.field(default=None, repr=False)
    """What it answers. Whoever drives a flow sets it: so words of the answer are shown without what was sent."""

    def secrets(self) -> tuple[str, ...]:
        """What its words must not give away: what was sent."""
        return () if self.request is None else self.request.secrets()


Flow: TypeAlias = Generator[Request, Response, T]
"""A conversation with a vendor that ends in a ``T``."""


def _form(fields: Mapping[str, Any]) -> bytes:
    # surrogatepass: an encoder that failed would hold, and show, the text that it failed at.
    written = urlencode({name: value for name, value in fields.items() if value}, errors="surrogatepass")
    return written.encode("ascii")


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, with the name that it, or the list around it, has."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for inner, part in cast("dict[str, object]", value).items():
            yield from _texts(inner, part)
    elif isinstance(value, list):
        for part in cast("list[object]", value):
            yield from _texts(name, part)


def _credentials(value: str) -> Iterator[str]:
    """What an ``Authorization`` has behind its scheme (RFC 9110 §11.4), and the password in HTTP Basic (RFC 7617 §2)."""
    scheme, _, credentials = value.partition(" ")
    yield credentials or scheme
    if scheme.lower() != "basic":
        return
    try:
        pair = b64decode(credentials, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return
    password = pair.partition(":")[2]
    yield from (password, unquote_plus(password))
