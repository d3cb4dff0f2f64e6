"""What one vendor does otherwise than RFC 6749, as facts. Every field's default is the standard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from linkauth.errors import ConfigurationError
from linkauth.oauth.exchange import Request  # noqa: TC001  # the fields' types are read at run time
from linkauth.oauth.roots import root
from linkauth.oauth.shown import Shown
from linkauth.vendors.signing import FRAMING, is_header, is_word
from linkauth.vendors.vendor import flag, optional_url

__all__ = ["OURS", "Dialect", "are_texts", "copied"]

OURS: Final = frozenset(
    [
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "grant_type",
        "nonce",
        "redirect_uri",
        "refresh_token",
        "response_type",
        "scope",
        "state",
        "token",
        "token_type_hint",
    ]
)
"""Parameters of the protocol's own."""

_NAME: Final = re.compile(r"[\x21-\x7e]{1,100}")
"""The name of a parameter or of a member."""

Ask: TypeAlias = "Callable[[Request], Request]"
Hear: TypeAlias = "Callable[[dict[str, Any]], dict[str, Any]]"


def copied(given: Mapping[str, str]) -> Mapping[str, str]:
    """attrs converter: a mapping that nobody changes any more."""
    if not isinstance(cast("object", given), Mapping):
        raise ConfigurationError(
            "OAuth2: extra, authorize_extra and a Dialect's mappings are mappings from names to texts"
        )
    return MappingProxyType(dict(given))


def are_texts(given: Mapping[str, Any]) -> bool:
    """Whether there are printable texts alone in ``given``, none empty, and none of the protocol's own names."""
    texts = all(isinstance(text, str) and text and text.isprintable() for pair in given.items() for text in pair)
    return texts and not OURS & given.keys()


def _several(given: Iterable[str]) -> tuple[str, ...]:
    """attrs converter: a list or tuple of texts, as a tuple."""
    if not isinstance(cast("object", given), list | tuple):
        raise ConfigurationError("Dialect: where several are meant, a list or tuple is")
    return tuple(given)


def _statuses(given: Iterable[int]) -> tuple[int, ...]:
    found = cast("tuple[object, ...]", _several(cast("Iterable[str]", given)))
    if not all(type(one) is int and 400 <= one < 500 for one in found):
        raise ConfigurationError("Dialect: expired_statuses are HTTP statuses from 400 up to 499")
    return cast("tuple[int, ...]", found)


def _headers(given: Mapping[str, str]) -> Mapping[str, str]:
    headers = copied(given)
    if not are_texts(headers) or not all(is_word(n) and n.lower() not in FRAMING for n in headers):
        raise ConfigurationError(
            "Dialect: token_headers holds texts, and no header that says who asks or frames a message"
        )
    return MappingProxyType(
        {"-".join(part.capitalize() for part in name.split("-")): headers[name] for name in headers}
    )


def _api_roots(given: Mapping[str, Iterable[str]]) -> Mapping[str, tuple[str, ...]]:
    return _roots(given, star=True)


def _token_roots(given: Mapping[str, Iterable[str]]) -> Mapping[str, tuple[str, ...]]:
    return _roots(given, star=False)


def _roots(given: Mapping[str, Iterable[str]], *, star: bool) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(cast("object", given), Mapping):
        raise ConfigurationError("Dialect: api_from and token_url_from are mappings from a name to roots")
    return MappingProxyType(
        {name: tuple(root(one, star=star) for one in _several(ones)) for name, ones in given.items()}
    )


def _mask(given: Mapping[str, str]) -> str:
    return "{****}" if given else "{}"


@attrs.frozen(kw_only=True)
class Dialect(metaclass=Shown):
    """One vendor's own ways, for ``OAuth2(dialect=…)``. Two are equal by what they hold, a function by itself alone.

    Raises ``ConfigurationError`` when made of what cannot work.
    """

    body: Literal["form", "json"] = "form"
    """How token requests and revocations are written."""
    basic: Literal["rfc6749", "plain"] = "rfc6749"
    """``"plain"``: HTTP Basic without the form-encoding of RFC 6749 §2.3.1."""
    id_in_body: bool = attrs.field(default=False, validator=flag)
    """``client_id`` in the body beside HTTP Basic."""
    token_extra: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=copied, hash=False, repr=_mask)
    """Parameters of token requests alone."""
    token_headers: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_headers, hash=False, repr=_mask)
    """Headers of token requests and revocations alone, such as ``User-Agent``."""
    grant_type: str | None = None
    """The machine grant's name; None: ``client_credentials``."""
    refresh_url: str | None = attrs.field(default=None, converter=optional_url)
    """Where renewals go; None: ``token_url``."""
    refresh_scope: bool = attrs.field(default=False, validator=flag)
    """Renewals repeat the scope."""
    scope_separator: str = " "
    """What stands between scopes in requests. Users write and read spaces."""
    renews_by: Literal["refresh_token", "access_token"] = "refresh_token"
    """``"access_token"``: the access token itself renews, and its expiry is the session's."""
    answer_in: str = ""
    """Where in an answer the members are, with dots for depth; the top, where they are not there."""
    answer_names: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=copied, hash=False)
    """The vendor's names of members to RFC 6749's."""
    dead: tuple[str, ...] = attrs.field(default=(), converter=_several)
    """Codes (equal) or words (contained, case aside) of a refused renewal by which the refresh token is no longer good."""
    code_name: str = "code"
    """The callback's name of the code."""
    keep_params: tuple[str, ...] = attrs.field(default=(), converter=_several)
    """Parameters of the callback that are kept in ``Token.extra``."""
    posts_callback: bool = attrs.field(default=False, validator=flag)
    """The callback comes by POST (``response_mode=form_post``)."""
    api_from: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, "tuple[str, ...]"], converter=_api_roots, hash=False
    )
    """A member of the answer, or a parameter of the callback, that names the API's base → the roots that are believed beside
    the configured one.

    A star stands for the one first label, below a domain where only the vendor hosts: ``"https://*.my.salesforce.com"``.
    """
    token_url_from: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, "tuple[str, ...]"], converter=_token_roots, hash=False
    )
    """The same for the token server, by its origin. The client secret goes there: whole roots, no star."""
    scheme: str | None = None
    """What stands before the token in API requests; None: ``Bearer`` in ``Authorization``, nothing in another header."""
    header: str = "Authorization"
    """The header that carries it."""
    expired_statuses: tuple[int, ...] = attrs.field(default=(401,), converter=_statuses)
    """What the API answers when the token has expired."""
    ask: Ask | None = None
    """A pure function that changes a token request: ``request.fields`` and ``request.with_fields({…})`` spare the encoding."""
    hear: Hear | None = None
    """A pure function from what an answer holds, a refusal's too, to what the fields above and RFC 6749 expect."""

    def __attrs_post_init__(self) -> None:
        for fault in self._faults():
            raise ConfigurationError(f"Dialect: {fault}")

    def _faults(self) -> list[str]:
        roots = (*self.api_from.items(), *self.token_url_from.items())
        names = (self.code_name, *self.keep_params, *(name for name, _ in roots))
        checks = {
            "body is 'form' or 'json'": self.body not in ("form", "json"),
            "basic is 'rfc6749' or 'plain'": self.basic not in ("rfc6749", "plain"),
            "renews_by is 'refresh_token' or 'access_token'": self.renews_by not in ("refresh_token", "access_token"),
            "token_extra holds texts, and none of the protocol's own parameters": not are_texts(self.token_extra),
            "answer_names holds names alone": not all(
                _is(_NAME, one) for pair in self.answer_names.items() for one in pair
            ),
            "grant_type is a name": self.grant_type is not None and not _is(_NAME, self.grant_type),
            "scope_separator is printable, and none of a scope's letters": not _separates(self.scope_separator),
            "answer_in is names with dots between": not isinstance(cast("object", self.answer_in), str)
            or (self.answer_in != "" and not all(_is(_NAME, name) for name in self.answer_in.split("."))),
            "dead holds texts, none empty": not all(
                isinstance(cast("object", t), str) and t.strip() for t in self.dead
            ),
            "code_name, keep_params, api_from and token_url_from take names": not all(
                _is(_NAME, name) for name in names
            ),
            "api_from and token_url_from list roots that are believed": not all(ones for _, ones in roots),
            "keep_params keeps no id_token: what the callback says of the user is not checked": "id_token"
            in self.keep_params,
            "header is the name of a header": not is_header(self.header),
            "scheme is one word": self.scheme not in (None, "") and not is_word(self.scheme),
            "ask and hear are functions": not all(one is None or callable(one) for one in (self.ask, self.hear)),
        }
        return [fault for fault, found in checks.items() if found]


def _is(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _separates(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 3 and text.isprintable() and not any(c.isalnum() for c in text)
