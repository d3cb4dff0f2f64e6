"""The token endpoint of an ``OAuth2`` vendor, in its ``Dialect``: a request as it takes it, an answer as the RFC has it.

A user's ``ask`` and ``hear`` are given masked data, and what they raise is told by its class alone: its words may hold a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import attrs

from linkauth.errors import ConfigurationError, MalformedResponse, UntrustedEndpoint
from linkauth.oauth import generous, grants, heard, roots, wire
from linkauth.oauth.exchange import Request
from linkauth.oauth.generous import folded
from linkauth.oauth.token import masked
from linkauth.oauth.url import base_url, origin, root_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Flow, Response
    from linkauth.oauth.token import Token
    from linkauth.vendors.dialect import Ask, Hear
    from linkauth.vendors.oauth2 import OAuth2

__all__ = ["authenticated", "believed", "endpoint", "grant", "lasting", "token_url", "written"]

TOKENS: Final = frozenset({"accesstoken", "refreshtoken"})
"""Members of which an answer has one, as ``folded`` writes them."""
STATE_IT: Final = "; OAuth2(lifetime=…) states the seconds that such a token lives"


def grant(
    vendor: OAuth2,
    url: str,
    fields: Mapping[str, str],
    *,
    scope: str = "",
    keep: Token | None = None,
    beside: Mapping[str, str] | None = None,
) -> Flow[Token]:
    """POST ``fields`` to ``url`` and read the token in the answer.

    ``scope``: what was asked for. ``keep``: the token that is renewed. ``beside``: what a callback said that is to be kept.
    Raises the ``OAuthError`` that the vendor means, ``MalformedResponse``, ``VendorUnavailable``, ``UntrustedEndpoint`` where
    a login's answer names a base of the API or a token server that is not listed, or ``ConfigurationError`` where ``ask`` fails.
    """
    dialect = vendor.dialect
    response = yield _request(vendor, url, fields)
    said = _said(vendor, response, keep)
    dead = keep is not None and not said.get("access_token") and heard.is_dead(said, response, dialect.dead)
    if dead or not heard.is_granted(said, response):
        heard.raise_no(said, response, vendor.name, needs_user=vendor.needs_user, dead=dead)
    if not said:
        said = wire.members(response.body, f"{vendor.name}'s token answer")
    body = generous.plain(said, response, lifetime=vendor.lifetime, separator=dialect.scope_separator)
    for name, text in (beside or {}).items():
        body.setdefault(name, text)
    if keep is None:
        token_url(vendor, vendor.token_url, body)  # now, and not at the first renewal
    token = grants.token_of(
        body,
        response,
        vendor.name,
        lifetime=vendor.lifetime,
        scope=scope,
        keep=keep,
        endpoint=endpoint(vendor, body, anew=keep is None),
        advice=STATE_IT,
    )
    return lasting(vendor, token, anew=keep is None, stated="refresh_token_expires_in" in body)


def _request(vendor: OAuth2, url: str, fields: Mapping[str, str]) -> Request:
    dialect = vendor.dialect
    whole, headers = authenticated(vendor, {**vendor.extra, **dialect.token_extra, **fields})
    request = written(vendor, url, wire.Masked((name, text) for name, text in whole.items() if text), headers)
    return request if dialect.ask is None else _asked(vendor, dialect.ask, request)


def written(vendor: OAuth2, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> Request:
    """A request to the token server, for a token or to revoke one, with its body and headers as the vendor's dialect has them."""
    write = Request.json if vendor.dialect.body == "json" else Request.form
    return write(url, fields, {**vendor.dialect.token_headers, **headers})


def _asked(vendor: OAuth2, ask: Ask, request: Request) -> Request:
    """``request`` as the user's ``ask`` has it, which may send it to no other host."""
    made: object = None
    fault = "gave no Request"
    try:
        made = ask(request)
    except Exception as error:  # noqa: BLE001  # somebody else's code
        fault = f"failed: {type(error).__name__}"
    if not isinstance(made, Request):
        raise ConfigurationError(f"{vendor.name}: ask= {fault}")
    if origin(made.url) != origin(request.url):
        raise UntrustedEndpoint(f"{vendor.name}: ask= sends the client's secret to another host")
    return made


def authenticated(vendor: OAuth2, fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """``fields`` and headers of a request that shows who the client is."""
    secret, dialect = vendor.client_secret, vendor.dialect
    if secret is None or vendor.client_auth != "basic":
        return {**fields, "client_id": vendor.client_id, "client_secret": "" if secret is None else secret.reveal()}, {}
    known = {**fields, "client_id": vendor.client_id} if dialect.id_in_body else dict(fields)
    return known, {"Authorization": grants.basic(vendor.client_id, secret, encoded=dialect.basic != "plain")}


def _said(vendor: OAuth2, response: Response, keep: Token | None) -> wire.Masked:
    """What the answer says, under RFC 6749's names as far as the dialect tells them; empty where it is no object."""
    dialect, said = vendor.dialect, generous.members(response)
    if dialect.hear is not None and said:
        told, fault = _heard(dialect.hear, said)
        if fault and 200 <= response.status < 300:
            salvage = grants.salvage(said, response, keep)
            raise MalformedResponse(f"{vendor.name}'s token answer: hear= {fault}", salvage=salvage)
        said = said if fault else told
    inner: object = said
    for name in dialect.answer_in.split(".") if dialect.answer_in else ():
        inner = cast("dict[str, object]", inner).get(name) if isinstance(inner, dict) else None
    members = cast("dict[str, object]", inner) if isinstance(inner, dict) else said
    if dialect.answer_in and not _is_there(members, dialect.answer_names):
        members = said
    return generous.renamed(members, dialect.answer_names)


def _is_there(members: Mapping[str, object], names: Mapping[str, str]) -> bool:
    return not TOKENS.isdisjoint(folded(names.get(name, name)) for name in members)


def _heard(hear: Hear, said: wire.Masked) -> tuple[wire.Masked, str]:
    """What the user's ``hear`` makes of ``said``, and what is wrong with that."""
    fault = "gave no dict"
    try:
        told = cast("object", hear(said))
        if isinstance(told, dict):
            return masked(wire.as_object(wire.decode(wire.dump(cast("object", told))))), ""
    except Exception as error:  # noqa: BLE001  # somebody else's code
        fault = f"failed: {type(error).__name__}"
    return wire.Masked(), fault


def endpoint(vendor: OAuth2, said: Mapping[str, Any], *, anew: bool) -> str | None:
    """The API's base that ``said`` names; None where it names none.

    A login that names one which is not believed is refused. A renewal has spent a refresh token: there the base is kept as it
    was named, and looked at before each use.
    """
    for member in vendor.dialect.api_from:
        named = said.get(member)
        if anew and named is not None and named != "":
            return believed(vendor, named)
        if isinstance(named, str) and named.isprintable() and 0 < len(named) <= roots.LONGEST:
            return named
    return None


def believed(vendor: OAuth2, named: object) -> str:
    """``named`` in its one spelling. Raises ``UntrustedEndpoint`` unless it is the configured base or one of ``api_from``."""
    listed = [vendor.api(None), *(one for ones in vendor.dialect.api_from.values() for one in ones)]
    if not roots.is_believed(named, listed):
        raise UntrustedEndpoint(
            f"{vendor.name}: no token goes to an API that api_from= does not list; if it is the vendor's, add it: {wire.words(named)}"
        )
    return str(base_url(cast("str", named)))


def token_url(vendor: OAuth2, url: str, said: Mapping[str, Any]) -> str:
    """``url``, which is one of the token server's, at the server that ``said``, a callback or a token's ``extra``, names.

    A ``url`` of another origin than ``token_url``'s stays as it was stated. Raises ``UntrustedEndpoint`` where ``said`` names
    a server that is not listed: the client secret goes there.
    """
    for member, listed in vendor.dialect.token_url_from.items():
        named = said.get(member)
        if named is None or named == "":
            continue
        if not roots.is_believed(named, (root_of(vendor.token_url), *listed)):
            raise UntrustedEndpoint(
                f"{vendor.name}: no secret goes to a token server that token_url_from= does not list; "
                f"if it is the vendor's, add it: {wire.words(named)}"
            )
        there, here = urlsplit(base_url(cast("str", named))), urlsplit(url)
        if origin(url) == origin(vendor.token_url):
            return here._replace(scheme=there.scheme, netloc=there.netloc).geturl()
    return url


def lasting(vendor: OAuth2, token: Token, *, anew: bool, stated: bool) -> Token:
    """``token`` with what is stated of this vendor's sessions; ``anew``: by a login. ``stated``: the answer says when it lapses."""
    lapse, end = token.refresh_expires_at, token.session_expires_at
    if vendor.dialect.renews_by == "access_token" and token.access_token:
        token = attrs.evolve(token, refresh_token=token.access_token)
        lapse = token.expires_at
    elif vendor.refresh_lifetime is not None and not stated:
        lapse = token.issued_at + vendor.refresh_lifetime
    if anew and vendor.session_lifetime is not None:
        end = token.issued_at + vendor.session_lifetime
    if not token.refresh_token:
        return token
    lapse = min((moment for moment in (lapse, end) if moment is not None), default=None)
    return attrs.evolve(token, refresh_expires_at=lapse, session_expires_at=end)
