"""The grants of RFC 6749 as flows, and how a client authenticates.

A flow here reads an answer as the RFC has it. Where a vendor differs, the vendor's own file says so.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias
from urllib.parse import quote_plus

import attrs

from linkauth import errors
from linkauth.errors import MalformedResponse
from linkauth.oauth import wire
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.extra import extra
from linkauth.oauth.refusals import details, known, raise_refusal, refusal, said
from linkauth.oauth.token import SecretStr, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Secret

__all__ = [
    "Refuse",
    "basic",
    "bearer",
    "details",
    "grant",
    "is_success",
    "kept",
    "known",
    "may_be_sent",
    "raise_refusal",
    "refusal",
    "said",
    "salvage",
    "token_of",
]

LONGEST_LIFETIME: Final = 10 * 366 * 86400.0
"""Seconds. A longer lifetime than ten years is a mistake of unit or a joke."""

NEVER: Final = 253_402_300_799.0
"""Unix seconds of the last moment of the year 9999: when a token expires that never does. Every release can store it."""

_VSCHAR: Final = re.compile(r"[\x21-\x7e]+")
"""What a token may hold (RFC 6749 §A.12, without the space): anything else could break out of the header."""

_MEMBERS: Final = frozenset(
    {"access_token", "token_type", "expires_in", "scope", "refresh_token", "refresh_token_expires_in"}
)

Refuse: TypeAlias = "Callable[..., NoReturn]"
"""``(response, vendor)``: raises what a refusing answer means."""


@attrs.frozen(kw_only=True, repr=False)
class _Answer:
    """RFC 6749 §5.1, as far as every vendor has it."""

    access_token: str
    token_type: str | None = None
    expires_in: float | None = None
    scope: str | None = None
    refresh_token: str | None = None
    refresh_token_expires_in: float | None = None


def grant(
    url: str,
    fields: Mapping[str, str],
    *,
    vendor: str,
    headers: Mapping[str, str] | None = None,
    encode: Callable[[str, Mapping[str, str], Mapping[str, str] | None], Request] = Request.form,
    refuse: Refuse | None = None,
    **how: Any,
) -> Flow[Token]:
    """POST ``fields`` to the token endpoint and read the answer with ``token_of(…, **how)``.

    ``encode``: ``Request.form`` (RFC 6749 §4.1.3) or ``Request.json``. ``refuse``: how this vendor words a refusal; None: as
    RFC 6749 §5.2 has it. Raises the ``OAuthError`` that the vendor names, ``MalformedResponse``, or ``VendorUnavailable`` at 5xx.
    """
    response = yield encode(url, wire.Masked(fields), headers)
    if not is_success(response):
        (refuse or raise_refusal)(response, vendor)
    return token_of(wire.members(response.body, f"{vendor}'s token answer"), response, vendor, **how)


def is_success(response: Response) -> bool:
    """Whether a token request was granted.

    RFC 6749 §5.1 says 200. Frameworks answer a POST with 201 unless told otherwise, and an answer that may have cost a
    refresh token is not dropped for its number. A 200 that carries an error and no token is a refusal: a code (GitHub does
    so) or an object (LinkXG's envelope).
    """
    if not 200 <= response.status < 300:
        return False
    value = wire.as_object(wire.decode(response.body))
    return "access_token" in value or not isinstance(value.get("error"), str | dict)


def token_of(
    body: wire.Masked,
    response: Response,
    vendor: str,
    *,
    default_type: str | None = None,
    lifetime: float | None = None,
    scope: str = "",
    keep: Token | None = None,
    endpoint: str | None = None,
    advice: str = "",
) -> Token:
    """The token in an answer of RFC 6749 §5.1, whose members ``body`` has under their names there.

    ``default_type``: the token type where the answer has none. ``lifetime``: seconds, where it has no ``expires_in``;
    ``math.inf``: the token never expires, and ``expires_at`` is ``NEVER``.
    ``scope``: what was asked for, granted unless the answer says otherwise. ``keep``: the token that was renewed; what
    the answer leaves out (refresh token, scope, endpoint, extra) stays as it was (RFC 6749 §6). ``endpoint``: where
    later calls go. ``advice``: what helps where the answer states no lifetime that makes sense.

    Raises ``MalformedResponse`` that names the fault and shows no value; its ``salvage`` holds the new refresh token
    where the answer brought one, for the old one may be spent.
    """
    what = f"{vendor}'s token answer"
    endpoint = endpoint or (keep.endpoint if keep else None)
    try:
        answer = wire.structure(body, _Answer, what)
        _check(answer, what, default_type, lifetime, advice)
    except MalformedResponse as error:
        fault = str(error)
    else:
        seconds = answer.expires_in if answer.expires_in is not None else lifetime or 0.0
        refreshed = answer.refresh_token or None
        lapses = None if answer.refresh_token_expires_in is None else response.sent_at + answer.refresh_token_expires_in
        said = {name: value for name, value in body.items() if name not in _MEMBERS}
        return Token(
            access_token=SecretStr(answer.access_token),
            token_type=answer.token_type or default_type or "Bearer",
            scope=answer.scope if answer.scope is not None else (keep.scope if keep else scope),
            issued_at=response.sent_at,
            expires_at=min(response.sent_at + seconds, NEVER),
            refresh_token=refreshed or (keep.refresh_token if keep else None),
            refresh_expires_at=lapses if refreshed or lapses or keep is None else keep.refresh_expires_at,
            session_expires_at=keep.session_expires_at if keep else None,
            endpoint=endpoint,
            claims=keep.claims if keep else {},
            **extra(said, keep),
        )
    # Built outside the ``except`` block: what was being handled there could hold values.
    raise MalformedResponse(fault, salvage=salvage(body, response, keep, endpoint))


def _check(answer: _Answer, what: str, default_type: str | None, lifetime: float | None, advice: str) -> None:
    if not may_be_sent(answer.access_token):
        raise MalformedResponse(f"{what}: access_token is empty or holds characters that no header may carry")
    for name in ("refresh_token", "scope"):
        if not (getattr(answer, name) or "").isprintable():
            raise MalformedResponse(f"{what}: {name} holds unprintable characters")
    kind = answer.token_type or default_type
    if kind is None:
        raise MalformedResponse(f"{what}: token_type missing")
    if kind.lower() != "bearer":  # RFC 6749 §7.1: a type that is not understood must not be used
        raise MalformedResponse(f"{what}: token_type is not Bearer")
    if answer.expires_in is None and lifetime is None:
        raise MalformedResponse(f"{what}: expires_in missing{advice}")
    for name in ("expires_in", "refresh_token_expires_in"):
        seconds = getattr(answer, name)
        if seconds is not None and not 0 < seconds <= LONGEST_LIFETIME:
            raise MalformedResponse(f"{what}: {name} is not between 0 and ten years{advice}")


def may_be_sent(token: object) -> bool:
    """Whether ``token`` is an access token that a header may carry (RFC 6749 §A.12)."""
    return isinstance(token, str) and _VSCHAR.fullmatch(token) is not None


def salvage(
    body: Mapping[str, Any], response: Response, keep: Token | None, endpoint: str | None = None
) -> Token | None:
    """What can be saved of an answer that is refused: the new refresh token that it brought, for the old one may be spent."""
    refresh = body.get("refresh_token")
    if not isinstance(refresh, str) or not refresh or not refresh.isprintable():
        return None
    return Token(
        access_token="",
        scope=keep.scope if keep else "",
        issued_at=response.sent_at,
        expires_at=0.0,
        refresh_token=refresh,
        session_expires_at=keep.session_expires_at if keep else None,
        endpoint=endpoint,
        extra=keep.extra if keep else {},
        renewed=keep.renewed if keep else (),
        claims=keep.claims if keep else {},
    )


def kept(current: Token | None, vendor: str) -> tuple[Token, str]:
    """``current`` and its refresh token. Raises ``ReauthorizationRequired`` where there is none to spend."""
    if current is None or not current.refresh_token:
        raise errors.ReauthorizationRequired(f"{vendor}: there is no refresh token; the user has to log in")
    return current, current.refresh_token


def basic(client_id: str, secret: Secret, *, encoded: bool = True) -> str:
    """The ``Authorization`` value of HTTP Basic, each part form-encoded first (RFC 6749 §2.3.1) unless not ``encoded``."""
    write = quote_plus if encoded else str
    pair = SecretStr(f"{write(client_id)}:{write(secret.reveal())}")
    return SecretStr("Basic " + b64encode(pair.encode()).decode("ascii"))


def bearer(token: Token) -> dict[str, str]:
    """The header of a request that is made with ``token`` (RFC 6750 §2.1)."""
    return {"Authorization": token.authorization}
