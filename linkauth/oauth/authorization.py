"""The authorization endpoint: the URL that the user is sent to, and what comes back (RFC 6749 §4.1.1, §4.1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

from linkauth.errors import ConfigurationError, InvalidRequest
from linkauth.oauth import grants, wire
from linkauth.oauth.exchange import SHORTEST
from linkauth.oauth.token import secret_str
from linkauth.oauth.url import plain_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["masked", "parameter", "raise_if_refused", "said", "the_code", "url"]

_WORDS: Final = frozenset({"error", "error_description", "error_uri", "message", "iss", "scope", "endpoint"})
"""Parameters of a callback that are no secrets."""

LONGEST: Final = 8192
"""Characters of a callback's parameter: a code may be a JWT, and no server takes longer URLs."""


def url(endpoint: str, fields: Mapping[str, str | None]) -> str:
    """``endpoint`` with ``fields`` in its query; a query that it already has is kept (RFC 6749 §3.1).

    Empty fields are left out. Raises ``ConfigurationError`` for a ``redirect_uri`` that no vendor can take, and for one
    by http to another machine.
    """
    target = fields.get("redirect_uri") or ""
    if not target or not target.isprintable() or "#" in target or ":" not in target:
        raise ConfigurationError("redirect_uri: an absolute URI without a fragment is needed (RFC 6749 §3.1.2)")
    if fault := _unsafe(target):
        raise ConfigurationError(f"redirect_uri: {fault}")
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def _unsafe(target: str) -> str:
    """Why no code may go to ``target``: not unencrypted to another machine (RFC 9700 §2.6). Empty: it may."""
    if not target.lower().startswith("http:"):
        return ""
    try:
        plain_url(target)
    except ConfigurationError as error:
        return str(error).removeprefix("URL: ")
    return ""


def masked(params: Mapping[str, Any], *plain: str) -> wire.Masked:
    """A callback's parameters in a form that no traceback shows; one that comes twice becomes a list.

    ``plain``: names of parameters that are no secrets, beside those that are none with any vendor.
    """
    words = {*_WORDS, *plain}
    every = getattr(params, "getall", None)  # aiohttp's multidict
    values = ((name, [value] if every is None else every(name)) for name, value in params.items())
    hidden = ((name, [value if name in words else _hidden(value) for value in found]) for name, found in values)
    return wire.Masked((name, found[0] if len(found) == 1 else found) for name, found in hidden)


def _hidden(value: Any) -> Any:
    if isinstance(value, list):  # of one that came twice
        return [_hidden(each) for each in cast("list[object]", value)]
    return secret_str(value) if isinstance(value, str) else value


def parameter(params: Mapping[str, Any], *names: str) -> str:
    """The callback's parameter under the first of ``names`` that has a value; empty where none has.

    A callback is foreign data, from a query, a form or JSON: a parameter that comes twice (RFC 6749 §3.1), is no text,
    too long or unprintable is an ``InvalidRequest`` that shows no value.
    """
    for name in names:
        value = params.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
            raise InvalidRequest("", f"the callback's {name} is not one printable text of at most {LONGEST} characters")
        return value  # masked, where ``params`` are
    return ""


def raise_if_refused(params: Mapping[str, Any]) -> None:
    """Raise the ``OAuthError`` that a refusing callback names in ``error`` (RFC 6749 §4.1.2.1)."""
    code = said(params, "error")
    if code:
        raise grants.known(code)(code, said(params, "error_description"))


def said(params: Mapping[str, Any], name: str) -> str:
    """The vendor's words in a callback, without the state and the code that may stand beside them."""
    others = [value for other, value in params.items() if other not in _WORDS]
    hidden = [value for value in others if isinstance(value, str) and len(value) >= SHORTEST]
    return wire.words(params.get(name) if name == "error_description" else parameter(params, name), *hidden)


def the_code(params: Mapping[str, Any], *names: str) -> str:
    """The authorization code, under the first of ``names`` that is there. Raises ``InvalidRequest`` where none is."""
    code = parameter(params, *names)
    if not code:
        raise InvalidRequest("", f"the callback has no {' or '.join(names)}")
    return code
